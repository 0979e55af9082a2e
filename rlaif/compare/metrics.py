"""Compute the metrics of a comparison from the judged pool, with 95 % intervals over prompts."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import get_args

from rlaif.compare.comparability import left_out, other_differences, plain_warnings
from rlaif.compare.comparison_schema import (
    Comparison,
    Conflict,
    FlipCause,
    Matrix,
    PrincipleMetrics,
    RuleSetMetrics,
    RuleSetPair,
)
from rlaif.compare.disagreements import strongest_disagreements
from rlaif.compare.pool import PooledPrompt
from rlaif.compare.tallies import PassKey, pool_rules, tally_pool
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.text_metrics import tally_text, text_metrics, under
from rlaif.preferences.judgement import Abstention, Rule
from rlaif.records import Usage
from rlaif.runs.reader import Run
from rlaif.stats.estimates import Array, Estimate, Key, Tallies, Tally, kappa_of
from rlaif.stats.jackknife import unseen

FEWEST_FOR_A_CONFLICT = 5
"""Least number of prompts in which both principles name a winner; with fewer, the conflict is not reported."""


def compare_pool(
    config: RunConfig,
    runs: dict[str, Run],
    prompts: Sequence[PooledPrompt],
    spent: Mapping[str, Mapping[str, float]],
) -> Comparison:
    """Return all metrics of a comparison.

    `runs` are the rule sets' runs by name, `prompts` is the judged pool, `spent` has the costs by rule set and of
    judging the pool (`pool.sqlite`).
    """
    constitutions = {name: run.constitution for name, run in runs.items()}
    rules = pool_rules(config, constitutions, prompts)
    tallies = pool_tallies(prompts, rules)
    names = list(runs)
    kinds = [matchup.kind for prompt in prompts for matchup in prompt.matchups]
    first = next(iter(runs.values()))
    found = Comparison(
        prompts=len(prompts),
        left_out=left_out(runs, [pool.prompt for pool in prompts]),
        shared_samples=all(c.by is not None or "/" not in c.id for pool in prompts for c in pool.candidates),
        matchups=len(kinds),
        matchups_by_kind={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        identical=sum(prompt.identical for prompt in prompts),
        judged_twice=sum(any(s.again and s.matchups for s in prompt.sittings) for prompt in prompts),
        policy=", ".join(dict.fromkeys(run.models.policy for run in runs.values())),
        critic=first.models.critic,
        rule_sets=[
            _rule_set(tallies, name, runs, rules[name, False], prompts, spent.get(name, {}).get("seconds"))
            for name in names
        ],
        pairs=[compare_two(tallies, one, other, constitutions) for one, other in combinations(names, 2)],
        over_parent=_matrix(tallies, names, "over-parent", "parents"),
        rivals=_matrix(tallies, names, "beats", "met"),
        samples=text_metrics(tallies, None),
        disagreements=strongest_disagreements(prompts, rules, constitutions),
        warnings=[],
        pool_seconds=spent.get("pool.sqlite", {}).get("seconds"),
    )
    return found.model_copy(update={"warnings": [*other_differences(runs), *plain_warnings(found, config)]})


def _tally(prompt: PooledPrompt, rules: Mapping[PassKey, Rule]) -> Tally:
    tally = tally_pool(prompt, rules)
    question = prompt.prompt.messages[-1].content
    for candidate in prompt.candidates:
        tally.add(under(candidate.by, tally_text(question, candidate.text)))
    return tally


def pool_tallies(prompts: Sequence[PooledPrompt], rules: Mapping[PassKey, Rule]) -> Tallies:
    """Return the tallies of the prompts of a judged pool."""
    return Tallies([_tally(prompt, rules) for prompt in prompts])


def _rule_set(
    tallies: Tallies,
    name: str,
    runs: dict[str, Run],
    rule: Rule,
    prompts: Sequence[PooledPrompt],
    seconds: float | None,
) -> RuleSetMetrics:
    run = runs[name]
    assert rule.bias is not None
    reasons = get_args(Abstention)
    others = [other for other in runs if other != name]
    passes = (judging_pass for prompt in prompts for judging_pass in prompt.sittings if judging_pass.rules == name)
    floor = tallies.ratio(("flip", name, name, "again"), ("both", name, name, "again"))
    elsewhere = [[(what, other, name) for other in others] for what in ("over-parent", "parents")]
    return RuleSetMetrics(
        name=name,
        constitution=run.manifest.constitution,
        constitution_hash=run.manifest.constitution_hash,
        run=str(run.path),
        matchups=int(tallies.total(("judged", name))),
        labelled=tallies.ratio(("labelled", name), ("judged", name)),
        abstained={reason: int(total) for reason in reasons if (total := tallies.total(("abstained", name, reason)))},
        noise_floor=floor if tallies.total(("either", name, name, "again")) else None,
        order_agreement=_complement(tallies.ratio(("turned", name), ("ordered", name))),
        label_mass=tallies.ratio(("mass", name), ("masses", name), share=False),
        critic=rule.bias,
        over_own_parent=tallies.ratio(("over-parent", name, name), ("parents", name, name), share=False),
        over_parent_elsewhere=tallies.ratio_of_sums(*elsewhere, share=False),
        principles=[_principle(tallies, name, run.constitution, p.id) for p in run.constitution.comparing],
        conflicts=_conflicts(tallies, name, run.constitution),
        group_conflicts=_group_conflicts(tallies, name, run.constitution),
        texts=text_metrics(tallies, name),
        run_usage=sum((trace.usage for trace in run.traces()), Usage()),
        pool_usage=sum((judging_pass.usage for judging_pass in passes), Usage()),
        seconds=seconds if seconds is not None else run.session.get("seconds"),
    )


def _complement(share: Estimate) -> Estimate:
    """Return one minus a share, with its interval."""

    def complement(x: float | None) -> float | None:
        return None if x is None else 1 - x

    return share.model_copy(
        update={"value": complement(share.value), "low": complement(share.high), "high": complement(share.low)}
    )


def _principle(tallies: Tallies, name: str, constitution: Constitution, k: str) -> PrincipleMetrics:
    principle = constitution.principle(k)
    return PrincipleMetrics(
        id=k,
        group=principle.group,
        compare=principle.decides_by,
        weight=principle.weight,
        decisive=tallies.ratio((name, ("decisive", k)), (name, ("labelled", k))),
        agrees=tallies.ratio((name, ("agrees", k)), (name, ("met", k))),
        turned=tallies.ratio((name, ("turned", k)), (name, ("ordered", k))),
    )


def _conflicts(tallies: Tallies, name: str, constitution: Constitution) -> list[Conflict]:
    found = []
    for one, other in combinations([p.id for p in constitution.comparing], 2):
        same = tallies.ratio((name, ("same", one, other)), (name, ("both", one, other)))
        if same.prompts >= FEWEST_FOR_A_CONFLICT:
            found.append(Conflict(one=one, other=other, against=_complement(same)))
    return sorted(found, key=lambda conflict: -(conflict.against.value or 0))


def _group_conflicts(tallies: Tallies, name: str, constitution: Constitution) -> list[Conflict]:
    """Return, for each two groups, how often their principles name different winners where both name one."""
    groups = list(dict.fromkeys(p.group for p in constitution.comparing if p.group))
    found = []
    for one, other in combinations(groups, 2):
        pairs = [(a.id, b.id) for a, b in combinations(constitution.comparing, 2) if {a.group, b.group} == {one, other}]
        both = [(name, ("both", *pair)) for pair in pairs]
        same = [(name, ("same", *pair)) for pair in pairs]
        agree = tallies.ratio_of_sums(same, both)
        if agree.prompts >= FEWEST_FOR_A_CONFLICT:
            found.append(Conflict(one=one, other=other, against=_complement(agree)))
    return found


def compare_two(tallies: Tallies, one: str, other: str, constitutions: Mapping[str, Constitution]) -> RuleSetPair:
    """Return the differences of two rule sets over the pool."""
    both = ("both", one, other)
    cells = [("cell", one, other, x, y) for x in "ab" for y in "ab"]
    return RuleSetPair(
        one=one,
        other=other,
        flips=tallies.ratio(("flip", one, other), both),
        kappa=_kappa(tallies, cells, both),
        beyond_noise=_beyond_noise(tallies, one, other),
        rank_correlation=tallies.ratio(("tau", one, other), ("ranked", one, other), share=False),
        one_sided=tallies.ratio(("one-sided", one, other), ("either", one, other)),
        guilty=_flip_causes(tallies, one, other, constitutions),
    )


def _kappa(tallies: Tallies, cells: Sequence[tuple[str, ...]], both: tuple[str, ...]) -> Estimate:
    """Return Cohen's kappa; where no label differs, its lower end is from the share of flips that may be unseen."""
    kappa = tallies.function(kappa_of, cells, of=[both], scale="correlation")
    if kappa.value != 1 or kappa.low is None:
        return kappa
    missed = unseen(kappa.prompts)
    total = tallies.total(both)
    a = (tallies.total(cells[0]) + tallies.total(cells[1])) / total
    return kappa.model_copy(update={"low": max(-1, 1 - missed / (2 * a * (1 - a))) if 0 < a < 1 else None})


