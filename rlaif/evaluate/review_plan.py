"""Which pairs of a run people review, in which order, and on which side a response is shown.

Input: the run's pairs. Output: a queue that is the same for all reviewers, so that they can be compared. A share of it
is a random sample of the run's pairs, the one that `rlaif certify --sample` draws with the same seed: what is measured
on it holds for the run. The others are those from which most is learned (`teaches`), the first ones first. Both are
mixed, so that whoever stops early has judged both kinds. Neither the order nor the side says anything about a pair's
label: pairs are shuffled within blocks, sides by a hash of the pair and the reviewer.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from rlaif.errors import RunDirectoryError, UsageError
from rlaif.evaluate.label_sample import random_order
from rlaif.records import Record
from rlaif.runs.directory import read_text, write_text
from rlaif.runs.pair_ids import hash_of_pairs, id_of, plain
from rlaif.runs.reviews import REVIEWS, Drawn
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash, derive_seed
from rlaif.stats.log_odds import log_odds

Value = TypeVar("Value")

PLAN = "plan.json"
"""File beside the reviewers' files."""
PAIRS = 100
"""Pairs of a review for which no number is given."""
RANDOM_SHARE = 0.5
BLOCK = 10
"""Pairs within which the order is shuffled: it does not show how sure the critic is of a pair."""


class ReviewPlan(Record):
    """The settings that determine the queue of a run's review, together with the run's pairs."""

    pairs: int = Field(ge=1)
    """Pairs to be reviewed."""
    random: float = Field(ge=0, le=1)
    """Share of them that is a random sample of the run's pairs."""
    seed: int
    drawn_from: str
    """Hash of the run's pairs when the queue was made."""


@dataclass(frozen=True)
class Planned:
    """A pair in the queue."""

    id: str
    row: PreferenceRow
    drawn: Drawn


def settle_plan(
    run: Path, rows: Sequence[PreferenceRow], pairs: int | None, share: float | None, seed: int | None
) -> tuple[ReviewPlan, list[str]]:
    """Write and return the plan of a run's review, and what changed. None stands for the setting of the plan so far.

    Raises UsageError for more pairs than the run has.
    """
    before = read_plan(run)
    if pairs is not None and pairs > len(rows):
        raise UsageError(f"--pairs {pairs}: the run has only {len(rows)} pairs")
    given = {"pairs": pairs, "random": share, "seed": seed}
    start = before.model_dump() if before else {"pairs": PAIRS, "random": RANDOM_SHARE, "seed": 0}
    chosen = start | {name: value for name, value in given.items() if value is not None}
    chosen |= {"pairs": min(chosen["pairs"], len(rows)), "drawn_from": hash_of_pairs(rows)}
    plan = ReviewPlan(**chosen)
    if plan != before:
        write_text(run / REVIEWS / PLAN, plan.model_dump_json(indent=2) + "\n")
    return plan, _changes(before, plan) if before else []


def _changes(before: ReviewPlan, plan: ReviewPlan) -> list[str]:
    changed = [
        f"{name} {getattr(before, name):g} → {getattr(plan, name):g}"
        for name in ("pairs", "random", "seed")
        if getattr(before, name) != getattr(plan, name)
    ]
    if before.drawn_from != plan.drawn_from:
        changed.append("the run has other pairs now")
    return changed


def read_plan(run: Path) -> ReviewPlan | None:
    """Return the plan of a run's review, None where there is none. Raises RunDirectoryError."""
    text = read_text(run / REVIEWS / PLAN)
    try:
        return ReviewPlan.model_validate_json(text) if text else None
    except ValidationError as error:
        raise RunDirectoryError(
            f"{run / REVIEWS / PLAN}: is not a plan of this version ({error.errors()[0]['msg']}); remove it, the "
            "verdicts stay"
        ) from None


def queue(rows: Sequence[PreferenceRow], plan: ReviewPlan) -> list[Planned]:
    """Return the pairs to be reviewed, in order."""
    shuffled = random_order({id_of(row): row for row in rows}.values(), plan.seed)
    size = min(plan.pairs, len(shuffled))
    sampled = round(plan.random * size)
    by_value = sorted(shuffled[sampled:], key=lambda row: -teaches(row))[: size - sampled]
    rng = random.Random(derive_seed(plan.seed, "review"))
    drawn = iter(shuffled[:sampled])
    teaching = iter(_shuffled_blocks(by_value, rng))
    turns = _shuffled_blocks(_turns(size, sampled), rng)
    return [_planned(next(drawn), "random") if turn else _planned(next(teaching), "teaching") for turn in turns]


def _planned(row: PreferenceRow, drawn: Drawn) -> Planned:
    return Planned(id_of(row), row, drawn)


def _turns(size: int, sampled: int) -> list[bool]:
    """Return, for each place of the queue, whether it has a pair of the random sample: evenly spaced."""
    return [(place + 1) * sampled // size > place * sampled // size for place in range(size)]


def _shuffled_blocks(values: Sequence[Value], rng: random.Random) -> list[Value]:
    blocks = [list(values[start : start + BLOCK]) for start in range(0, len(values), BLOCK)]
    for block in blocks:
        rng.shuffle(block)
    return [value for block in blocks for value in block]


def teaches(row: PreferenceRow) -> float:
    """Return how likely it is that a person says otherwise, as far as the run tells: the larger of two, up to 0.5.

    1 - p_chosen; and the probability that another principle, judge or order of the responses would have given the other
    label, if their log-odds are normal around those of the pair's matchup with the spread that was seen.
    """
    spread = math.sqrt(sum(sd**2 for sd in (row.sd_principles, row.sd_judges, row.sd_orders) if sd is not None))
    distance = abs(log_odds(row.p_raw))
    other = 0.5 * math.erfc(distance / spread / math.sqrt(2)) if spread else 0.0
    return max(1 - row.p_chosen, other)


def sides(row: PreferenceRow, reviewer: str) -> tuple[str, str]:
    """Return the ids of the responses that a reviewer is shown as number 1 and number 2."""
    chosen, rejected = (plain(turn[0].content) for turn in (row.chosen, row.rejected))
    ids = (row.chosen_id, row.rejected_id) if chosen <= rejected else (row.rejected_id, row.chosen_id)
    swapped = int(content_hash("sides", reviewer, id_of(row)), 16) % 2 == 1
    return ids[::-1] if swapped else ids
