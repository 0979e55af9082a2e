"""Judge the pool of one prompt under every rule set, and count the judgements in tallies that add up over prompts.

Keys of a tally, for rule sets r, s and m and a principle k:

    ("judged", r)                matchups judged under r
    ("labelled", r), ("abstained", r, reason)   of these, the labelled ones; the others by reason
    ("mass", r), ("masses", r)   sum of the label mass; number of matchups that have one
    ("both", r, s), ("flip", r, s)         matchups labelled under both r and s; of these, those with different labels
    ("cell", r, s, x, y)         matchups labelled x under r and y under s
    ("either", r, s), ("one-sided", r, s)  matchups labelled under at least one of r and s; under only one of them
    (…, r, s, "crosswise")       the same counts for the first pass of one and the second pass of the other
    (…, r, r, "again")           the same counts for the first and the second pass of r
    ("tau", r, s), ("ranked", r, s)        Kendall's tau-b of the candidates' scores; 1 where it is defined
    ("ordered", r), ("turned", r)          verdicts in both orders; of these, those whose orders name different winners
    ("over-parent", r, m), ("parents", r, m)   sum of p(revision by m beats its sample) under r; number of matchups
    ("beats", r, m), ("met", r, m)         sum of p(revision by m beats another rule set's) under r; number of matchups
    ("flips", r, s), ("undone", r, s, k)   flips between r and s; of these, those where r without k gives s's label
    (r, key)                     the counts of `tally_principles` under r
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import TypeAlias

from rlaif.compare.pool import PooledPrompt, PoolMatchup
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.preferences.contributions import tally_principles
from rlaif.preferences.judgement import Judgement, Rule, decide, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.preferences.ranking import rank, scores_of
from rlaif.stats.estimates import Tally

PassKey: TypeAlias = tuple[str, bool]
"""A rule set's name, and whether it is its second judging pass."""


def pool_rules(
    config: RunConfig, constitutions: Mapping[str, Constitution], prompts: Sequence[PooledPrompt]
) -> dict[PassKey, Rule]:
    """Return the rule (weights, priorities, thresholds, position bias) of each rule set in each pass.

    The position bias is measured for each pass separately, because the wording of the passes differs.
    """
    keys = [(name, again) for name in constitutions for again in (False, True)]
    biases = {key: _bias(key, config, prompts) for key in keys}
    return {
        (name, again): config.judging.rule(rules.weights, rules.priorities, biases[name, again])
        for name, again in keys
        for rules in [constitutions[name]]
    }


def _bias(key: PassKey, config: RunConfig, prompts: Sequence[PooledPrompt]) -> PositionBias:
    """Measure the position bias of one pass; the matchups of one prompt depend on one another."""
    by_prompt = (
        [matchup for one in prompt.sittings if (one.rules, one.again) == key for matchup in one.matchups]
        for prompt in prompts
    )
    return PositionBias.measure_prompts(by_prompt, config.judging.min_label_mass)


def judge_all(pool: PooledPrompt, rules: Mapping[PassKey, Rule]) -> dict[PassKey, tuple[Judgement, ...]]:
    """Return the judgements of every pass that judged something, in the order of the pool's matchups."""
    return {
        (judging_pass.rules, judging_pass.again): tuple(judge_matchup(m, rule) for m in judging_pass.matchups)
        for judging_pass in pool.sittings
        if judging_pass.matchups
        for rule in [rules[judging_pass.rules, judging_pass.again]]
    }


def tally_pool(pool: PooledPrompt, rules: Mapping[PassKey, Rule]) -> Tally:
    """Return the tally of one prompt."""
    judged = judge_all(pool, rules)
    places = _different_texts(pool)
    once = {judge: [found[place] for place in places] for judge, found in judged.items()}
    labels = {judge: [_label(judgement) for judgement in found] for judge, found in once.items()}
    tally: Tally = Tally()
    names = [name for name, again in rules if not again and (name, False) in judged]
    for name in names:
        _tally_rule_set(tally, name, pool, judged[name, False], rules[name, False])
        if (name, True) in judged:
            _tally_agreement(tally, (name, name), labels[name, False], labels[name, True], suffix=("again",))
    for one, other in permutations(names, 2):
        _undone(tally, one, other, once[one, False], labels[other, False], rules[one, False])
    for one, other in combinations(names, 2):
        _tally_agreement(tally, (one, other), labels[one, False], labels[other, False])
        if (one, True) in judged and (other, True) in judged:
            _tally_agreement(tally, (one, other), labels[one, False], labels[other, True], suffix=("crosswise",))
            _tally_agreement(tally, (one, other), labels[one, True], labels[other, False], suffix=("crosswise",))
        _rank(tally, one, other, judged)
    return tally


