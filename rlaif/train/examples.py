"""Read training examples, pairs or single responses, from a run, an exported dataset, a file or a hub dataset.

Columns are those of this project's datasets and of TRL: prompt, chosen, rejected and p_chosen (1 where it is missing),
or prompt and completion. A row that cannot be used raises an error with its place; no row is left out silently.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from rlaif.base import SparseRecord
from rlaif.datasets.conversation import conversation_of, reasoning_of, response_of, tools_of
from rlaif.datasets.export import MARK
from rlaif.datasets.files import SourceRow, read_rows
from rlaif.errors import PromptsError, UsageError
from rlaif.records import Message, Probability
from rlaif.runs.certified import CertifiedRun
from rlaif.runs.reader import Run
from rlaif.runs.rows import split_of
from rlaif.runs.summary import warnings_of
from rlaif.seeds import content_hash
from rlaif.train.trl_options import Stage

HELD_OUT = 0.1
"""Share of the prompts held out where the data has no test split."""
_SUFFIXES = (".parquet", ".jsonl", ".json", ".csv")


class PairExample(SparseRecord):
    """A preference pair: two responses to one conversation."""

    id: str
    prompt: tuple[Message, ...]
    tools: str | None = None
    """The tools that the assistant can call, as JSON text."""
    chosen: str
    rejected: str
    chosen_reasoning: str | None = None
    """The reasoning before `chosen`, which a chat template may render (`reasoning_content`)."""
    rejected_reasoning: str | None = None
    p_chosen: Probability = 1.0
    """Probability that `chosen` is better."""


class ResponseExample(SparseRecord):
    """A conversation and a response to imitate."""

    id: str
    prompt: tuple[Message, ...]
    tools: str | None = None
    """The tools that the assistant can call, as JSON text."""
    completion: str
    reasoning: str | None = None
    """The reasoning before it, which a chat template may render (`reasoning_content`)."""
    p_better: Probability | None = None
    """Probability that a revision is better than the response it revises; None where they were not compared."""


Missing = TypeVar("Missing", float, None)
Example = TypeVar("Example", PairExample, ResponseExample)


@dataclass(frozen=True)
class Origin:
    """The constitutions and critics that made the labels, as far as the data has them."""

    constitutions: tuple[str, ...] = ()
    """Name and hash of each."""
    critics: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """The principles' questions; only for runs."""
    warnings: tuple[str, ...] = ()
    """The run's warnings about its labels; only for runs and datasets exported from one."""


@dataclass(frozen=True)
class Examples(Generic[Example]):
    """Examples to train on and held-out examples."""

    source: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    origin: Origin = Origin()
    template: Mapping[str, Any] = field(default_factory=dict)
    """The policy's `chat_template_kwargs`; only for runs."""

    @property
    def hash(self) -> str:
        """Content hash over all examples of both splits, in order."""
        return content_hash(
            *(
                f"{split}{one.model_dump_json(exclude={'p_better'})}"
                for split in ("train", "test")
                for one in getattr(self, split)
            )
        )

    def without(self, ids: set[str]) -> "Examples[Example]":
        """Return the examples whose ids are not in `ids`."""
        train, test = (tuple(one for one in part if one.id not in ids) for part in (self.train, self.test))
        return replace(self, train=train, test=test)


def read_pairs(source: str, *, certified: bool = False) -> Examples[PairExample]:
    """Return preference pairs, or only the certified ones of a run or of a dataset with the column `certified`.

    Raises PromptsError with the place of a bad row, RunDirectoryError for a bad run, UsageError without a certificate.
    """
    return _read(source, "dpo", _pair, certified=certified)


def read_responses(source: str) -> Examples[ResponseExample]:
    """Return responses to imitate: a run's revisions, or rows of prompt and completion. Raises as `read_pairs` does."""
    return _read(source, "sft", _response)


