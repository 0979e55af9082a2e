"""Choose which responses of a run are edited, and how: the same matchups as in the run, with one edit on one side.

Each edit gets up to a given number of prompts, drawn by a hash of their ids, so that different edits are tried on the
same prompts as far as they can be made there. The edited side is drawn so that both sides are edited equally often.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace
from typing import Literal

from rlaif.records import Matchup, Prompt, Response, Trace
from rlaif.seeds import content_hash, derive_seed
from rlaif.text.edits import edited
from rlaif.text.shortcuts import Shortcut, feature_changes

Side = Literal["a", "b"]


@dataclass(frozen=True)
class JudgedMatchup:
    """A matchup of a run with what its judges were asked about it."""

    prompt: Prompt
    a: Response
    b: Response
    matchup: Matchup
    judged_by: tuple[str, ...]
    """Ids of the principles that were put to the judges."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Prompt and responses, by id."""
        return self.prompt.id, self.a.id, self.b.id


@dataclass(frozen=True)
class PlannedEdit:
    """One edit of one response of a matchup."""

    of: JudgedMatchup
    edit: Shortcut
    side: Side
    text: str
    """The edited response."""

    @property
    def original(self) -> Response:
        """The response that is edited."""
        return self.of.a if self.side == "a" else self.of.b

    @property
    def responses(self) -> tuple[Response, Response]:
        """Both responses (a, b), one of them edited; ids stay."""
        new = self.original.model_copy(update={"text": self.text})
        return (new, self.of.b) if self.side == "a" else (self.of.a, new)

    def changes(self, names: Sequence[Shortcut]) -> Mapping[Shortcut, float]:
        """Return how the edit changed the response's features."""
        return feature_changes(self.original.text, self.text, names)


def plan_edits(traces: Iterator[Trace], edits: Sequence[Shortcut], prompts: int, seed: int) -> list[PlannedEdit]:
    """Return the edits of up to `prompts` prompts for each edit; reads all traces once."""
    drawn: dict[Shortcut, list[tuple[int, str, JudgedMatchup]]] = {edit: [] for edit in edits}
    for trace in traces:
        judged = list(_judged_matchups(trace, seed))
        rank = -int(content_hash("shortcuts", str(seed), trace.prompt.id), 16)
        for edit, heap in drawn.items():
            full = len(heap) >= prompts
            if full and rank < heap[0][0]:
                continue
            found = next((one for one in judged if any(_edited(one, edit, side, seed) for side in ("a", "b"))), None)
            if found is not None:
                (heapreplace if full else heappush)(heap, (rank, trace.prompt.id, found))
    return [planned for edit, heap in drawn.items() for planned in _with_sides(edit, sorted(heap, reverse=True), seed)]


def _judged_matchups(trace: Trace, seed: int) -> Iterator[JudgedMatchup]:
    """Yield the matchups of a trace that judges were asked about, in random order; those of the design if there are."""
    judged = [one for one in trace.matchups if one.verdicts or one.scores]
    designed = [one for one in judged if one.purpose == "design"] or judged
    rng = random.Random(derive_seed(seed, trace.prompt.id, "shortcuts"))
    for matchup in rng.sample(designed, len(designed)):
        yield JudgedMatchup(
            trace.prompt, trace.response(matchup.a), trace.response(matchup.b), matchup, trace.judged_by
        )


def _with_sides(edit: Shortcut, drawn: Sequence[tuple[int, str, JudgedMatchup]], seed: int) -> Iterator[PlannedEdit]:
    """Yield the edits; sides are drawn for two prompts at a time, one each, and changed only where it must be."""
    rng, waiting = random.Random(derive_seed(seed, edit, "sides")), list[Side]()
    for _, _, judged in drawn:
        if not waiting:
            waiting = rng.sample(("a", "b"), 2)
        side = waiting.pop()
        other: Side = "b" if side == "a" else "a"
        for one in (side, other):
            if (text := _edited(judged, edit, one, seed)) is not None:
                yield PlannedEdit(judged, edit, one, text)
                break


def _edited(judged: JudgedMatchup, edit: Shortcut, side: str, seed: int) -> str | None:
    response = judged.a if side == "a" else judged.b
    return edited(edit, response.text, random.Random(derive_seed(seed, judged.prompt.id, edit, "wording")))
