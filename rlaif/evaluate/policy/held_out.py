"""Leave out the evaluation prompts whose text is in the training data.

The input is run directories, dataset folders or files of rows, the result the test without the prompts and probes that
are among their users' texts. Case and white space are ignored. A paraphrase of a prompt is not found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rlaif.datasets.files import read_rows
from rlaif.errors import UsageError
from rlaif.evaluate.policy.questions import ChoiceQuestion, Claim, NeutralText, PolicyTest, Probes
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import TRACES
from rlaif.runs.store import TraceReader

LONG = 40
"""Least number of characters of a prompt that is also searched within longer texts."""
FIELDS = ("prompt", "messages", "conversations", "input", "question", "instruction", "text")
ENDINGS = (".jsonl", ".csv", ".parquet", ".gz", ".ndjson")
"""Suffixes of the files with rows in a dataset's folder; its .json files are descriptions."""


Probe = TypeVar("Probe", Prompt, Claim, ChoiceQuestion, NeutralText)


def without_trained_on(test: PolicyTest, sources: Sequence[Path]) -> PolicyTest:
    """Return the test without prompts and probes in these training sets; `dropped` has the ids left out."""
    if not sources:
        return test
    known, probes = TrainedOn(sources), test.probes
    dropped: list[str] = []

    def kept(questions: Sequence[Probe], texts_of: Callable[[Probe], Sequence[str]]) -> tuple[Probe, ...]:
        found = {one.id for one in questions if any(map(known.contains, texts_of(one)))}
        dropped.extend(found)
        return tuple(one for one in questions if one.id not in found)

    def last_turn(prompt: Prompt) -> list[str]:
        return [prompt.messages[-1].content]

    return replace(
        test,
        prompts=kept(test.prompts, last_turn),
        probes=Probes(
            harmless=kept(probes.harmless, last_turn),
            harmful=kept(probes.harmful, last_turn),
            claims=kept(probes.claims, lambda claim: [claim.plain, claim.claimed]),
            questions=kept(probes.questions, lambda question: [question.question]),
            texts=kept(probes.texts, lambda text: [text.text]),
        ),
        dropped=tuple(sorted(dropped)),
    )


class TrainedOn:
    """The texts of one or several training sets."""

    def __init__(self, sources: Sequence[Path]) -> None:
        """Read the training sets. Raises UsageError, or PromptsError with file and line."""
        self._texts = {plain for source in sources for text in _texts(source) if (plain := _plain(text))}
        self._all = "\x00".join(sorted(self._texts))

    def contains(self, text: str) -> bool:
        """Whether a text is one of them, or, with at least LONG characters, part of one."""
        plain = _plain(text)
        return plain in self._texts or (len(plain) >= LONG and plain in self._all)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(source: Path) -> Iterator[str]:
    if (source / "manifest.json").is_file():
        with TraceReader(source / TRACES, Trace) as reader:
            yield from (message.readable for prompt in reader.prompts() for message in prompt.messages)
        return
    if not source.exists():
        raise UsageError(f"--trained-on {source}: no such run directory, dataset folder or file")
    files = [source] if source.is_file() else sorted(f for f in source.rglob("*") if f.suffix in ENDINGS)
    found = False
    for file in files:
        for _, row in read_rows(file):
            for text in _texts_of_row(row):
                found = True
                yield text
    if not found:
        raise UsageError(
            f"--trained-on {source}: none of its rows has a prompt (in {', '.join(FIELDS)}); give a run, a dataset "
            "folder or a file"
        )


def _texts_of_row(row: object) -> Iterator[str]:
    """Yield the texts of the fields with prompts; for a conversation, the user's turns."""
    if isinstance(row, str):
        yield row
    elif isinstance(row, dict):
        for field in FIELDS:
            yield from _texts_of_value(row.get(field))


def _texts_of_value(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for turn in value:
            if isinstance(turn, dict) and turn.get("role", turn.get("from")) in {"user", "human"}:
                yield from _texts_of_value(turn.get("content", turn.get("value")))
