"""Whether runs can be compared, what differs between them beside the rules, and what limits a comparison."""

from collections.abc import Mapping, Sequence

from rlaif.compare.comparison_schema import Comparison, RuleSetMetrics, RuleSetPair
from rlaif.config.run import RunConfig
from rlaif.errors import RunDirectoryError
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import TRACES, changed_settings
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.runs.summary import ONE_ORDER, switched_off


def refuse_incomparable(runs: dict[str, Run]) -> None:
    """Raise RunDirectoryError where the runs were not asked the same things, or not of the same critic."""
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.models.critic_identity != first.models.critic_identity:
            raise RunDirectoryError(
                f"{first_name} was made with the critic {first.models.critic_identity}, {name} with "
                f"{run.models.critic_identity}: a difference of rules cannot be told from one of critics"
            )
    if not common_prompts(runs):
        raise RunDirectoryError("the runs have no finished prompt in common; compare runs over the same prompts")


def refuse_other_critic(runs: dict[str, Run], identity: str, judges: Mapping[str, str]) -> None:
    """Raise RunDirectoryError where another critic, or another judge, would judge the pool than made the runs."""
    models = next(iter(runs.values())).models
    made_with = models.critic_identity
    for judge, now in judges.items():
        was = models.judge_identities.get(judge, now)
        if was != now:
            raise RunDirectoryError(
                f"the runs were judged by {was} as {judge}, but {now} is served now; name the same one"
            )
    if made_with != identity:
        raise RunDirectoryError(
            f"the runs were made with the critic {made_with}, but {identity} is served now; one critic does all of a "
            "comparison: name the runs' own, or make the runs anew"
        )


def common_prompts(runs: dict[str, Run]) -> list[Prompt]:
    """Return the prompts that are traces in all runs, in the order of the first.

    Raises RunDirectoryError where one id stands for different prompts.
    """
    (first_name, first), *others = runs.items()
    common = {trace.prompt.id: trace.prompt for trace in first.traces()}
    for name, run in others:
        theirs = {trace.prompt.id: trace.prompt for trace in run.traces()}
        common = {prompt_id: prompt for prompt_id, prompt in common.items() if prompt_id in theirs}
        other = next((prompt_id for prompt_id, prompt in common.items() if theirs[prompt_id] != prompt), None)
        if other is not None:
            raise RunDirectoryError(
                f"prompt {other!r} is not the same in {first_name} and {name}; compare runs over the same prompts"
            )
    return list(common.values())


def left_out(runs: dict[str, Run], judged: Sequence[Prompt]) -> int:
    """Return how many prompts of any of the runs were not judged in the pool."""
    asked: set[str] = set()
    for run in runs.values():
        with TraceReader(run.path / TRACES, Trace) as reader:
            asked.update(reader.prompt_ids())
    return len(asked - {prompt.id for prompt in judged})


def other_differences(runs: dict[str, Run]) -> list[str]:
    """Return a warning for every run that differs from the first in more than its rules."""
    first_name, first = next(iter(runs.items()))
    return [
        f"{name} was not made as {first_name} was ({'; '.join(found)}): what differs is not the rules alone"
        for name, run in runs.items()
        if (found := changed_settings(_made_with(first), _made_with(run)))
    ]


def _made_with(run: Run) -> dict[str, object]:
    """Return what a run's responses depend on beside the rules. Its judging is left out: the pool is judged anew."""
    asked = {name: value for name, value in run.manifest.questions.items() if name not in {"judging", "pairs"}}
    words = {name: run.manifest.templates.get(name) for name in ("critique", "revise")}
    return {"policy model": run.models.policy_identity, **asked, "template": words}


KINDS: dict[str, str] = {
    "parent": "of a revision with its sample",
    "rivals": "of two rule sets' revisions",
    "samples": "of two samples",
}
"""What is compared with what, by a matchup's kind."""

FEW_PROMPTS = 30
MOSTLY_UNLABELLED = 0.5


def plain_warnings(comparison: Comparison, config: RunConfig) -> list[str]:
    """Return the warnings of a comparison; none when there is nothing to warn of."""
    found = _of_the_critic(comparison)
    found += [line for rules in comparison.rule_sets for line in _of_rule_set(rules, comparison.matchups)]
    found += [line for two in comparison.pairs for line in _of_pair(two)]
    if comparison.left_out:
        found.append(f"prompts left out, because they failed or not all runs have them: {comparison.left_out}")
    if not comparison.matchups:
        found.append("no prompt has two different responses, so there was nothing to judge")
    if comparison.prompts < FEW_PROMPTS:
        found.append(f"only {comparison.prompts} prompts: the intervals are wide, and other prompts may say otherwise")
    if config.judging.orders == "one":
        found.append(ONE_ORDER)
    if off := switched_off(config.judging):
        found.append(f"protective thresholds are switched off ({', '.join(off)}): what they would refuse is counted")
    if comparison.judged_twice == 0:
        found.append("nothing was judged twice: which differences are more than the judge's noise is not known")
    if not comparison.matchups_by_kind.get("rivals") and config.revision.rounds:
        found.append("no two rule sets' revisions could be compared: whose revisions win is not known")
    return found


def _of_the_critic(comparison: Comparison) -> list[str]:
    """Return the critic's warnings once, with the rule sets for which they hold."""
    unfit = [(rules.name, warning) for rules in comparison.rule_sets for warning in rules.critic.warnings()]
    if not unfit:
        return []
    names = ", ".join(name for name, _ in unfit)
    return [unfit[0][1].replace("not fit to judge:", f"not fit to judge under {names}:")]


def _of_rule_set(rules: RuleSetMetrics, pooled: int) -> list[str]:
    share = rules.labelled.value
    if share is None:
        return [f"{rules.name} judged nothing: none of its principles applies to these prompts"] if pooled else []
    found = []
    if rules.matchups < pooled:
        found.append(
            f"{rules.name} judged {rules.matchups} of {pooled} matchups: to the others' prompts no rule applies"
        )
    if share < MOSTLY_UNLABELLED:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(rules.abstained.items()))
        found.append(f"{rules.name} abstains on {1 - share:.0%} of the matchups it judged ({reasons})")
    return found


def _of_pair(two: RuleSetPair) -> list[str]:
    beyond = two.beyond_noise
    if beyond is None or beyond.low is None or beyond.low > 0:
        return []
    return [
        f"{two.one} and {two.other}: their flips are not shown to be more than the judge's own noise "
        f"(difference {beyond.value:+.0%}, 95 % interval {beyond.low:+.0%} to {beyond.high:+.0%})"
    ]
