"""Which of several policies wins, over all and under each principle, with 95 % intervals over prompts.

The input are the judged matchups of two policies' samples, of the design only: later ones are asked because of the
ranking. Judges do not see which policy wrote a response. A text that several samples have is judged once and counts for
each of them, whichever of them was kept: otherwise only the policy that is named first would have it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    """Matchups of a response of each; two with the same text are not compared and not counted."""
    wins: Estimate
    """Share of those with a label in which `policy` wins."""
    by_principle: dict[str, Estimate]
    """Share won under one principle alone; half of a tie is won."""


Two = tuple[str, str]


def tally_policies(trace: Trace, conclusion: Conclusion, policies: Sequence[str]) -> Tally:
    """Return the counts of one prompt."""
    writers = _writers(trace)
    tally = Tally()
    for judgement in conclusion.judgements:
        if judgement.purpose == "final":
            continue
        for one, other, times in _met(writers.get(judgement.a, {}), writers.get(judgement.b, {})):
            turned = policies.index(one) > policies.index(other)
            named = (other, one) if turned else (one, other)
            tally["met", named] += times
            tally.add({(key, named): times * value for key, value in _counts(judgement, turned=turned)})
    return tally


def _writers(trace: Trace) -> dict[str, Counter[str]]:
    """Return, by the id of a compared sample, how many samples of each policy have its text."""
    samples = [response for response in trace.responses if response.origin == "sample" and response.policy is not None]
    by_text: dict[str, Counter[str]] = {}
    for response in samples:
        by_text.setdefault(response.text, Counter()).update([str(response.policy)])
    dropped = {one.response for one in trace.dropped}
    return {response.id: by_text[response.text] for response in samples if response.id not in dropped}


def _met(a: Mapping[str, int], b: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    """Yield (policy of a, policy of b, number of such matchups) for every two different policies."""
    for one, these in a.items():
        for other, those in b.items():
            if one != other:
                yield one, other, these * those


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
