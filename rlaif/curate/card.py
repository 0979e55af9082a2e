"""The card of a curated dataset: its source's, with the head of the kept rows and a section on what was dropped."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard

from rlaif.curate.recipe import Recipe
from rlaif.curate.source import Source
from rlaif.datasets.card_head import size_category
from rlaif.seeds import content_hash
from rlaif.text.wording import counted

_CERTIFICATE = re.compile(r"^## Certificate\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_SEE_CERTIFICATE = re.compile(r"People have labelled \d+ of these pairs \(see Certificate\)\.")


def curated_card(folder: Path, source: Source, recipe: Recipe, rows: Mapping[str, int], *, certified: bool) -> str:
    """Return the card as Markdown with a YAML head."""
    old = source.folder / "README.md" if source.folder else None
    text = (
        old.read_text(encoding="utf-8") if old is not None and old.is_file() else "---\n{}\n---\n\n# Preference pairs\n"
    )
    card = DatasetCard(text, ignore_metadata_errors=True)
    head: dict[str, Any] = card.data.to_dict()
    head |= {"size_categories": [size_category(sum(rows.values()))], "configs": _configs(folder, source, rows)}
    if "dataset_info" in head:
        head["dataset_info"] = _infos(head["dataset_info"], folder, rows)
    body = card.text if certified else _without_certificate(card.text)
    card.data.__dict__.update(head)
    title, _, rest = body.strip().partition("\n")
    return str(DatasetCard(f"---\n{card.data.to_yaml()}\n---\n\n{title}\n\n{_section(recipe, rows)}\n{rest}\n"))


def _without_certificate(body: str) -> str:
    said = "People labelled pairs of the source to certify it; the certificate does not hold for this selection."
    return _SEE_CERTIFICATE.sub(said, _CERTIFICATE.sub("", body))


def _configs(folder: Path, source: Source, rows: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the tables and their files; the hash keeps load_dataset from returning the rows of an earlier dataset."""
    tables = dict.fromkeys(place.rpartition("/")[0] for place, count in rows.items() if count)
    configs = []
    for number, table in enumerate(tables):
        files = sorted(file for file in (folder / table).glob("t*.*") if file.stem in {"train", "test"})
        named = [
            {"split": file.stem, "path": file.relative_to(folder).as_posix()} for file in sorted(files, reverse=True)
        ]
        digest = content_hash(*(file.read_bytes() for file in files))
        config: dict[str, Any] = {
            "config_name": table or "default",
            "description": f"rows {digest}",
            "data_files": named,
        }
        configs.append(config | ({"default": True} if number == 0 else {}))
    return configs


def _infos(infos: Any, folder: Path, rows: Mapping[str, int]) -> Any:  # noqa: ANN401
    """Return `dataset_info` with the numbers of the kept rows; tables without rows are left out."""
    several = isinstance(infos, list)
    found = []
    for info in infos if several else [infos]:
        table, splits = info.get("config_name", ""), []
        for split in info.get("splits", []):
            count = rows.get("/".join(filter(None, (table, split["name"]))), 0)
            if count:
                each = split["num_bytes"] / max(1, split["num_examples"])
                splits.append(split | {"num_examples": count, "num_bytes": round(each * count)})
        if splits:
            size = sum(file.stat().st_size for file in (folder / table).glob("*.parquet"))
            total = sum(split["num_bytes"] for split in splits)
            found.append(info | {"splits": splits, "download_size": size, "dataset_size": total})
    return found if several else next(iter(found), {})


def _section(recipe: Recipe, rows: Mapping[str, int]) -> str:
    """Return what was kept and dropped, as Markdown."""
    shown = ", ".join(f"{place} {count}" for place, count in rows.items())
    table = [f"| {reason} | {count} |" for reason, count in recipe.dropped.items()]
    used = recipe.settings.model_dump(exclude_defaults=True)
    lines = [
        "## Curated",
        "",
        f"A selection by `rlaif curate`: {recipe.kept:,} of {counted(recipe.rows, 'pair')} of `{recipe.source}` "
        f"({shown}). **Everything below describes the source before the selection**, its counts and rates included. "
        "`curation.json` has the settings, hashes and versions, `dropped.jsonl` each dropped pair with its reason.",
        "",
        "| dropped because | pairs |",
        "|---|---|",
        *(table or ["| nothing | 0 |"]),
        "",
        "Settings: " + (", ".join(f"`{name}` {_value(value)}" for name, value in used.items()) or "none") + ".",
        *(["", *(f"> - {warning}" for warning in recipe.warnings)] if recipe.warnings else []),
        "",
    ]
    return "\n".join(lines)


def _value(value: Any) -> str:  # noqa: ANN401
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
