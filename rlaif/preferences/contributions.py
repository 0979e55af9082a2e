"""What each principle and each judge contributed to the labels of a run; no gold labels are needed.

`tally_principles` counts per matchup, by (what, principle); the counts add up over matchups and prompts:

    ("read", k)         matchups in which principle k was readable
    ("labelled", k)     of these, those that got a label
    ("decisive", k)     of the labelled, those whose label would change or vanish without k
    ("met", k)          matchups in which k and the other principles both have a winner
    ("agrees", k)       of these, those in which it is the same winner
    ("ordered", k)      matchups in which k was asked in both orders
    ("turned", k)       of these, those whose two orders name different winners
    ("both", k, m)      matchups in which k and m both have a winner
    ("same", k, m)      of these, those in which it is the same one

`tally_panel` does the same for judges, with the sums behind the correlation of each two judges' log-odds.
"""

from collections.abc import Sequence
from itertools import combinations

from rlaif.preferences.judgement import Judgement, PrincipleJudgement, Rule, decide
from rlaif.preferences.logits import TIE_LOGIT, weighted_mean
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate, Tallies, Tally


def tally_principles(judgement: Judgement, rule: Rule) -> Tally:
    """Return the counts of one matchup for each principle and each pair of principles."""
    tally = tally_each_principle(judgement, rule)
    for one, other in combinations([part for part in judgement.principles if abs(part.logit) >= TIE_LOGIT], 2):
        tally["both", one.principle, other.principle] += 1
        tally["same", one.principle, other.principle] += (one.logit > 0) == (other.logit > 0)
    return tally


def tally_each_principle(judgement: Judgement, rule: Rule) -> Tally:
    """Return the same without the pairs of principles, which take most of the time and memory."""
    tally: Tally = Tally()
    parts = judgement.principles
    label = decide(parts, rule, judgement.shift).label
    for part in parts:
        k = part.principle
        rest = decide([other for other in parts if other is not part], rule, judgement.shift)
        tally["read", k] += 1
        tally["labelled", k] += label is not None
        tally["decisive", k] += label is not None and rest.label != label
        if rest.logit is not None and abs(rest.logit) >= TIE_LOGIT and abs(part.logit) >= TIE_LOGIT:
            tally["met", k] += 1
            tally["agrees", k] += (rest.logit > 0) == (part.logit > 0)
        if part.turned is not None:
            tally["ordered", k] += 1
            tally["turned", k] += part.turned
    return tally


class PanelMember(Record):
    """One judge among several."""

    judge: str
    model: str
    related: tuple[str, ...]
    """Model families, by name, that it shares with the policy: it may favour the policy's responses."""
    read: int
    """Matchups in which it was readable."""
    agrees: Estimate
    """Share of the matchups in which it names the same winner as all others together."""
    decisive: Estimate
    """Share of the labels that would change or vanish without it."""


class PanelPair(Record):
    """Two judges of a panel."""

    one: str
    other: str
    same: Estimate
    """Share of the matchups in which they name the same winner."""
    correlation: Estimate
    """Of their log-odds."""


class Panel(Record):
    """How the judges of a panel agree, measured without labels."""

    members: tuple[PanelMember, ...]
    pairs: tuple[PanelPair, ...]


def tally_panel(judgement: Judgement, rule: Rule) -> Tally:
    """Return the counts and sums of one matchup for each judge and each pair of judges."""
    tally = Tally()
    label = decide(judgement.principles, rule, judgement.shift).label
    own = {judge: logit for judge in _judges(judgement) if (logit := _own_logit(judgement, judge, rule)) is not None}
    for judge, logit in own.items():
        rest = decide(without(judgement.principles, judge, rule), rule, judgement.shift)
        tally["read", judge] += 1
        tally["labelled", judge] += label is not None
        tally["changed", judge] += label is not None and rest.label != label
        if rest.raw_logit is not None and min(abs(rest.raw_logit), abs(logit)) >= TIE_LOGIT:
            tally["met", judge] += 1
            tally["agrees", judge] += (rest.raw_logit > 0) == (logit > 0)
    for (one, x), (other, y) in combinations(own.items(), 2):
        tally.add(_pair(one, other, x, y))
    return tally


def without(parts: Sequence[PrincipleJudgement], judge: str, rule: Rule) -> list[PrincipleJudgement]:
    """Return the principles' judgements without one judge."""
    found = []
    for part in parts:
        left = [one for one in part.by_judge if one.judge != judge]
        if len(left) == len(part.by_judge):
            found.append(part)
        elif left:
            weights = [rule.judge_weights.get(one.judge, 1.0) for one in left]
            logits = [one.logit for one in left]
            logit = weighted_mean(list(zip(weights, logits, strict=True))) or 0.0
            biased = zip(weights, left, strict=True)
            biases = [(w, one.position_bias) for w, one in biased if one.position_bias is not None]
            update = {"by_judge": tuple(left), "logit": logit, "position_bias": weighted_mean(biases)}
            found.append(part.model_copy(update=update))
    return found


def panel_estimates(found: Tallies, members: Sequence[tuple[str, str, frozenset[str]]]) -> Panel:
    """Return the estimates of a panel; `members` are (judge, model, families shared with the policy)."""
    return Panel(
        members=tuple(
            PanelMember(
                judge=judge,
                model=model,
                related=tuple(sorted(related)),
                read=int(found.total(("read", judge))),
                agrees=found.ratio(("agrees", judge), ("met", judge)),
                decisive=found.ratio(("changed", judge), ("labelled", judge)),
            )
            for judge, model, related in members
        ),
        pairs=tuple(
            PanelPair(
                one=one,
                other=other,
                same=found.ratio(("same", one, other), ("both", one, other)),
                correlation=found.function(
                    correlation_of,
                    [(name, one, other) for name in _SUMS],
                    of=[("n", one, other)],
                    scale="correlation",
                ),
            )
            for (one, *_), (other, *_) in combinations(members, 2)
        ),
    )


_SUMS = ("n", "x", "y", "xx", "yy", "xy")


def _judges(judgement: Judgement) -> list[str]:
    return list(dict.fromkeys(one.judge for part in judgement.principles for one in part.by_judge))


def _own_logit(judgement: Judgement, judge: str, rule: Rule) -> float | None:
    """Return the mean log-odds of one judge over all principles of a matchup; None where it was not readable."""
    logits = [
        (rule.weight(part.principle), one.logit)
        for part in judgement.principles
        for one in part.by_judge
        if one.judge == judge
    ]
    return weighted_mean(logits)


def _pair(one: str, other: str, x: float, y: float) -> Tally:
    sums = dict(zip(_SUMS, (1.0, x, y, x * x, y * y, x * y), strict=True))
    tally = Tally({(name, one, other): value for name, value in sums.items()})
    if min(abs(x), abs(y)) >= TIE_LOGIT:
        tally["both", one, other] = 1
        tally["same", one, other] = (x > 0) == (y > 0)
    return tally


def correlation_of(totals: Array) -> Array:
    """Return Pearson's correlation from totals of 1, x, y, xx, yy and xy along the first axis."""
    n, x, y, xx, yy, xy = totals
    result: Array = (n * xy - x * y) / ((n * xx - x * x) * (n * yy - y * y)) ** 0.5
    return result
