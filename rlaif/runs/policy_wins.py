"""Which of several policies wins, over all and under each principle, with 95 % intervals over prompts.

The input are the judged matchups of two policies' samples, of the design only: later ones are asked because of the
ranking. Judges do not see which policy wrote a response.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from rlaif.preferences.judgement import Judgement
from rlaif.preferences.pairs import Conclusion
from rlaif.records import Record, Trace
from rlaif.stats.estimates import Estimate, Tallies, Tally


class PolicyWins(Record):
    """How often one policy's responses are judged better than another's."""

    policy: str
    other: str
    matchups: int
    """Matchups of a response of each."""
    wins: Estimate
    """Share of those with a label in which `policy` wins."""
    by_principle: dict[str, Estimate]
    """Share won under one principle alone; half of a tie is won."""


Two = tuple[str, str]


def tally_policies(trace: Trace, conclusion: Conclusion, policies: Sequence[str]) -> Tally:
    """Return the counts of one prompt."""
    by = {response.id: response.policy for response in trace.responses if response.origin == "sample"}
    tally = Tally()
    for judgement in conclusion.judgements:
        two = by.get(judgement.a), by.get(judgement.b)
        if judgement.purpose == "final" or None in two or two[0] == two[1]:
            continue
        turned = policies.index(str(two[0])) > policies.index(str(two[1]))
        named = (str(two[1]), str(two[0])) if turned else (str(two[0]), str(two[1]))
        tally.add({("met", named): 1, **{(key, named): value for key, value in _counts(judgement, turned=turned)}})
    return tally


def _counts(judgement: Judgement, *, turned: bool) -> Iterator[tuple[object, float]]:
    if judgement.abstention is None and judgement.p is not None:
        yield "decided", 1
        yield "won", _won(judgement.p, turned=turned)
    for part in judgement.principles:
        yield ("asked", part.principle), 1
        yield ("won", part.principle), _won(part.p, turned=turned)


def _won(p: float, *, turned: bool) -> float:
    """Return 1 where the first policy wins, 0 where the second does, 0.5 for a tie."""
    return 0.5 if p == 0.5 else float((p > 0.5) != turned)


def policy_wins(tallies: Tallies, policies: Sequence[str], principles: Sequence[str]) -> list[PolicyWins]:
    """Return the estimates of each two policies."""
    return [
        PolicyWins(
            policy=two[0],
            other=two[1],
            matchups=round(tallies.total(("met", two))),
            wins=tallies.ratio(("won", two), ("decided", two)),
            by_principle={
                name: tallies.ratio((("won", name), two), (("asked", name), two))
                for name in principles
                if tallies.total((("asked", name), two))
            },
        )
        for two in combinations(policies, 2)
    ]
