"""A run's dataset in files: TRL (with a card), SFT, plain JSON lines, or a layout that a trainer elsewhere reads."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel

from rlaif.datasets.card import dataset_card
from rlaif.datasets.formats import kto_rows, nemo_rl_row, openrlhf_row, ranking_rows, reward_row
from rlaif.errors import StorageError, UsageError
from rlaif.runs.reader import Run
from rlaif.runs.rows import PreferenceRow, split_of
from rlaif.runs.summary import Summary, summarise, warnings_of
from rlaif.seeds import content_hash

Format = Literal["trl", "sft", "ultrafeedback", "jsonl", "kto", "reward", "ranking", "openrlhf", "nemo-rl"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export(run: Run, format_: Format, out: Path | None = None) -> Path:
    """Write a run's dataset and return the folder. Raises UsageError for a folder with something else in it."""
    folder = out or run.path / ("dataset" if format_ == "trl" else f"exports/{format_}")
    match format_:
        case "trl":
            export_trl(run, folder)
        case "sft":
            _replace(folder, run, {"sft": run.revision_rows()}, "parquet")
        case "ultrafeedback":
            _replace(folder, run, {"": map(ultrafeedback_row, run.preference_rows())}, "parquet")
        case "jsonl":
            _replace(folder, run, {"preference": run.preference_rows(), "sft": run.revision_rows()}, "jsonl")
        case "kto":
            _replace(folder, run, {"": kto_rows(run.preference_rows())}, "parquet")
        case "reward":
            _replace(folder, run, {"": map(reward_row, run.preference_rows())}, "parquet")
        case "ranking":
            _replace(folder, run, {"": ranking_rows(run.conclusions())}, "parquet")
        case "openrlhf":
            _replace(folder, run, {"": map(openrlhf_row, run.preference_rows())}, "jsonl")
        case "nemo-rl":
            _replace(folder, run, {"": map(nemo_rl_row, run.preference_rows())}, "jsonl")
    return folder


def export_trl(run: Run, folder: Path, summary: Summary | None = None) -> dict[str, int]:
    """Write preference and SFT data as Parquet with a dataset card; return rows per `config/split`.

    `datasets.load_dataset(FOLDER, "preference")` then gives what TRL's DPOTrainer takes as it is. A run without
    pairs gets a card that says so and no preference files. `summary` is the run's, where it is at hand.
    """
    parts = {"preference": run.preference_rows(), "sft": run.revision_rows()}
    return _replace(folder, run, parts, "parquet", card=summary or summarise(run))


def ultrafeedback_row(row: PreferenceRow) -> Mapping[str, Any]:
    """Return a pair in the layout of UltraFeedback's binarised release: whole conversations and scores."""
    prompt, chosen, rejected = (
        [turn.model_dump() for turn in turns] for turns in (row.prompt, row.chosen, row.rejected)
    )
    return {
        "prompt": row.prompt[-1].content,
        "prompt_id": row.prompt_id,
        "chosen": [*prompt, *chosen],
        "rejected": [*prompt, *rejected],
        "messages": [*prompt, *chosen],
        "score_chosen": row.score_chosen,
        "score_rejected": row.score_rejected,
        "p_chosen": row.p_chosen,
    }


def _replace(
    folder: Path, run: Run, parts: Mapping[str, Iterable[Any]], kind: str, *, card: Summary | None = None
) -> dict[str, int]:
    """Write into a folder beside, then put it in place: an export is whole or not there."""
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds something that is no export of this program; choose another --out")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        counts = _write_parts(unfinished, run, parts, kind)
        if card is not None:
            contents = {name: _hash_of_files(unfinished / name) for name in parts}
            (unfinished / "README.md").write_text(dataset_card(run, card, counts, contents), encoding="utf-8")
        mark = {"run": run.manifest.model_dump(), "rows": counts, "warnings": warnings_of(run)}
        (unfinished / MARK).write_text(json.dumps(mark, indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return counts


MARK = "rlaif.json"
"""Says that this program wrote the folder, from which run, and what that warns of."""


def _write_parts(folder: Path, run: Run, parts: Mapping[str, Iterable[Any]], kind: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, rows in parts.items():
        by_split: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        for row in _plain(rows):
            by_split[split_of(row["prompt_id"], run.config.pairs.test_fraction)].append(row)
        for split, entries in by_split.items():
            counts["/".join(filter(None, (name, split)))] = len(entries)
            if entries:
                _write_rows(folder / name / f"{split}.{kind}", entries)
    return counts


def _hash_of_files(folder: Path) -> str:
    digests = []
    for path in sorted(folder.glob("*")):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").digest())
    return content_hash(*digests)


def _plain(rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield row.model_dump(mode="json") if isinstance(row, BaseModel) else dict(row)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        import datasets  # noqa: PLC0415

        datasets.disable_progress_bars()
        datasets.Dataset.from_list(rows, features=_features(rows[0])).to_parquet(path)


_TURNS = ("prompt", "chosen", "rejected", "completion", "messages")
_WORD_LISTS = ("tags", "principles", "objecting", "source")
_OTHER_TYPES = {"label": "bool", "turns": "int64", "num_responses": "int64"}
_NUMBERS = (
    "p_chosen",
    "margin",
    "score",
    "score_se",
    "score_chosen",
    "score_rejected",
    "score_chosen_se",
    "score_rejected_se",
    "p_better",
    "position_bias",
    "label_mass",
    "order_agreement",
    "p_raw",
    "sd_principles",
    "sd_judges",
    "sd_orders",
)


def _features(row: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return the column types of a row: guessed from values, a split without tags would not fit the other."""
    from datasets import Features, Value  # noqa: PLC0415

    text, number = Value("string"), Value("float64")

    def kind(name: str) -> Any:  # noqa: ANN401
        if name in _OTHER_TYPES:
            return Value(_OTHER_TYPES[name])
        if name == "answers":
            return [{"answer": text, "model": text, "rank": number}]
        if name in _NUMBERS:
            return number
        if name in _TURNS and not isinstance(row[name], str):
            return [{"role": text, "content": text}]
        if name == "principles" and "p_chosen" in row:
            return [{"id": text, "p": number}]
        return [text] if name in _WORD_LISTS else text

    return Features({name: kind(name) for name in row})
