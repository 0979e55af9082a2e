"""A run whose reviewed pairs have the label of the people who reviewed them, instead of the critic's.

The run itself and its own dataset stay as they are: this is another view of the same traces, and a function of them and
of the verdicts in `reviews/`. A pair of which not more than half of the votes name one response is left out, because
people prefer neither; one of which nobody could tell keeps the critic's label.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from rlaif.errors import UsageError
from rlaif.preferences.judgement import ROUNDING
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Probability, Record
from rlaif.runs.pair_ids import id_of
from rlaif.runs.reader import Run
from rlaif.runs.reviews import read_reviews
from rlaif.runs.rows import PreferenceRow
from rlaif.runs.votes import Agreement, Votes, agreement_of, votes_of
from rlaif.seeds import content_hash

_SIDES = ("score_{}", "score_{}_se", "{}_origin", "{}_model", "{}_id", "{}")
"""Names of columns that exist for the chosen and for the rejected response."""


class ReviewedRow(PreferenceRow):
    """One preference pair, with people's label where they reviewed it."""

    p_chosen: Probability
    """Probability that `chosen` is the better response: under the constitution, according to the judges; where people
    decided, the probability that another person prefers it, (k + a) / (n + 2a) with k of n votes for it (a tie counts
    half) and the a that fits how often two reviewers agree."""
    p_chosen_from: Literal["posterior", "matchup", "checks", "people"]
    """`people`: more than half of the reviewers' votes name `chosen`. Otherwise the judges' label: `posterior`:
    `p_chosen` is the posterior probability given all matchups of the prompt and the noise of the verdicts over the run.
    `matchup`: it is that of the pair's own matchup, not calibrated. `checks`: programs decided the pair."""
    p_raw: Probability
    """Probability from the judges' matchup of the pair, without any correction and without people; below 0.5 where
    people chose the other response."""
    votes_for: int | None = None
    """Reviewers who say that `chosen` is better; empty where nobody has a vote."""
    votes_against: int | None = None
    """Reviewers who say that `rejected` is better."""
    votes_tie: int | None = None
    """Reviewers who say that neither is better."""


class People(Record):
    """What people's verdicts change in a dataset."""

    reviewers: int
    verdicts: str
    """Content hash of the verdicts that count."""
    by_people: int
    """Pairs with people's label."""
    reversed: int
    """Those among them on which the critic had chosen the other response."""
    left_out: int
    """Pairs that are left out because people prefer neither response."""
    agreement: float | None
    """How often two reviewers prefer the same response, measured on `agreement_pairs`; None without such a pair."""
    agreement_pairs: int
    agreement_used: float
    """The same, shrunk to two thirds with the weight of three pairs: `p_chosen` of a pair with a single vote."""


class ReviewedRun(Run):
    """A run whose `preference_rows` have people's labels where there are any.

    Raises UsageError for a run without verdicts, and for one whose reviewers do not agree more than by chance.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        reviews = read_reviews(self.path)
        self._votes = votes_of(reviews)
        self._reviewers = sum(bool(found) for found in reviews.values())
        if not self._votes:
            raise UsageError(f"{path} has no verdicts of people; rlaif review {path} --reviewer NAME")

    def preference_rows(self) -> Iterator[ReviewedRow]:
        """Yield the pairs as rows of the dataset, with people's labels."""
        for row in super().preference_rows():
            label = self._labelled(row)
            if label is not None:
                yield label

    @cached_property
    def people(self) -> People:
        """What people's verdicts change; reads all traces once."""
        counts: Counter[str] = Counter()
        for row in super().preference_rows():
            label, votes = self._labelled(row), self._votes.get(id_of(row))
            counts["by_people"] += label is not None and label.p_chosen_from == "people"
            counts["reversed"] += label is not None and label.chosen_id != row.chosen_id
            counts["left_out"] += votes is not None and label is None
        return People(
            reviewers=self._reviewers,
            verdicts=_hash_of(self._votes),
            by_people=counts["by_people"],
            reversed=counts["reversed"],
            left_out=counts["left_out"],
            agreement=self._agreement.measured,
            agreement_pairs=self._agreement.pairs,
            agreement_used=self._agreement.expected,
        )

    @cached_property
    def _agreement(self) -> Agreement:
        own = {id_of(row) for row in super().preference_rows()}
        found = agreement_of(votes for pair, votes in self._votes.items() if pair in own)
        if found.expected <= 0.5:
            raise UsageError(
                f"{self.path}: two reviewers prefer the same response in {found.measured:.0%} of {found.pairs} pairs, "
                "which is what chance gives: their labels are not better than none; see `rlaif review RUN --results`"
            )
        return found

    def _labelled(self, row: PreferenceRow) -> ReviewedRow | None:
        """Return a pair with people's label, with the critic's where nobody has a vote, or None for no label."""
        votes = self._votes.get(id_of(row))
        # A certificate is about the critic's labels of all pairs.
        data = {name: getattr(row, name) for name in PreferenceRow.model_fields} | {"certified": None}
        if votes is None or not votes.total:
            return ReviewedRow.model_construct(**data)
        if votes.majority is None:
            return None
        if votes.majority != row.chosen_id:
            data |= _reversed(row, max(self.rule.min_margin, TIE_LOGIT / 4) - ROUNDING)
        return ReviewedRow.model_validate(data | self._by_people(votes, votes.majority))

    def _by_people(self, votes: Votes, chosen: str) -> dict[str, Any]:
        p = self._agreement.p(votes, chosen)
        count = votes.counted[chosen]
        return {
            "p_chosen": p,
            "p_chosen_from": "people",
            "p_margin": p - 0.5,
            "votes_for": count,
            "votes_against": votes.total - votes.ties - count,
            "votes_tie": votes.ties,
        }


def _reversed(row: PreferenceRow, least: float) -> dict[str, Any]:
    """Return the columns that change when the other response is the chosen one.

    `least` is the distance from 0.5 from which on a principle objects, as in `judgement.objecting`.
    """
    swapped = {
        name.format(one): getattr(row, name.format(other))
        for name in _SIDES
        for one, other in (("chosen", "rejected"), ("rejected", "chosen"))
    }
    principles = [one.model_copy(update={"p": 1 - one.p}) for one in row.principles]
    return swapped | {
        "given_label": {"chosen": "rejected", "rejected": "chosen"}.get(row.given_label or "", row.given_label),
        "p_raw": 1 - row.p_raw,
        "subtracted": None if row.subtracted is None else -row.subtracted,
        "principles": principles,
        "objecting": [one.id for one in principles if 0.5 - one.p >= least],
    }


def _hash_of(votes: dict[str, Votes]) -> str:
    lines = [
        f"{pair}\n{verdict.first}\n{verdict.second}\n{verdict.verdict}"
        for pair, found in votes.items()
        for verdict in found.verdicts.values()
    ]
    return content_hash(*sorted(lines))
