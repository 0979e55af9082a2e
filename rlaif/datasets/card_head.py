"""The head of a dataset card: the metadata that the Hugging Face Hub and `load_dataset` read.

Only what is known: the license is `unknown` until `rlaif push --license`, models are named where their servers report
ids of the hub, and the prompts' source is named where it is a hub dataset or the project's own prompts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

from huggingface_hub import DatasetCardData

from rlaif.datasets.columns import features
from rlaif.datasets.formats import Table
from rlaif.models.hub_id import dataset_id, hub_id_of_served
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import ReviewedRun
from rlaif.shipped import SEED_PROMPTS

LEAST_SHARE = 0.05
"""Share of the rows from which a language is named in the head; below it, most findings are errors on short texts."""
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


class Size(NamedTuple):
    """Bytes of one split."""

    in_memory: int
    file: int


@dataclass(frozen=True)
class Contents:
    """What was written of a dataset."""

    counts: Mapping[str, int]
    """Number of rows by `table/split`."""
    hashes: Mapping[str, str]
    """A hash of the rows by table."""
    tools: bool
    """Whether a prompt has tools, or a turn has calls of them."""
    sizes: Mapping[str, Size]
    """Bytes by `table/split`, of those with rows."""
    languages: Mapping[str, float]
    """{code: share} of the rows' languages, the most frequent first."""
    also: frozenset[str] = frozenset()
    """Columns that only some datasets have (`columns.SOMETIMES`)."""

    def splits(self, table: str) -> list[str]:
        """Return the splits of a table that have rows."""
        return [split for split in ("train", "test") if self.counts.get(f"{table}/{split}")]


def card_head(run: Run, contents: Contents, tables: Mapping[str, Table]) -> DatasetCardData:
    """Return the head of a run's dataset card. Raises RunDirectoryError when no model was connected yet."""
    written = [name for name in tables if contents.splits(name)]
    head = DatasetCardData(
        pretty_name="Constitutional preference pairs",
        license="unknown",
        language=[code for code, share in contents.languages.items() if share >= LEAST_SHARE] or None,
        annotations_creators=None if isinstance(run, ReviewedRun) else ["machine-generated"],
        language_creators=["machine-generated" if run.config.responses is None else "found"],
        size_categories=[size_category(sum(contents.counts.values()))],
        source_datasets=_sources(run),
        task_categories=["text-generation"],
        tags=["dpo", "preference", "rlaif", "constitutional-ai", "synthetic"],
        base_model=base_models(run),
        configs=[_config(name, contents, default=name == written[0]) for name in written],
    )
    if written:
        _infos(contents, {name: tables[name] for name in written}).to_dataset_card_data(head)
    return head


def size_category(rows: int) -> str:
    """Return the hub's category of a number of rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def base_models(run: Run) -> list[str] | None:
    """Return the hub ids of the policy and the critics, as their servers report them; None where none is known."""
    models = run.models
    served = {models.policy: models.policy_identity, models.critic: models.critic_identity}
    served |= {name: models.policy_identities[policy] for policy, name in models.policies.items()}
    served |= {name: models.judge_identities.get(judge, "") for judge, name in models.judges.items()}
    ids = (hub_id_of_served(name, identity) for name, identity in served.items())
    return list(dict.fromkeys(filter(None, ids))) or None


def prompts_name(run: Run) -> str:
    """Return the source of a run's prompts without a local path: a file's name, or the id of a hub dataset."""
    source = run.manifest.prompts
    return dataset_id(source) or PurePath(source).name


def _sources(run: Run) -> list[str] | None:
    source = run.manifest.prompts
    if source == SEED_PROMPTS:
        return ["original"]
    found = dataset_id(source)
    return [found] if found else None


def _config(name: str, contents: Contents, *, default: bool) -> dict[str, Any]:
    # load_dataset caches a folder by its path and these lines: without the hash it would return the rows of an earlier
    # export to the same folder.
    files = [{"split": split, "path": f"{name}/{split}.parquet"} for split in contents.splits(name)]
    config = {"config_name": name, "description": f"rows {contents.hashes[name]}", "data_files": files}
    return config | ({"default": True} if default else {})


def _infos(contents: Contents, tables: Mapping[str, Table]) -> Any:  # noqa: ANN401
    """Return the `datasets.DatasetInfosDict` of the tables: columns, rows and bytes."""
    from datasets import DatasetInfo, SplitDict, SplitInfo  # noqa: PLC0415
    from datasets.info import DatasetInfosDict  # noqa: PLC0415

    infos = {}
    for name, table in tables.items():
        sizes = {split: contents.sizes[f"{name}/{split}"] for split in contents.splits(name)}
        splits = SplitDict()
        for split, size in sizes.items():
            splits.add(SplitInfo(split, num_bytes=size.in_memory, num_examples=contents.counts[f"{name}/{split}"]))
        infos[name] = DatasetInfo(
            features=features(table.row, tools=contents.tools, also=contents.also),
            splits=splits,
            download_size=sum(size.file for size in sizes.values()),
            dataset_size=sum(size.in_memory for size in sizes.values()),
        )
    return DatasetInfosDict(infos)
