"""Several judges on one panel: do they agree, and what does each of them decide?

Comes in: judgements. Goes out: tallies by judge that add up over matchups and prompts, and the figures they make:

    ("read", j)         matchups in which judge j could be read
    ("labelled", j)     of these, those that got a label
    ("changed", j)      of the labelled, those whose label would be another, or none, without j
    ("met", j)          matchups in which j and the other judges both name a winner
    ("agrees", j)       of these, those in which it is the same winner
    ("both", j, m)      matchups in which j and m both name a winner; ("same", j, m): the same one
    ("n" … "xy", j, m)  sums of their log-odds, for the correlation

Judges that agree may do so because they are right, or because they share their errors; without labels nobody can tell.
`rlaif evaluate judge` measures how far errors go together.
"""

from collections.abc import Sequence
from itertools import combinations

from rlaif.preferences.judgement import Judgement, PrincipleJudgement, decide
from rlaif.preferences.logits import TIE_LOGIT, weighted_mean
from rlaif.preferences.rule import Rule
from rlaif.records import Record
from rlaif.stats.estimates import Array, Bootstrap, Estimate, Tally


class PanelMember(Record):
    """One judge among several."""

    judge: str
    model: str
    related: tuple[str, ...]
    """Families of models that it and the policy both belong to, by their names: it may favour the policy's answers."""
    read: int
    """Matchups in which it could be read."""
    agrees: Estimate
    """Share of the matchups in which it names the same winner as all others together."""
    decisive: Estimate
    """Share of the labels that would be another, or none, without it."""


class PanelPair(Record):
    """Two judges of a panel."""

    one: str
    other: str
    same: Estimate
    """Share of the matchups in which they name the same winner."""
    correlation: Estimate
    """Of their log-odds."""


class Panel(Record):
    """What can be said of a panel without labels."""

    members: tuple[PanelMember, ...]
    pairs: tuple[PanelPair, ...]


def tally_panel(judgement: Judgement, rule: Rule) -> Tally:
    """Return what the judges of one matchup did, as counts and sums."""
    tally = Tally()
    label = decide(judgement.principles, rule, judgement.length_shift).label
    own = {judge: logit for judge in _judges(judgement) if (logit := _own_logit(judgement, judge, rule)) is not None}
    for judge, logit in own.items():
        rest = decide(without(judgement.principles, judge, rule), rule, judgement.length_shift)
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
    """Return what the principles say when one judge keeps silent."""
    found = []
    for part in parts:
        left = [said for said in part.by_judge if said.judge != judge]
        if len(left) == len(part.by_judge):
            found.append(part)
        elif left:
            weights = [rule.judge_weights.get(said.judge, 1.0) for said in left]
            logits = [said.logit for said in left]
            logit = weighted_mean(list(zip(weights, logits, strict=True))) or 0.0
            biases = [(w, v.position_bias) for w, v in zip(weights, left, strict=True) if v.position_bias is not None]
            update = {"by_judge": tuple(left), "logit": logit, "position_bias": weighted_mean(biases)}
            found.append(part.model_copy(update=update))
    return found


def panel_estimates(found: Bootstrap, members: Sequence[tuple[str, str, frozenset[str]]]) -> Panel:
    """Return the figures of a panel; `members` are name, model, and families shared with the policy."""
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
                    _correlation, [(name, one, other) for name in _SUMS], of=[("n", one, other)]
                ),
            )
            for (one, *_), (other, *_) in combinations(members, 2)
        ),
    )


_SUMS = ("n", "x", "y", "xx", "yy", "xy")


def _judges(judgement: Judgement) -> list[str]:
    return list(dict.fromkeys(said.judge for part in judgement.principles for said in part.by_judge))


def _own_logit(judgement: Judgement, judge: str, rule: Rule) -> float | None:
    """Return what one judge says of a matchup under all principles together."""
    said = [
        (rule.weight(part.principle), one.logit)
        for part in judgement.principles
        for one in part.by_judge
        if one.judge == judge
    ]
    return weighted_mean(said)


def _pair(one: str, other: str, x: float, y: float) -> Tally:
    sums = dict(zip(_SUMS, (1.0, x, y, x * x, y * y, x * y), strict=True))
    tally = Tally({(name, one, other): value for name, value in sums.items()})
    if min(abs(x), abs(y)) >= TIE_LOGIT:
        tally["both", one, other] = 1
        tally["same", one, other] = (x > 0) == (y > 0)
    return tally


def _correlation(totals: Array) -> Array:
    n, x, y, xx, yy, xy = totals
    result: Array = (n * xy - x * y) / ((n * xx - x * x) * (n * yy - y * y)) ** 0.5
    return result
