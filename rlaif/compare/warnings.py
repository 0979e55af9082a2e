"""What a reader of a comparison must know before believing it, in plain words."""

from rlaif.compare.comparison import Comparison, RuleSetMetrics, Two
from rlaif.config.run import RunConfig
from rlaif.runs.summary import ONE_ORDER, switched_off

KINDS: dict[str, str] = {
    "parent": "of a revision with its sample",
    "rivals": "of two rule sets' revisions",
    "samples": "of two samples",
}
"""What is held against what, by a matchup's kind."""

FEW_PROMPTS = 30
MOSTLY_UNLABELLED = 0.5


def plain_warnings(comparison: Comparison, config: RunConfig) -> list[str]:
    """Return the warnings of a comparison; none when there is nothing to warn of."""
    found = _of_the_critic(comparison)
    found += [line for rules in comparison.rule_sets for line in _of_rule_set(rules, comparison.matchups)]
    found += [line for two in comparison.pairs for line in _of_two(two)]
    if comparison.left_out:
        found.append(f"prompts left out, because they failed or not all runs have them: {comparison.left_out}")
    if not comparison.matchups:
        found.append("no prompt has two different answers, so there was nothing to judge")
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
    """Return the critic's faults once, with the rule sets under which they show."""
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


def _of_two(two: Two) -> list[str]:
    beyond = two.beyond_noise
    if beyond is None or beyond.low is None or beyond.low > 0:
        return []
    return [
        f"{two.one} and {two.other}: their flips are not shown to be more than the judge's own noise "
        f"(difference {beyond.value:+.0%}, 95 % interval {beyond.low:+.0%} to {beyond.high:+.0%})"
    ]
