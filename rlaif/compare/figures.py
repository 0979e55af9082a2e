"""From the judged pool to the figures of a comparison, each with a 95 % interval from a bootstrap over prompts."""

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations

from rlaif.compare.disagreements import Disagreement, strongest_disagreements
from rlaif.compare.pool import PooledPrompt
from rlaif.compare.tallies import tally_pool
from rlaif.compare.texts import TextFigures, tally_texts, text_figures
from rlaif.compare.words import plain_warnings
from rlaif.config import RunConfig
from rlaif.constitution import Constitution
from rlaif.intervals import Array, Bootstrap, Figure, Tally, kappa_of, unseen
from rlaif.preferences.judgement import Rule
from rlaif.preferences.position import PositionBias
from rlaif.records import Record, Usage
from rlaif.runs.run import Run

FEWEST_FOR_A_CONFLICT = 5
"""Prompts in which two principles met; what fewer say is chance."""


class PrincipleFigures(Record):
    """What one principle did in its own rule set, over the pool."""

    id: str
    group: str | None
    compare: str
    weight: float
    decisive: Figure
    """Share of the labels that would be another, or none, without it."""
    agrees: Figure
    """Share of matchups in which it names the same winner as the others together."""
    turned: Figure
    """Share of matchups in which its two orders name different winners."""


class Conflict(Record):
    """Two principles (or groups) of one rule set that vote against each other."""

    one: str
    other: str
    against: Figure
    """Share of the matchups in which both name a winner, and not the same."""


class Guilt(Record):
    """A principle that makes labels differ."""

    rules: str
    principle: str
    undone: Figure
    """Share of the flips that would be none if `rules` did without it."""


class Two(Record):
    """How two rule sets differ over the same matchups."""

    one: str
    other: str
    flips: Figure
    """Share of matchups labelled by both that get different labels."""
    kappa: Figure
    """Cohen's kappa of these labels: 1 the same, 0 as by chance."""
    beyond_noise: Figure | None
    """Flips between a sitting of one and another sitting of the other, minus the mean of the two noise floors; None
    when nothing was judged twice."""
    rank_correlation: Figure
    """Mean over prompts of Kendall's tau-b between the orders of the answers."""
    one_sided: Figure
    """Share of the matchups labelled by at least one that the other abstains on."""
    guilty: list[Guilt]
    """Principles by the share of flips they make, those of both sides, largest first."""


class RuleSetFigures(Record):
    """One rule set."""

    name: str
    constitution: str
    constitution_hash: str
    run: str
    matchups: int
    labelled: Figure
    abstained: dict[str, int]
    noise_floor: Figure | None
    """Share of labels that flip when the same rules judge again with another seed and in other words."""
    order_agreement: Figure
    label_mass: Figure
    critic: PositionBias
    over_own_parent: Figure
    """Mean probability that a revision by these rules beats its sample, under these rules."""
    over_parent_elsewhere: Figure
    """The same revisions under the other rule sets."""
    principles: list[PrincipleFigures]
    conflicts: list[Conflict]
    """Pairs of principles, those against each other most often first."""
    group_conflicts: list[Conflict]
    texts: TextFigures
    run_usage: Usage
    """Tokens behind its own run (samples, critiques, revisions, its own verdicts)."""
    pool_usage: Usage
    """Tokens behind its verdicts on the pool."""
    seconds: float | None
    """Seconds its own run took, all sessions together (of a run made elsewhere, the last); None if not known."""


class Matrix(Record):
    """Under whose rules (rows) whose revisions (columns) win."""

    judges: list[str]
    makers: list[str]
    cells: list[list[Figure]]
    """cells[judge][maker]: mean probability of winning."""