def improvements(examples: Examples[ResponseExample], least: float) -> Examples[ResponseExample]:
    """Return the examples without the revisions whose `p_better` is below `least`."""
    train, test = (
        tuple(one for one in part if one.p_better is None or one.p_better >= least)
        for part in (examples.train, examples.test)
    )
    return replace(examples, train=train, test=test)


def _read(
    source: str, stage: Stage, example_of: Callable[[str, object], tuple[Any, str]], *, certified: bool = False
) -> Examples[Any]:
    path = Path(source)
    if (path / "manifest.json").is_file():
        run = CertifiedRun(path) if certified else Run(path)
        found = _split(source, stage, {"all": _rows_of(run, stage)}, run.config.pairs.test_fraction, example_of)
        rules = tuple(p.compare for p in run.constitution.principles if p.compare)
        origin = replace(found.origin, rules=rules, warnings=tuple(warnings_of(run)))
        return replace(found, origin=origin, template=run.config.to_train.chat_template_kwargs)
    files = _files(path, stage) if path.exists() else _on_the_hub(source)
    parts = {split: read_rows(file) for split, file in files.items()}
    if certified:
        parts = {split: _certified(rows) for split, rows in parts.items()}
    found = _split(source, stage, parts, HELD_OUT, example_of)
    return replace(found, origin=replace(found.origin, warnings=_exported_warnings(path)))


def _rows_of(run: Run, stage: Stage) -> Iterator[SourceRow]:
    for row in run.revision_rows() if stage == "sft" else run.preference_rows():
        yield f"{run.path}: {row.prompt_id}", row.model_dump(mode="json")


