"""One person's review of a run: which pair comes next, what the page may know of it, and the verdicts as they come.

The page gets the conversation, two texts and the person's own earlier verdict, and nothing else: no ids of prompts or
responses, no probabilities, no names of models, not how the pair was drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from rlaif.errors import UsageError
from rlaif.evaluate.review_plan import Planned, sides
from rlaif.records import Record
from rlaif.runs.reviews import LONGEST_WORDS, Choice, PersonVerdict, ReviewFile
from rlaif.runs.rows import PreferenceRow
from rlaif.templates import tools_as_text


class RuleText(Record):
    """A principle as the reviewer reads it."""

    name: str
    text: str


class State(Record):
    """What the page shows around the pairs."""

    run: str
    reviewer: str
    constitution: str
    rules: tuple[RuleText, ...]
    total: int
    """Pairs to be reviewed."""
    done: int
    next: int | None
    """Place of the first pair without a verdict, from 0; None where all have one."""


class Turn(Record):
    """One turn of a conversation."""

    role: str
    text: str


class Shown(Record):
    """A pair as the page shows it."""

    place: int
    id: str
    conversation: tuple[Turn, ...]
    first: str
    second: str
    verdict: Choice | None
    """The person's earlier verdict."""
    words: str


class Given(Record):
    """A verdict as the page sends it."""

    id: str
    """The pair that was on the page; it must be the one at that place."""
    verdict: Choice
    words: str = Field(default="", max_length=LONGEST_WORDS)
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Session:
    """One person's review of a run."""

    run: str
    reviewer: str
    constitution: str
    rules: tuple[RuleText, ...]
    queue: Sequence[Planned]
    file: ReviewFile

    @property
    def done(self) -> int:
        """Number of pairs of the queue with a verdict."""
        return sum(one.id in self.file.verdicts for one in self.queue)

    @property
    def state(self) -> State:
        """The present state."""
        places = (place for place, one in enumerate(self.queue) if one.id not in self.file.verdicts)
        return State(
            run=self.run,
            reviewer=self.reviewer,
            constitution=self.constitution,
            rules=self.rules,
            total=len(self.queue),
            done=self.done,
            next=next(places, None),
        )

    def show(self, place: int) -> Shown:
        """Return the pair at a place of the queue, from 0. Raises UsageError for a place outside it."""
        planned = self._at(place)
        row, before = planned.row, self.file.verdicts.get(planned.id)
        texts = {row.chosen_id: row.chosen[0].content, row.rejected_id: row.rejected[0].content}
        first, second = sides(row, self.reviewer)
        return Shown(
            place=place,
            id=planned.id,
            conversation=_conversation(row),
            first=texts[first],
            second=texts[second],
            verdict=before.verdict if before else None,
            words=(before.words or "") if before else "",
        )

    def judge(self, place: int, given: Given) -> State:
        """Write the verdict on the pair at a place; return the state after it. Raises UsageError, StorageError."""
        planned = self._at(place)
        if planned.id != given.id:
            raise UsageError("the page shows another pair than this program; reload it")
        first, second = sides(planned.row, self.reviewer)
        self.file.add(
            PersonVerdict(
                id=planned.id,
                prompt_id=planned.row.prompt_id,
                first=first,
                second=second,
                verdict=given.verdict,
                words=given.words.strip() or None,
                drawn=planned.drawn,
                seconds=None if given.seconds is None else round(given.seconds, 1),
                at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
        return self.state

    def _at(self, place: int) -> Planned:
        if not 0 <= place < len(self.queue):
            raise UsageError(f"there is no pair {place + 1}; reload the page")
        return self.queue[place]


def _conversation(row: PreferenceRow) -> tuple[Turn, ...]:
    """Return the turns before the responses, after the tools that the assistant can call where there are any."""
    tools = [Turn(role="tools that the assistant can call", text=tools_as_text(row.tools))] if row.tools else []
    return (*tools, *(Turn(role=turn.role, text=turn.readable) for turn in row.prompt))
