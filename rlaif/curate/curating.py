"""Decide for each row of a source whether it is kept, and if not, why not.

The order: `min_p`, detectors, test sets, near-duplicates, the best rows. A row is dropped for the first reason that
applies; duplicates come late, so that the kept one of several is one that nothing else drops.
"""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlaif.curate.contamination import EvaluationRow, EvaluationSets, Hit, texts_of
from rlaif.curate.detectors import Detector, chosen_detectors
from rlaif.curate.duplicates import near_duplicates
from rlaif.curate.recipe import Dropped, Input, Match, Settings
from rlaif.curate.selection import best, best_and_diverse
from rlaif.curate.source import Source, SourcePair, input_of, pairs
from rlaif.curate.texts import TextFile
from rlaif.datasets.files import read_rows
from rlaif.datasets.prompts import locate
from rlaif.errors import PromptsError, UsageError

Say = Callable[[str], None]
SAY_EVERY_S = 1.0
SHOWN = 200
"""Characters of a test row's text that are recorded."""


class Name(NamedTuple):
    """How a row is called."""

    row: str
    id: str | None
    chosen_id: str | None
    rejected_id: str | None


class Sides(NamedTuple):
    """Hashes of a row's responses, by which the opposite label is recognised."""

    chosen: bytes
    rejected: bytes


@dataclass
class Decisions:
    """Which rows of a source are kept, and why the others are not."""

    names: list[Name] = field(default_factory=list)
    sides: list[Sides] = field(default_factory=list)
    """Only where near-duplicates are searched for."""
    dropped: dict[int, Dropped] = field(default_factory=dict)
    """By the row's number."""
    test_sets: tuple[Input, ...] = ()
    notes: list[str] = field(default_factory=list)
    certified: Counter[bool] = field(default_factory=Counter)
    """Certified rows by whether they are kept."""

    def counts(self) -> dict[str, int]:
        """Return the number of dropped rows by reason."""
        return dict(sorted(Counter(one.reason for one in self.dropped.values()).items()))

    def drop(self, row: int, reason: str, detail: str | None = None, match: Match | None = None) -> None:
        """Record why a row is dropped; it must not be dropped yet."""
        name = self.names[row]
        self.dropped[row] = Dropped(**name._asdict(), reason=reason, detail=detail, match=match)


def decide(source: Source, settings: Settings, say: Say = lambda _: None) -> Decisions:
    """Return what is kept and dropped. Raises PromptsError for bad rows, UsageError for settings that cannot apply."""
    detectors = chosen_detectors(settings.drop, source)
    tests = _EvaluationFiles(settings)
    found = Decisions(test_sets=tuple(tests.inputs))
    with ExitStack() as stack:
        near = stack.enter_context(TextFile()) if settings.near_duplicates is not None else None
        asked = near if settings.near_by == "prompt" else None
        if settings.diverse and asked is None:
            asked = stack.enter_context(TextFile())
        margins, certified = array("d"), bytearray()
        clock = _Clock(say)
        for number, pair in enumerate(pairs(source)):
            clock.tick(f"read {number:,} rows")
            found.names.append(_name(pair))
            margins.append(abs((1.0 if pair.p_chosen is None else pair.p_chosen) - 0.5))
            certified.append(pair.columns.get("certified") is True)
            if number == 0:
                _check_columns(pair, settings, detectors, found)
            _examine(number, pair, settings, detectors, tests.sets, found)
            if near is not None:
                found.sides.append(Sides(_hash(pair.chosen), _hash(pair.rejected)))
                near.add(pair.asked if asked is near else "\n".join((pair.asked, pair.chosen, pair.rejected)))
            if asked is not None and asked is not near:
                asked.add(pair.asked)
        if not found.names:
            raise PromptsError(f"{source.name}: has no pairs")
        _choose(found, settings, np.frombuffer(margins), near, asked, clock)
    for row in np.flatnonzero(np.frombuffer(certified, dtype=np.uint8)):
        found.certified[int(row) not in found.dropped] += 1
    return found


def _examine(
    number: int,
    pair: SourcePair,
    settings: Settings,
    detectors: Mapping[str, Detector],
    tests: EvaluationSets | None,
    found: Decisions,
) -> None:
    """Drop a row for a reason that is found in the row itself."""
    if settings.min_p is not None and pair.p_chosen is not None and pair.p_chosen < settings.min_p:
        found.drop(number, "p_chosen too small", f"{pair.p_chosen:.4f}")
        return
    for name, detector in detectors.items():
        detail = detector.find(pair)
        if detail is not None:
            found.drop(number, name, detail)
            return
    if tests is not None:
        texts = (pair.asked, pair.chosen, pair.rejected) if settings.against_responses else (pair.asked,)
        hits = [hit for text in texts if (hit := tests.nearest(text, settings.overlap)) is not None]
        if hits:
            found.drop(number, "near a test row", match=_match(max(hits, key=lambda hit: hit.share)))