def _different_texts(pool: PooledPrompt) -> list[int]:
    """Return the indices of the matchups, each pair of texts once.

    Where two rule sets made the same revision, the pool has the same question several times; it is counted once.
    """
    found: dict[frozenset[str], int] = {}
    for place, matchup in enumerate(pool.matchups):
        found.setdefault(frozenset(pool.candidate(side).text for side in (matchup.a, matchup.b)), place)
    return list(found.values())


def _label(judgement: Judgement) -> str | None:
    if judgement.abstention is not None or judgement.logit is None:
        return None
    return "a" if judgement.logit > 0 else "b"


def _tally_rule_set(tally: Tally, name: str, pool: PooledPrompt, judgements: Sequence[Judgement], rule: Rule) -> None:
    """Count the judgements of one rule set in its first pass."""
    for matchup, judgement in zip(pool.matchups, judgements, strict=True):
        tally["labelled", name] += judgement.abstention is None
        if judgement.abstention is not None:
            tally["abstained", name, judgement.abstention] += 1
        tally["judged", name] += 1
        if judgement.label_mass is not None:
            tally["mass", name] += judgement.label_mass
            tally["masses", name] += 1
        for part in judgement.principles:
            if part.turned is not None:
                tally["ordered", name] += 1
                tally["turned", name] += part.turned
        tally.add({(name, key): count for key, count in tally_principles(judgement, rule).items()})
        _revisions(tally, name, pool, matchup, judgement)


def _revisions(tally: Tally, name: str, pool: PooledPrompt, matchup: PoolMatchup, judgement: Judgement) -> None:
    """Add the probabilities with which the revisions of each rule set win under the rules `name`."""
    if judgement.p is None or matchup.kind == "samples":
        return
    makers = {candidate: pool.candidate(candidate).by for candidate in (matchup.a, matchup.b)}
    for candidate, maker in makers.items():
        p = judgement.p_of(candidate)
        if maker is None or p is None:
            continue
        other = makers[matchup.b if candidate == matchup.a else matchup.a]
        if matchup.kind == "parent":
            tally["over-parent", name, maker] += p
            tally["parents", name, maker] += 1
        elif other is not None:
            tally["beats", name, maker] += p
            tally["met", name, maker] += 1


def _tally_agreement(
    tally: Tally,
    names: tuple[str, str],
    one: Sequence[str | None],
    other: Sequence[str | None],
    suffix: tuple[str, ...] = (),
) -> None:
    """Count agreement of the labels (`a`, `b` or None) of two passes."""
    for x, y in zip(one, other, strict=True):
        tally[("either", *names, *suffix)] += x is not None or y is not None
        tally[("one-sided", *names, *suffix)] += (x is None) != (y is None)
        if x is not None and y is not None:
            tally[("both", *names, *suffix)] += 1
            tally[("flip", *names, *suffix)] += x != y
            tally[("cell", *names, *suffix, x, y)] += 1


def _undone(
    tally: Tally,
    one: str,
    other: str,
    judgements: Sequence[Judgement],
    labels: Sequence[str | None],
    rule: Rule,
) -> None:
    """Count, for every principle of `one`, the flips where `one` without it gives the label of `other`."""
    for judgement, other_label in zip(judgements, labels, strict=True):
        label = _label(judgement)
        if label is None or other_label is None or label == other_label:
            continue
        tally["flips", one, other] += 1
        for part in judgement.principles:
            rest = decide([p for p in judgement.principles if p is not part], rule)
            tally["undone", one, other, part.principle] += rest.label == other_label


def _rank(tally: Tally, one: str, other: str, judged: Mapping[PassKey, Sequence[Judgement]]) -> None:
    tau = kendall_tau(scores_of(rank(judged[one, False])), scores_of(rank(judged[other, False])))
    if tau is not None:
        tally["tau", one, other] += tau
        tally["ranked", one, other] += 1


def kendall_tau(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    """Return Kendall's tau-b of two score dicts over their common keys (Kendall 1945); None where one has only ties."""
    concordant = ties_one = ties_other = pairs = 0
    for a, b in combinations(sorted(one.keys() & other.keys()), 2):
        x, y = one[a] - one[b], other[a] - other[b]
        pairs += 1
        ties_one += x == 0
        ties_other += y == 0
        concordant += (x * y > 0) - (x * y < 0)
    below = ((pairs - ties_one) * (pairs - ties_other)) ** 0.5
    return concordant / below if below else None