def _beyond_noise(tallies: Tallies, one: str, other: str) -> Estimate | None:
    """Return the share of flips between two rule sets minus the mean share of flips of each with itself.

    A question that both rule sets share is asked only once per pass, so in the same pass both labels have the same
    noise and flip less often. Therefore only labels of different passes are compared. Rule sets that do not differ and
    are equally noisy then give zero. With p and q the probabilities that the two rule sets label a matchup `a`, the
    result is the mean of (p - q)^2. If both mean the same but one averages over many principles and the other has a
    single noisy one, it is slightly above zero (0.01 to 0.02 in simulations).
    """
    if not all(tallies.total(("both", name, name, "again")) for name in (one, other)):
        return None
    keys: list[tuple[str, ...]] = [("flip", one, other, "crosswise"), ("both", one, other, "crosswise")]
    for name in (one, other):
        keys += [("flip", name, name, "again"), ("both", name, name, "again")]

    return beyond_noise(tallies, keys)


def beyond_noise(tallies: Tallies, keys: Sequence[Key]) -> Estimate:
    """Return flips / labels of the first two keys minus the mean of those of the next two and the last two."""

    def beyond(t: Array) -> Array:
        result: Array = t[0] / t[1] - (t[2] / t[3] + t[4] / t[5]) / 2
        return result

    estimate = tallies.function(beyond, keys, of=[keys[1]])
    if estimate.value is None or estimate.low is None or estimate.low != estimate.high:
        return estimate
    slack = unseen(estimate.prompts)  # equal values in all prompts do not mean certainty
    return estimate.model_copy(update={"low": estimate.value - slack, "high": estimate.value + slack})


def _flip_causes(tallies: Tallies, one: str, other: str, constitutions: Mapping[str, Constitution]) -> list[FlipCause]:
    found = []
    for rules, against in permutations((one, other)):
        for principle in constitutions[rules].comparing:
            undone = tallies.ratio(("undone", rules, against, principle.id), ("flips", rules, against))
            if undone.value:
                found.append(FlipCause(rules=rules, principle=principle.id, undone=undone))
    return sorted(found, key=lambda cause: -(cause.undone.value or 0))


def _matrix(tallies: Tallies, names: list[str], wins: str, matchups: str) -> Matrix:
    cells = [
        [tallies.ratio((wins, judge, maker), (matchups, judge, maker), share=False) for maker in names]
        for judge in names
    ]
    return Matrix(judges=names, makers=names, cells=cells)