def _choose(
    found: Decisions,
    settings: Settings,
    margins: NDArray[np.float64],
    near: TextFile | None,
    asked: TextFile | None,
    clock: "_Clock",
) -> None:
    """Drop near-duplicates, and what is not among the best."""
    order = best(_left(found), margins, len(margins))
    if near is not None and settings.near_duplicates is not None:
        for row, of, similarity in near_duplicates(
            near,
            order,
            settings.near_duplicates,
            settings.seed,
            same=lambda one, other: (
                settings.near_by == "prompt" and _of_one_prompt(found.names[one], found.names[other])
            ),
            say=lambda n: clock.tick(f"compared {n:,} rows"),
        ):
            name = found.names[of]
            opposite = found.sides[row] == found.sides[of][::-1]
            reason = "near-duplicate with the opposite label" if opposite else "near-duplicate"
            found.drop(row, reason, match=Match(place=name.row, id=name.id, similarity=round(similarity, 4)))
    count, rows = settings.keep_best, _left(found)
    if count is None:
        return
    if count > len(rows):
        found.notes.append(f"--keep-best {count:,}: only {len(rows):,} rows are left; all of them are kept")
    if settings.diverse and asked is not None and rows:
        chosen = best_and_diverse(asked, rows, margins, count, settings.seed, lambda n: clock.tick(f"chose {n:,} rows"))
    else:
        chosen = best(rows, margins, count)
    for row in sorted(set(rows) - set(chosen)):
        found.drop(row, "not among the best")


def _of_one_prompt(one: Name, other: Name) -> bool:
    """Whether two rows are pairs of one prompt: it has several by design, not by mistake."""
    return one.id is not None and one.id == other.id


def _left(found: Decisions) -> list[int]:
    return [row for row in range(len(found.names)) if row not in found.dropped]


def _name(pair: SourcePair) -> Name:
    ids = (pair.columns.get(name) for name in ("chosen_id", "rejected_id"))
    return Name(pair.row, pair.id, *(None if one is None else str(one) for one in ids))


def _hash(text: str) -> bytes:
    return blake2b(" ".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _match(hit: Hit) -> Match:
    text = " ".join(hit.row.text.split())
    return Match(place=hit.row.place, id=hit.row.id, similarity=round(hit.share, 4), text=text[:SHOWN])


def _check_columns(pair: SourcePair, settings: Settings, detectors: Mapping[str, Detector], found: Decisions) -> None:
    for name, detector in detectors.items():
        if detector.column is not None and detector.column not in pair.columns:
            raise UsageError(f"--drop {name}: {pair.where} has no column `{detector.column}`, by which it decides")
    if "p_chosen" not in pair.columns:
        if settings.min_p is not None:
            raise UsageError(f"--min-p: {pair.where} has no column `p_chosen`")
        if settings.near_duplicates is not None or settings.keep_best is not None:
            found.notes.append("the rows have no p_chosen: all count as equally good, and earlier rows come first")


class _Clock:
    """Reports at most once in SAY_EVERY_S."""

    def __init__(self, say: Say) -> None:
        self._say, self._last = say, time.monotonic()

    def tick(self, text: str) -> None:
        if time.monotonic() - self._last >= SAY_EVERY_S:
            self._last = time.monotonic()
            self._say(text)


class _EvaluationFiles:
    """The rows of the test sets."""

    def __init__(self, settings: Settings) -> None:
        self.inputs: list[Input] = []
        rows = [row for name in settings.against for row in self._rows(name, settings)]
        self.sets = EvaluationSets(rows, settings.ngram) if settings.against else None

    def _rows(self, name: str, settings: Settings) -> Iterator[EvaluationRow]:
        source = locate(name)
        split = settings.against_split
        shown = name if isinstance(source, str) else source.name
        number = texts = 0
        row: object = None
        for number, (where, row) in enumerate(read_rows(source, split), start=1):  # noqa: B007  (used after the loop)
            given = row.get("id", row.get("prompt_id")) if isinstance(row, dict) else None
            place = f"{shown}{where.removeprefix(name)}"
            for text in texts_of(row, settings.against_columns):
                texts += 1
                yield EvaluationRow(place, None if given is None else str(given), text)
        if not texts:
            has = ", ".join(map(str, row)) if isinstance(row, dict) else "no columns"
            raise PromptsError(
                f"{name}: none of its {number} rows has a text to compare; it has {has}; name one by --against-column"
            )
        self.inputs.append(input_of(source, shown, split, number))
