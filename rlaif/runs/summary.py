"""The summary of a run: counts that add up, estimates, notes and warnings.

prompts  = traces + failures + open; with given responses, rows = prompts + refused
matchups = decided + abstained (by reason)
traces   = traces with a pair + traces without one (by reason)
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from rlaif.config.judging import JudgingConfig
from rlaif.models.model_files import families
from rlaif.preferences.contributions import Panel, panel_estimates, tally_panel
from rlaif.preferences.judgement import Judgement, Rule, deciding_principles
from rlaif.preferences.length import LengthEffect
from rlaif.preferences.pairs import Conclusion, Pair
from rlaif.preferences.position import PositionBias
from rlaif.preferences.recalibration import Corrected
from rlaif.records import Record, Trace, Usage
from rlaif.runs.calibrate import doubts, not_applied
from rlaif.runs.certified import stale_warnings
from rlaif.runs.file_labels import GivenSummary
from rlaif.runs.given import read_given
from rlaif.runs.policy_wins import PolicyWins, policy_wins, tally_policies
from rlaif.runs.reader import Run
from rlaif.runs.stopping import Saved, saved_of
from rlaif.stats.estimates import Tally, tallies_of

FEWEST_CHECKED = 20
"""Results of a check from which it is said that all are the same."""
_WHERE_USED = {"given", "policies", "policies_not_paired", "stopped", "root", "saved"}
"""Fields of a summary that are written only where they have a value."""


class Summary(Record):
    """The summary of a run, written to `summary.json`."""

    constitution: str
    constitution_hash: str
    principles: int
    prompts: int
    traces: int
    failures: int
    open: int
    """Prompts not reached yet."""
    failure_reasons: dict[str, int]
    matchups: int
    decided: int
    abstained: dict[str, int]
    pairs: int
    pairs_by_checks: int = 0
    """Pairs that were decided by programs alone, without a model."""
    traces_without_pair: dict[str, int]
    samples: int
    revisions: int
    dropped: dict[str, int]
    truncated: int
    """Responses cut at max_tokens."""
    revision_wins: float | None
    """Mean probability that a revision beats its parent, over all matchups of a revision and its parent."""
    critic: PositionBias
    length: LengthEffect | None = None
    """Length effect of the judges, estimated from this run's matchups; None where nothing was judged."""
    corrected: Corrected = Corrected()
    """Corrections that were applied to log-odds before they became labels."""
    conflicts: int = 0
    """Labels where at least one principle on its own would choose the other response."""
    judged_otherwise: bool = False
    """Whether there are ratings, rankings or rewards: judgements by kinds without pairwise verdicts."""
    panel: Panel | None = None
    """Agreement and influence of several judges; None where there is one."""
    notes: list[str] = Field(default_factory=list)
    """Remarks that are not warnings."""
    warnings: list[str]
    """Reasons not to trust the pairs."""
    given: GivenSummary | None = None
    """The file that the responses came from, and the agreement with its labels; left out where they were sampled."""
    policies: tuple[PolicyWins, ...] = ()
    """Which of several policies wins; left out where a run has one."""
    policies_not_paired: dict[str, int] = Field(default_factory=dict)
    """Pairs drawn under `policy-vs-policy` that are not in the dataset, by the reason; left out without any."""
    saved: Saved | None = None
    """What `judging.stop` saved; left out without it."""
    stopped: str = ""
    """The limit that stopped the last session, with its value; left out where none did."""
    root: str = ""
    """Hash of the run's manifest and of all its records; left out in summaries of earlier versions."""
    usage: Usage
    """Requests and tokens of all traces, replies from the reply store included."""
    session: dict[str, float] = Field(default_factory=dict)
    """Seconds, traces, replies, from_store and tokens of the last session that worked on the run."""

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value or name not in _WHERE_USED}