def _certified(rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
    """Yield the rows whose column `certified` is true. Raises UsageError where it is missing or empty."""
    for where, row in rows:
        mark = row.get("certified") if isinstance(row, dict) else None
        if mark is None:
            raise UsageError(f"{where}: is not marked as certified or not; make the dataset after rlaif certify RUN")
        if str(mark).lower() == "true":
            yield where, row


def _split(
    source: str,
    stage: Stage,
    parts: Mapping[str, Iterable[SourceRow]],
    test_fraction: float,
    example_of: Callable[[str, object], tuple[Any, str]],
) -> Examples[Any]:
    """Return the examples of the parts `train` and `test`; a single part is split by prompts."""
    splits: dict[str, list[Any]] = {"train": [], "test": []}
    constitutions: dict[str, None] = {}
    critics: dict[str, None] = {}
    for part, rows in parts.items():
        for where, row in rows:
            example, prompt = example_of(where, row)
            splits[part if len(parts) > 1 else split_of(prompt, test_fraction)].append(example)
            if row.get("constitution"):
                constitutions[f"{row['constitution']} ({row.get('constitution_hash') or 'no hash'})"] = None
            if row.get("critic"):
                critics[str(row["critic"])] = None
    if not splits["train"]:
        kind, advice = ("revision", "") if stage == "sft" else ("pair", "; try `rlaif train sft` on its revisions")
        held_out = f" ({len(splits['test'])} held out)" if splits["test"] else ""
        raise PromptsError(f"{source}: has no {kind} to train on{held_out}{advice}")
    train, test = (tuple(_unique(splits[name])) for name in ("train", "test"))
    return Examples(source, train, test, Origin(tuple(constitutions), tuple(critics)))


def _exported_warnings(path: Path) -> tuple[str, ...]:
    """Return the warnings of the run that a dataset was exported from; empty for other data."""
    path = path.resolve()
    for mark in (path / MARK, path.parent / MARK, path.parent.parent / MARK):
        try:
            return tuple(map(str, json.loads(mark.read_text(encoding="utf-8"))["warnings"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return ()


def _on_the_hub(source: str) -> Mapping[str, Path | str]:
    if source.startswith((".", "/", "~")) or source.count("/") != 1 or Path(source).suffix in _SUFFIXES:
        raise PromptsError(f"{source}: no such run, dataset or file")
    return {"train": source}


def _files(path: Path, stage: Stage) -> Mapping[str, Path | str]:
    """Return by split the files of a folder with train and test files; a single file is `train`."""
    if path.is_file():
        return {"train": path}
    for folder in (path / ("sft" if stage == "sft" else "preference"), path):
        places = {split: [folder / f"{split}{suffix}" for suffix in _SUFFIXES] for split in ("train", "test")}
        found = {split: next(filter(Path.is_file, files), None) for split, files in places.items()}
        if found["train"]:
            return {split: file for split, file in found.items() if file}
    raise PromptsError(f"{path}: is neither a run directory nor a dataset with a train file (.parquet, .jsonl, …)")


def _unique(rows: Iterable[Example]) -> Iterator[Example]:
    """Yield the examples with unique ids, because a prompt may have several pairs."""
    seen: dict[str, int] = {}
    for row in rows:
        seen[row.id] = seen.get(row.id, 0) + 1
        yield row if seen[row.id] == 1 else row.model_copy(update={"id": f"{row.id}#{seen[row.id]}"})


def _pair(where: str, row: object) -> tuple[PairExample, str]:
    fields = _columns(where, row, ("chosen", "rejected"))
    prompt, chosen = response_of(where, "chosen", fields["chosen"])
    same, rejected = response_of(where, "rejected", fields["rejected"])
    if prompt != same:
        raise PromptsError(f"{where}: `chosen` and `rejected` belong to different conversations")
    turns = prompt or conversation_of(where, fields.get("prompt"))
    if chosen.strip() == rejected.strip():
        raise PromptsError(f"{where}: both responses are the same, so there is no preference")
    name, group = _name(where, fields, turns)
    p_chosen = _probability(where, fields, "p_chosen", 1.0)
    tools = tools_of(where, fields.get("tools"))
    pair = PairExample(
        id=name,
        prompt=turns,
        tools=tools,
        chosen=chosen,
        rejected=rejected,
        chosen_reasoning=reasoning_of(fields["chosen"]),
        rejected_reasoning=reasoning_of(fields["rejected"]),
        p_chosen=p_chosen,
    )
    return pair, group


def _response(where: str, row: object) -> tuple[ResponseExample, str]:
    fields = _columns(where, row, ("completion",))
    prompt, completion = response_of(where, "completion", fields["completion"])
    turns = prompt or conversation_of(where, fields.get("prompt"))
    name, group = _name(where, fields, turns)
    p_better = _probability(where, fields, "p_better", None)
    tools = tools_of(where, fields.get("tools"))
    example = ResponseExample(
        id=name,
        prompt=turns,
        tools=tools,
        completion=completion,
        reasoning=reasoning_of(fields["completion"]),
        p_better=p_better,
    )
    return example, group


def _columns(where: str, row: object, needed: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise PromptsError(f"{where}: must be an object with columns, found {type(row).__name__}")
    missing = [name for name in needed if row.get(name) is None]
    if missing:
        raise PromptsError(f"{where}: has no `{missing[0]}`; it has {', '.join(map(str, row)) or 'nothing'}")
    return row


def _probability(where: str, fields: Mapping[str, Any], column: str, missing: Missing) -> float | Missing:
    value = fields.get(column)
    if value is None:
        return missing
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise PromptsError(f"{where}: {column} is {value!r}; must be a probability between 0 and 1")
    return number


def _name(where: str, fields: Mapping[str, Any], turns: tuple[Message, ...]) -> tuple[str, str]:
    """Return (the example's id, a key that all examples of its prompt share, by which they are split)."""
    given = next((str(fields[name]) for name in ("prompt_id", "id") if fields.get(name) is not None), None)
    made = content_hash(*(f"{turn.role}\n{turn.readable}" for turn in turns))
    return (given, str(fields.get("conversation") or given)) if given else (where, made)
