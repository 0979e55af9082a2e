"""What the reviewers of a run say of each pair, counted, and the probability that another person would say the same.

A vote names a response or a tie; who cannot tell has no vote. The people's label of a pair is the response that more
than half of its votes name; otherwise they prefer neither.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from rlaif.runs.reviews import PersonVerdict, Reviews


@dataclass(frozen=True)
class Votes:
    """The reviewers' verdicts on one pair."""

    verdicts: Mapping[str, PersonVerdict]
    """By reviewer."""

    @property
    def counted(self) -> dict[str, int]:
        """Number of votes by response id; None of them for a response that nobody names."""
        counts: dict[str, int] = defaultdict(int)
        for verdict in self.verdicts.values():
            if verdict.better is not None:
                counts[verdict.better] += 1
        return dict(counts)

    @property
    def ties(self) -> int:
        """Votes for neither response."""
        return sum(verdict.verdict == "tie" for verdict in self.verdicts.values())

    @property
    def total(self) -> int:
        """Number of votes."""
        return self.ties + sum(self.counted.values())

    @property
    def majority(self) -> str | None:
        """Id of the response that more than half of the votes name; None where there is none."""
        return next((name for name, count in self.counted.items() if 2 * count > self.total), None)

    def for_(self, response: str) -> float:
        """Return the votes for a response, a tie counting half."""
        return self.counted.get(response, 0) + self.ties / 2


def votes_of(reviews: Reviews) -> dict[str, Votes]:
    """Return the votes on each pair that has a verdict, by the pair's id."""
    verdicts: dict[str, dict[str, PersonVerdict]] = defaultdict(dict)
    for name, found in reviews.items():
        for pair, verdict in found.items():
            verdicts[pair][name] = verdict
    return {pair: Votes(by_reviewer) for pair, by_reviewer in verdicts.items()}


def agreements(votes: Votes) -> tuple[int, int]:
    """Return (pairs of reviewers who say the same, pairs of reviewers), among those who prefer one response."""
    named = [verdict.better for verdict in votes.verdicts.values() if verdict.better is not None]
    pairs = list(combinations(named, 2))
    return sum(one == other for one, other in pairs), len(pairs)


PRIOR_AGREEMENT = 2 / 3
"""Agreement of two people before any is measured: that of a uniform distribution over how many people prefer a."""
PRIOR_PAIRS = 3
"""Pairs that the prior is worth."""


@dataclass(frozen=True)
class Agreement:
    """How often two people prefer the same response of a pair."""

    measured: float | None
    """Mean over the pairs on which two or more reviewers prefer one response; None without such a pair."""
    pairs: int
    """Number of these pairs."""

    @property
    def expected(self) -> float:
        """The measured share, shrunk to `PRIOR_AGREEMENT` with the weight of `PRIOR_PAIRS` pairs."""
        prior = PRIOR_AGREEMENT * PRIOR_PAIRS
        return ((self.measured or 0.0) * self.pairs + prior) / (self.pairs + PRIOR_PAIRS)

    def p(self, votes: Votes, response: str) -> float:
        """Return the probability that another person prefers a response, given the votes; 0.5 without information.

        The share q of people who prefer it has a Beta(a, a) prior over pairs, with the a that gives two people the
        expected agreement A: E[q² + (1 - q)²] = (a + 1) / (2a + 1) = A. The posterior mean is (k + a) / (n + 2a) with k
        of n votes for it, a tie counting half. One vote thus gives exactly A.
        """
        expected = self.expected
        if expected <= 0.5:
            return 0.5
        a = (1 - expected) / (2 * expected - 1)
        return (votes.for_(response) + a) / (votes.total + 2 * a)


def agreement_of(votes: Iterable[Votes]) -> Agreement:
    """Return how often two reviewers prefer the same response; each pair counts once, however many reviewed it."""
    shares = [same / of for same, of in map(agreements, votes) if of]
    return Agreement(sum(shares) / len(shares) if shares else None, len(shares))
