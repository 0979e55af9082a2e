"""Which evaluation prompts a model was trained on: those whose text stands in what it was trained on.

Comes in: a run directory, a dataset's folder or a file of rows. Goes out: the texts people wrote in it, and which of
the prompts are among them, give or take case and white space. A prompt that was put in other words goes unseen.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rlaif.datasets.files import read_rows
from rlaif.errors import UsageError
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import TRACES
from rlaif.runs.store import TraceReader

LONG = 40
"""Characters from which on a prompt may stand inside a longer one; a shorter one must be all of it."""
FIELDS = ("prompt", "messages", "conversations", "input", "question", "instruction", "text")
ENDINGS = (".jsonl", ".csv", ".parquet", ".gz", ".ndjson")
"""Of the files of a dataset's folder; its JSON files describe it."""


class TrainedOn:
    """The texts of one or several training sets."""

    def __init__(self, sources: Sequence[Path]) -> None:
        """Read them. Raises UsageError or PromptsError with file and line."""
        found = {plain for source in sources for text in _texts(source) if (plain := _plain(text))}
        self._texts = found
        self._all = "\x00".join(sorted(found))

    def __len__(self) -> int:
        return len(self._texts)

    def holds(self, text: str) -> bool:
        """Whether a text stands in them."""
        plain = _plain(text)
        return plain in self._texts or (len(plain) >= LONG and plain in self._all)

    def among(self, prompts: Iterable[Prompt]) -> list[str]:
        """Return the ids of the prompts whose last turn stands in them."""
        return [prompt.id for prompt in prompts if self.holds(prompt.messages[-1].content)]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _texts(source: Path) -> Iterator[str]:
    if (source / "manifest.json").is_file():
        with TraceReader(source / TRACES, Trace) as reader:
            yield from (message.content for prompt in reader.prompts() for message in prompt.messages)
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
            f"--trained-on {source}: no row in it has a prompt (looked for in {', '.join(FIELDS)}); name a run, a "
            "dataset's folder or a file"
        )


def _texts_of_row(row: object) -> Iterator[str]:
    """Yield what stands in the fields that hold prompts, of turns those that a person wrote."""
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