def summarise(
    run: Run,
    session: dict[str, float] | None = None,
    stopped: str = "",
    also: Callable[[Trace, Conclusion], None] | None = None,
) -> Summary:
    """Return the summary of a run; reads all its traces, and calls `also` with each and what follows from it."""
    names = ("abstained", "no_pair", "not_paired", "dropped", "n")
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    usage = Usage()
    wins: list[float] = []
    n = counts["n"]
    several = len(run.config.judging.panel) > 1
    tallies: list[tuple[str, Tally]] = []
    by_policy: list[tuple[str, Tally]] = []
    policies = [policy.name for policy in run.config.policies]
    passed: dict[str, Counter[bool]] = defaultdict(Counter)
    for trace, conclusion in run.conclusions():
        for checked in (checked for matchup in trace.matchups for checked in matchup.checks):
            passed[checked.principle].update([checked.a.passed, checked.b.passed])
        if also is not None:
            also(trace, conclusion)
        n["traces"] += 1
        n["pairs"] += len(conclusion.pairs)
        n["by_checks"] += sum(
            _by_checks(run.rule.for_prompt(trace.prompt), conclusion, pair) for pair in conclusion.pairs
        )
        n["matchups"] += len(trace.matchups)
        n["verdicts"] += sum(len(matchup.verdicts) for matchup in trace.matchups)
        n["whole"] += len(trace.matchups) * len(trace.judged_by)
        n["truncated"] += sum(r.finish_reason == "length" for r in trace.responses)
        n.update(r.origin for r in trace.responses)
        counts["dropped"].update(d.reason for d in trace.dropped)
        counts["abstained"].update(j.abstention for j in conclusion.judgements if j.abstention)
        counts["no_pair"].update([conclusion.no_pair] if conclusion.no_pair else [])
        counts["not_paired"].update(conclusion.not_paired)
        usage += trace.usage
        n["otherwise"] += sum(bool(m.scores or m.rankings) for m in trace.matchups)
        n["conflicts"] += sum(bool(j.objecting) and j.abstention is None for j in conclusion.judgements)
        wins += _revision_wins(trace, conclusion.judgements)
        if policies:
            by_policy.append((trace.prompt.id, tally_policies(trace, conclusion, policies)))
        if several:
            tallies.append((trace.prompt.id, _panel_tally(conclusion.judgements, run.rule)))
    failures = run.failures()
    prompts = run.prompt_count()
    bias = run.position_bias
    judged = bias.verdicts > 0 or n["otherwise"] > 0
    return Summary(
        constitution=run.manifest.constitution,
        constitution_hash=run.manifest.constitution_hash,
        principles=len(run.constitution.principles),
        prompts=prompts,
        traces=n["traces"],
        failures=len(failures),
        open=prompts - n["traces"] - len(failures),
        failure_reasons=dict(Counter(failure.error.split(":")[0] for failure in failures)),
        matchups=n["matchups"],
        decided=n["matchups"] - counts["abstained"].total(),
        abstained=dict(counts["abstained"]),
        pairs=n["pairs"],
        pairs_by_checks=n["by_checks"],
        traces_without_pair=dict(counts["no_pair"]),
        samples=n["sample"],
        revisions=n["revision"],
        dropped=dict(counts["dropped"]),
        truncated=n["truncated"],
        revision_wins=sum(wins) / len(wins) if wins else None,
        critic=bias,
        length=run.length_effect if n["matchups"] else None,
        corrected=run.correction.what,
        conflicts=n["conflicts"],
        judged_otherwise=n["otherwise"] > 0,
        panel=panel_estimates(tallies_of(tallies), _members(run)) if several else None,
        notes=[
            *_notes(run),
            *_idle_checks(passed),
            *(not_applied(run, run.correction) if judged else []),
        ],
        warnings=warnings_of(run),
        given=_given(run),
        policies=tuple(policy_wins(tallies_of(by_policy), policies, _compared(run))) if policies else (),
        policies_not_paired=dict(counts["not_paired"]) if run.config.pairs.select == "policy-vs-policy" else {},
        saved=None if run.stopping is None else saved_of(run.stopping, n["verdicts"], n["whole"] * _verdicts_each(run)),
        stopped=stopped,
        root=run.root(),
        usage=usage,
        session=session or {},
    )


def _idle_checks(passed: Mapping[str, Counter[bool]]) -> list[str]:
    """Return a note for each check that all responses passed, or none: it decided nothing."""
    all_same = ((name, counts) for name, counts in passed.items() if len(counts) == 1)
    return [
        f"the check of {name} was {'passed' if counts[True] else 'failed'} by every response: it decided nothing"
        for name, counts in all_same
        if counts.total() >= FEWEST_CHECKED
    ]


def _verdicts_each(run: Run) -> int:
    """Return the verdicts of a matchup under one principle where everything is asked."""
    judging = run.config.judging
    return len(judging.panel) * (2 if judging.orders == "both" else 1)


def _compared(run: Run) -> list[str]:
    return [principle.id for principle in run.constitution.comparing]