class Comparison(Record):
    """`comparison.json`."""

    format: int = 1
    prompts: int
    matchups: int
    matchups_by_kind: dict[str, int]
    identical: int
    """Matchups left out because both answers are the same text."""
    judged_twice: int
    """Prompts behind the noise floor."""
    policy: str
    critic: str
    rule_sets: list[RuleSetFigures]
    pairs: list[Two]
    over_parent: Matrix
    """Mean probability that a revision beats the sample it goes back to."""
    rivals: Matrix
    """Mean probability that a revision beats another rule set's revision of the same sample."""
    samples: TextFigures
    """The policy's own answers."""
    disagreements: list[Disagreement]
    warnings: list[str]
    pool_seconds: float | None
    """Seconds spent on judging the pool, all sessions together."""


def compare_pool(
    config: RunConfig,
    runs: dict[str, Run],
    prompts: Sequence[PooledPrompt],
    spent: Mapping[str, Mapping[str, float]],
) -> Comparison:
    """Return all figures.

    `runs` are the rule sets' own runs by name, `prompts` the judged pool, `spent` has the seconds of the runs made here
    and of the pool (`pool.sqlite`).
    """
    constitutions = {name: run.constitution for name, run in runs.items()}
    rules = pool_rules(config, constitutions, prompts)
    bootstrap = pool_bootstrap(prompts, rules, config.seed)
    names = list(runs)
    kinds = [matchup.kind for prompt in prompts for matchup in prompt.matchups]
    first = next(iter(runs.values()))
    found = Comparison(
        prompts=len(prompts),
        matchups=len(kinds),
        matchups_by_kind={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        identical=sum(prompt.identical for prompt in prompts),
        judged_twice=sum(any(sitting.again for sitting in prompt.sittings) for prompt in prompts),
        policy=first.models.policy,
        critic=first.models.critic,
        rule_sets=[
            _rule_set(bootstrap, name, runs, rules[name], prompts, spent.get(name, {}).get("seconds")) for name in names
        ],
        pairs=[two_rule_sets(bootstrap, one, other, constitutions) for one, other in combinations(names, 2)],
        over_parent=_matrix(bootstrap, names, "over-parent", "parents"),
        rivals=_matrix(bootstrap, names, "beats", "met"),
        samples=text_figures(bootstrap, None),
        disagreements=strongest_disagreements(prompts, rules, constitutions),
        warnings=[],
        pool_seconds=spent.get("pool.sqlite", {}).get("seconds"),
    )
    return found.model_copy(update={"warnings": plain_warnings(found, config)})


def _tally(prompt: PooledPrompt, rules: Mapping[str, Rule]) -> Tally:
    tally = tally_pool(prompt, rules)
    tally.add(tally_texts(prompt))
    return tally


def pool_bootstrap(prompts: Sequence[PooledPrompt], rules: Mapping[str, Rule], seed: int = 0) -> Bootstrap:
    """Return the tallies of a judged pool, ready for figures."""
    return Bootstrap([_tally(prompt, rules) for prompt in prompts], seed=seed)


def pool_rules(
    config: RunConfig, constitutions: Mapping[str, Constitution], prompts: Sequence[PooledPrompt]
) -> dict[str, Rule]:
    """Return how each rule set decides: weights, levels, thresholds, and this critic's bias under its questions."""
    return {
        name: Rule(constitution.weights, constitution.priorities, config.judging, _bias(name, config, prompts))
        for name, constitution in constitutions.items()
    }


def _bias(name: str, config: RunConfig, prompts: Sequence[PooledPrompt]) -> PositionBias:
    sittings = (sitting for prompt in prompts for sitting in prompt.sittings if sitting.rules == name)
    matchups = (matchup for sitting in sittings if not sitting.again for matchup in sitting.matchups)
    return PositionBias.measure(matchups, config.judging.min_label_mass)


def _rule_set(
    bootstrap: Bootstrap,
    name: str,
    runs: dict[str, Run],
    rule: Rule,
    prompts: Sequence[PooledPrompt],
    seconds: float | None,
) -> RuleSetFigures:
    run = runs[name]
    assert rule.bias is not None
    reasons = ("unreadable", "tie", "order noise", "too close")
    others = [other for other in runs if other != name]
    pool_usage = Usage()
    for prompt in prompts:
        for sitting in prompt.sittings:
            pool_usage += sitting.usage if sitting.rules == name else Usage()
    return RuleSetFigures(
        name=name,
        constitution=run.manifest.constitution,
        constitution_hash=run.manifest.constitution_hash,
        run=str(run.path),
        matchups=int(bootstrap.total(("judged", name))),
        labelled=bootstrap.ratio(("labelled", name), ("judged", name)),
        abstained={reason: int(total) for reason in reasons if (total := bootstrap.total(("abstained", name, reason)))},
        noise_floor=_floor(bootstrap, name),
        order_agreement=_rest(bootstrap.ratio(("turned", name), ("ordered", name))),
        label_mass=bootstrap.ratio(("mass", name), ("masses", name), share=False),
        critic=rule.bias,
        over_own_parent=bootstrap.ratio(("over-parent", name, name), ("parents", name, name), share=False),
        over_parent_elsewhere=_elsewhere(bootstrap, name, others),
        principles=[_principle(bootstrap, name, run.constitution, p.id) for p in run.constitution.comparing],
        conflicts=_conflicts(bootstrap, name, run.constitution),
        group_conflicts=_group_conflicts(bootstrap, name, run.constitution),
        texts=text_figures(bootstrap, name),
        run_usage=_usage(run),
        pool_usage=pool_usage,
        seconds=seconds if seconds is not None else run.session.get("seconds"),
    )


def _floor(bootstrap: Bootstrap, name: str) -> Figure | None:
    floor = bootstrap.ratio(("flip", name, name, "again"), ("both", name, name, "again"))
    return floor if bootstrap.total(("either", name, name, "again")) else None


def _rest(share: Figure) -> Figure:
    """Return one minus a share."""

    def rest(x: float | None) -> float | None:
        return None if x is None else 1 - x

    return share.model_copy(update={"value": rest(share.value), "low": rest(share.high), "high": rest(share.low)})


def _elsewhere(bootstrap: Bootstrap, name: str, others: list[str]) -> Figure:
    wins = [("over-parent", other, name) for other in others]
    met = [("parents", other, name) for other in others]

    def share(totals: Array) -> Array:
        result: Array = totals[: len(wins)].sum(axis=0) / totals[len(wins) :].sum(axis=0)
        return result

    return bootstrap.function(share, [*wins, *met], of=met[0])


def _usage(run: Run) -> Usage:
    usage = Usage()
    for trace in run.traces():
        usage += trace.usage
    return usage


def _principle(bootstrap: Bootstrap, name: str, constitution: Constitution, k: str) -> PrincipleFigures:
    principle = constitution.principle(k)
    return PrincipleFigures(
        id=k,
        group=principle.group,
        compare=principle.decides_by,
        weight=principle.weight,
        decisive=bootstrap.ratio((name, ("decisive", k)), (name, ("labelled", k))),
        agrees=bootstrap.ratio((name, ("agrees", k)), (name, ("met", k))),
        turned=bootstrap.ratio((name, ("turned", k)), (name, ("ordered", k))),
    )


def _conflicts(bootstrap: Bootstrap, name: str, constitution: Constitution) -> list[Conflict]:
    found = []
    for one, other in combinations([p.id for p in constitution.comparing], 2):
        same = bootstrap.ratio((name, ("same", one, other)), (name, ("both", one, other)))
        if same.prompts >= FEWEST_FOR_A_CONFLICT:
            found.append(Conflict(one=one, other=other, against=_rest(same)))
    return sorted(found, key=lambda conflict: -(conflict.against.value or 0))


def _group_conflicts(bootstrap: Bootstrap, name: str, constitution: Constitution) -> list[Conflict]:
    """Return how often principles of two groups vote against each other."""
    groups = list(dict.fromkeys(p.group for p in constitution.comparing if p.group))
    found = []
    for one, other in combinations(groups, 2):
        pairs = [(a.id, b.id) for a, b in combinations(constitution.comparing, 2) if {a.group, b.group} == {one, other}]
        both = [(name, ("both", *pair)) for pair in pairs]
        same = [(name, ("same", *pair)) for pair in pairs]

        def against(totals: Array, count: int = len(pairs)) -> Array:
            result: Array = 1 - totals[:count].sum(axis=0) / totals[count:].sum(axis=0)
            return result

        found.append(Conflict(one=one, other=other, against=bootstrap.function(against, [*same, *both], of=both[0])))
    return found


def two_rule_sets(bootstrap: Bootstrap, one: str, other: str, constitutions: Mapping[str, Constitution]) -> Two:
    """Return how two rule sets differ over the pool."""
    both = ("both", one, other)
    cells = [("cell", one, other, x, y) for x in "ab" for y in "ab"]
    return Two(
        one=one,
        other=other,
        flips=bootstrap.ratio(("flip", one, other), both),
        kappa=_kappa(bootstrap, cells, both),
        beyond_noise=_beyond_noise(bootstrap, one, other),
        rank_correlation=bootstrap.ratio(("tau", one, other), ("ranked", one, other), share=False),
        one_sided=bootstrap.ratio(("one-sided", one, other), ("either", one, other)),
        guilty=_guilty(bootstrap, one, other, constitutions),
    )


def _kappa(bootstrap: Bootstrap, cells: Sequence[tuple[str, ...]], both: tuple[str, ...]) -> Figure:
    """Return kappa; where not one label differs, its lower end follows from how many flips could have been missed."""
    kappa = bootstrap.function(kappa_of, cells, of=both)
    if kappa.value != 1 or kappa.low != kappa.high:
        return kappa
    missed = unseen(kappa.prompts)
    total = bootstrap.total(both)
    a = (bootstrap.total(cells[0]) + bootstrap.total(cells[1])) / total
    return kappa.model_copy(update={"low": 1 - missed / (2 * a * (1 - a)) if 0 < a < 1 else None})


def _beyond_noise(bootstrap: Bootstrap, one: str, other: str) -> Figure | None:
    """Return the flips between two rule sets minus those of each with itself.

    Questions that both rule sets ask are asked once, so their noise is in both labels and hides in the flips between
    first sittings. Here every label is held against one of another sitting, the rule set's own or the other's: rules
    that do not differ then come out at zero.
    """
    if not all(bootstrap.total(("both", name, name, "again")) for name in (one, other)):
        return None
    keys: list[tuple[str, ...]] = [("flip", one, other, "crosswise"), ("both", one, other, "crosswise")]
    for name in (one, other):
        keys += [("flip", name, name, "again"), ("both", name, name, "again")]

    def beyond(t: Array) -> Array:
        result: Array = t[0] / t[1] - (t[2] / t[3] + t[4] / t[5]) / 2
        return result

    figure = bootstrap.function(beyond, keys, of=keys[1])
    if figure.value is None or figure.low is None or figure.low != figure.high:
        return figure
    slack = unseen(figure.prompts)  # no spread to resample is no certainty
    return figure.model_copy(update={"low": figure.value - slack, "high": figure.value + slack})


def _guilty(bootstrap: Bootstrap, one: str, other: str, constitutions: Mapping[str, Constitution]) -> list[Guilt]:
    found = []
    for mine, theirs in permutations((one, other)):
        for principle in constitutions[mine].comparing:
            undone = bootstrap.ratio(("undone", mine, theirs, principle.id), ("flips", mine, theirs))
            if undone.value:
                found.append(Guilt(rules=mine, principle=principle.id, undone=undone))
    return sorted(found, key=lambda guilt: -(guilt.undone.value or 0))


def _matrix(bootstrap: Bootstrap, names: list[str], wins: str, met: str) -> Matrix:
    cells = [
        [bootstrap.ratio((wins, judge, maker), (met, judge, maker), share=False) for maker in names] for judge in names
    ]
    return Matrix(judges=names, makers=names, cells=cells)


__all__ = ["Comparison", "Tally", "compare_pool", "pool_rules"]
