"""Check whether runs can be compared, find differences other than the rules, and give a comparison's warnings."""

from collections.abc import Iterable, Mapping, Sequence

from rlaif.compare.comparison_schema import Comparison, RuleSetMetrics, RuleSetPair
from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError, RunDirectoryError
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import TRACES, changed_settings
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.runs.summary import ONE_ORDER, switched_off


def refuse_incomparable(runs: dict[str, Run]) -> None:
    """Raise RunDirectoryError where the runs have different critics, or no finished prompt in common."""
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.models.critic_identity != first.models.critic_identity:
            raise RunDirectoryError(
                f"{first_name} was made with the critic {first.models.critic_identity}, {name} with "
                f"{run.models.critic_identity}, so rules and critics differ at the same time; compare runs with one "
                "critic"
            )
    common = common_prompts(runs)
    refuse_rubrics(common)
    if not common:
        raise RunDirectoryError("the runs have no finished prompt in common; compare runs over the same prompts")


def refuse_rubrics(prompts: Iterable[Prompt]) -> None:
    """Raise ConfigError where a prompt has a rubric: its items belong to no rule set."""
    found = next((prompt.id for prompt in prompts if prompt.rubric), None)
    if found is not None:
        raise ConfigError(
            f"prompt {found} has a rubric, which belongs to no rule set; a comparison asks the rule sets only: give "
            "prompts without the column `rubric`"
        )


def refuse_other_critic(runs: dict[str, Run], identity: str, judges: Mapping[str, str]) -> None:
    """Raise RunDirectoryError where the served critic, or the model of a judge, is not the one that made the runs."""
    models = next(iter(runs.values())).models
    made_with = models.critic_identity
    for judge, now in judges.items():
        was = models.judge_identities.get(judge, now)
        if was != now:
            raise RunDirectoryError(
                f"the judge {judge} of the runs was {was}, but {now} is served now; give the model of the runs"
            )
    if made_with != identity:
        raise RunDirectoryError(
            f"the runs were made with the critic {made_with}, but {identity} is served now; a comparison needs one "
            "critic: give the critic of the runs, or make the runs again"
        )


def common_prompts(runs: dict[str, Run]) -> list[Prompt]:
    """Return the prompts that have a trace in all runs, in the order of the first run.

    Raises RunDirectoryError where one id belongs to different prompts.
    """
    (first_name, first), *others = runs.items()
    common = {trace.prompt.id: trace.prompt for trace in first.traces()}
    for name, run in others:
        prompts = {trace.prompt.id: trace.prompt for trace in run.traces()}
        common = {prompt_id: prompt for prompt_id, prompt in common.items() if prompt_id in prompts}
        differing = next((prompt_id for prompt_id, prompt in common.items() if prompts[prompt_id] != prompt), None)
        if differing is not None:
            raise RunDirectoryError(
                f"prompt {differing!r} is not the same in {first_name} and {name}; compare runs over the same prompts"
            )
    return list(common.values())


def left_out(runs: dict[str, Run], judged: Sequence[Prompt]) -> int:
    """Return the number of prompts, of all runs together, that were not judged in the pool."""
    asked: set[str] = set()
    for run in runs.values():
        with TraceReader(run.path / TRACES, Trace) as reader:
            asked.update(reader.prompt_ids())
    return len(asked - {prompt.id for prompt in judged})


def other_differences(runs: dict[str, Run]) -> list[str]:
    """Return a warning for every run whose settings, besides the rules, differ from those of the first run."""
    first_name, first = next(iter(runs.items()))
    return [
        f"{name} and {first_name} differ in more than the rules ({'; '.join(found)})"
        for name, run in runs.items()
        if (found := changed_settings(_made_with(first), _made_with(run)))
    ]


def _made_with(run: Run) -> dict[str, object]:
    """Return the settings, besides the rules, that a run's responses depend on."""
    asked = {name: value for name, value in run.manifest.questions.items() if name not in {"judging", "pairs"}}
    templates = {name: run.manifest.templates.get(name) for name in ("critique", "revise")}
    policies = run.models.policy_identities or run.models.policy_identity
    return {"policy model": policies, **asked, "template": templates}


KINDS: dict[str, str] = {
    "parent": "of a revision with its sample",
    "rivals": "of two rule sets' revisions",
    "samples": "of two samples",
}
"""Descriptions of the kinds of matchups, after a count: `81 matchups = 43 of a revision with its sample`."""

FEW_PROMPTS = 30
MOSTLY_UNLABELLED = 0.5


def plain_warnings(comparison: Comparison, config: RunConfig) -> list[str]:
    """Return the warnings of a comparison as sentences without a full stop."""
    found = _of_the_critic(comparison)
    found += [line for rules in comparison.rule_sets for line in _of_rule_set(rules, comparison.matchups)]
    found += [line for two in comparison.pairs for line in _of_pair(two)]
    if comparison.left_out:
        found.append(f"{comparison.left_out} prompts are left out, because they failed or are not in all runs")
    if not comparison.matchups:
        found.append("no prompt has two different responses, so there was nothing to judge")
    if comparison.prompts < FEW_PROMPTS:
        found.append(f"only {comparison.prompts} prompts: the intervals are wide, and other prompts may say otherwise")
    if config.judging.orders == "one":
        found.append(ONE_ORDER)
    if off := switched_off(config.judging):
        found.append(f"thresholds are switched off ({', '.join(off)}): labels that they would refuse are counted")
    if comparison.judged_twice == 0:
        found.append("nothing was judged twice: it is not known which differences are more than the judge's noise")
    if not comparison.matchups_by_kind.get("rivals") and config.revision.rounds:
        found.append("no revisions of two rule sets could be compared: it is not known whose revisions win")
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
            f"{rules.name} judged {rules.matchups} of {pooled} matchups: none of its principles applies to the other "
            "prompts"
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