def _given(run: Run) -> GivenSummary | None:
    if run.config.responses is None:
        return None
    return GivenSummary(file=read_given(run.path), agreement=run.label_agreement)


def _by_checks(rule: Rule, conclusion: Conclusion, pair: Pair) -> bool:
    """Whether only programs decided a pair."""
    return all(part.by_program for part in deciding_principles(conclusion.judgement_of(pair), rule))


def _revision_wins(trace: Trace, judgements: tuple[Judgement, ...]) -> list[float]:
    parents = trace.ancestors({r.id for r in trace.candidates()})
    by_pair = {frozenset((j.a, j.b)): j for j in judgements}
    pairs = ((child, frozenset((child, parent))) for child, parent in parents.items())
    ps = [by_pair[pair].p_of(child) for child, pair in pairs if pair in by_pair]
    return [p for p in ps if p is not None]


def _panel_tally(judgements: tuple[Judgement, ...], rule: Rule) -> Tally:
    tally = Tally()
    for judgement in judgements:
        tally.add(tally_panel(judgement, rule))
    return tally


def _members(run: Run) -> list[tuple[str, str, frozenset[str]]]:
    """Return (judge, model, model families shared with the policy) for every judge."""
    models = run.models
    policy = models.families
    members = []
    for judge in run.config.judging.panel:
        name = models.judges.get(judge.called, models.critic)
        identity = models.judge_identities.get(judge.called, models.critic_identity)
        shared = families(name, identity) & policy
        members.append((judge.called, name, frozenset({"itself"}) if identity == models.policy_identity else shared))
    return members


def _notes(run: Run) -> list[str]:
    if not run.config.judging.panel or run.config.judging.kind == "none" or not run.has_models:
        return []
    if run.config.judging.asks_rules and not run.constitution.asked:
        return []  # programs decide everything
    models = run.models
    if run.config.responses is not None:
        return _authors(run)
    if {models.judge_identities.get(j.called, models.critic_identity) for j in run.config.judging.panel} == {
        models.policy_identity
    }:
        return ["the policy judges its own responses: models tend to prefer text that resembles their own"]
    related = [f"{judge} ({', '.join(sorted(shared))})" for judge, _, shared in _members(run) if shared]
    if not related:
        return []
    return [f"judges of the policy's model family, which may prefer its responses: {', '.join(related)}"]


def _authors(run: Run) -> list[str]:
    """Return a note where a judge is of the family of a model whose responses it judges."""
    models = run.models
    critics = frozenset(
        family
        for judge in run.config.judging.panel
        for family in families(
            models.judges.get(judge.called, models.critic),
            models.judge_identities.get(judge.called, models.critic_identity),
        )
    )
    shared = sorted(name for name in read_given(run.path).models if families(name, "") & critics)
    return [f"judges of the family of models that wrote responses, which they may prefer: {', '.join(shared)}"] * bool(
        shared
    )


def warnings_of(run: Run) -> list[str]:
    """Return the warnings of a run: about the critic's verdicts, and about the settings."""
    off = switched_off(run.config.judging)
    found = [f"protective thresholds are switched off ({', '.join(off)}): do not train on these pairs"] if off else []
    if run.config.judging.orders == "one" and run.config.judging.has_order:
        found.append(ONE_ORDER)
    found += [*run.reasoning.warnings(), *run.again.warnings()]
    return [*run.position_bias.warnings(), *found, *doubts(run.correction.what), *stale_warnings(run), *_chance(run)]


def _chance(run: Run) -> list[str]:
    """Return a warning where the critic is not shown to agree with the file's labels more often than by chance."""
    found = None if run.config.responses is None else run.label_agreement
    if found is None or not found.agreement.n or (found.agreement.low or 0) > 0.5:
        return []
    return [
        "the critic is not shown to agree with the file's labels more often than by chance, so a flip does not tell "
        "that the label is wrong"
    ]


ONE_ORDER = "each matchup was judged in one order only: every label contains the critic's position bias"


def switched_off(judging: JudgingConfig) -> list[str]:
    """Return in words which of the thresholds that exclude unreliable verdicts are switched off."""
    states = {
        "min_label_mass is 0": judging.min_label_mass == 0,
        "min_margin is 0": judging.min_margin == 0,
        "order noise is allowed": judging.allow_order_noise,
    }
    return [words for words, off in states.items() if off]
