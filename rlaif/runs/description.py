"""A run in words, for terminal, card and report: its numbers, judges, corrections and panel."""

import math

from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import CONSTITUTION, PolicySampling
from rlaif.judges import KINDS, JudgeConfig
from rlaif.preferences.contributions import Panel
from rlaif.preferences.recalibration import Corrected
from rlaif.runs.file_labels import LabelAgreement
from rlaif.runs.given import GivenFile
from rlaif.runs.policy_wins import PolicyWins
from rlaif.runs.reviewed import People
from rlaif.runs.summary import Summary
from rlaif.stats.estimates import Estimate
from rlaif.text.shortcuts import UNITS
from rlaif.text.wording import counted


def judge_words(judge: JudgeConfig) -> str:
    """Return a short description of one judge, with its name and weight."""
    how = KINDS[judge.kind].describe(judge)
    weight = "" if judge.weight == 1 else f"; weight {judge.weight:g}"
    return f"{judge.called}: {how}{weight}"


def sampling_words(asked: PolicySampling) -> str:
    """Return what a policy is asked for each prompt."""
    sampling = asked.sampling
    more = "".join(f", {name} {value}" for name, value in sampling.extra.items())
    nucleus = "" if sampling.top_p == 1 else f", top-p {sampling.top_p:g}"
    system = {None: "", CONSTITUTION: ", with the constitution as system prompt"}.get(
        asked.system, ", with a system prompt of its own"
    )
    return (
        f"{f'{asked.name}: ' if asked.name else ''}{counted(sampling.n, 'response')} per prompt, temperature "
        f"{sampling.temperature:g}{nucleus}{more}{system}, at most {sampling.max_tokens:,} tokens"
    )


def strategy_words(judging: JudgingConfig) -> str:
    """Return in words how the principles' log-odds become one label."""
    return {
        "by-priority": "weighted mean of the principles, level by level",
        "weighted": "weighted mean of all principles, regardless of their level",
        "pareto": "weighted mean, and no label where a single principle prefers the other response",
    }[judging.strategy]


def corrected_words(corrected: Corrected) -> list[str]:
    """Return one phrase for each correction of the log-odds, with its source."""
    phrases = []
    if corrected.length_effect is not None:
        phrases.append(
            f"length: {corrected.length_effect:+.2f} logits per unit of log length ratio subtracted (given in the run "
            "file)"
        )
    if corrected.shortcuts:
        phrases.append(_shortcuts(corrected))
    if corrected.noise is not None:
        noise = corrected.noise
        source = {
            "residuals": "residuals",
            "judges": "the judges' disagreement",
            "orders": "the two orders, which does not show errors that both share",
        }[noise.source]
        phrases.append(
            f"noise: p_chosen is the posterior given all matchups of the prompt; noise of a matchup SD "
            f"{math.sqrt(noise.noise):.2g} logits (from {source}), quality of two responses differs by SD "
            f"{math.sqrt(noise.signal):.2g}; {noise.reliability:.0%} of the variance of log-odds is signal"
        )
    if corrected.recalibrator is not None:
        fitted, gold = corrected.recalibrator, corrected.recalibrator.fitted_on
        what = f"differences times {fitted.slope:.2f}" if fitted.slope is not None else "an isotonic curve"
        phrases.append(
            f"confidence: {what}, fitted on {fitted.items} labelled items of {gold.gold} (hash {gold.gold_hash})"
        )
    return phrases


def _shortcuts(corrected: Corrected) -> str:
    shown = [
        f"{effect.effect.value:+.2f} logits{effect.effect.ends('+.2f')} per {UNITS[effect.edit]}"
        for effect in corrected.shortcuts
        if effect.shown
    ]
    rest = [effect.edit for effect in corrected.shortcuts if not effect.shown]
    not_shown = f"; not shown, so not subtracted: {', '.join(rest)}" if rest else ""
    how = f"measured by editing responses of {corrected.shortcuts_of}"
    return f"shortcuts: {', '.join(shown) or 'nothing'} subtracted ({how}){not_shown}"


def panel_words(panel: Panel) -> list[str]:
    """Return one line for each judge of a panel (agreement, influence), then one for each two judges."""
    lines = []
    for member in panel.members:
        parts = [f"readable in {member.read} matchups"]
        parts += [] if member.agrees.value is None else [f"agrees with the others {_share(member.agrees)}"]
        parts += [] if member.decisive.value is None else [f"decides {_share(member.decisive)} of the labels"]
        related = f"; same model family as the policy ({', '.join(member.related)})" if member.related else ""
        related = "; the policy itself" if member.related == ("itself",) else related
        lines.append(f"{member.judge} by {member.model}: {', '.join(parts)}{related}")
    lines += [
        f"{pair.one} and {pair.other}: the same winner {_share(pair.same)}, correlation of log-odds "
        f"{pair.correlation.value:+.2f}"
        for pair in panel.pairs
        if pair.same.value is not None and pair.correlation.value is not None
    ]
    return lines


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.0%}{estimate.ends('.0f', 100)}"


def summary_lines(summary: Summary) -> list[str]:
    """Return the counts of a run as lines of text; the first number of a line is the sum of the others."""
    without = sum(summary.traces_without_pair.values())
    lines = [
        f"{counted(summary.prompts, 'prompt')} = {counted(summary.traces, 'trace')} + "
        + counted(summary.failures, "failure")
        + (f" + {summary.open} not reached" if summary.open else "")
        + _reasons(summary.failure_reasons),
        f"{counted(summary.matchups, 'matchup')} = {summary.decided} decided + "
        f"{summary.matchups - summary.decided} abstained" + _reasons(summary.abstained),
        f"{counted(summary.traces, 'trace')} = {summary.traces - without} with a pair + {without} without"
        + _reasons(summary.traces_without_pair)
        + (f";  {counted(summary.pairs, 'pair')}" if summary.pairs != summary.traces - without else ""),
    ]
    if summary.pairs_by_checks:
        lines.append(f"{summary.pairs_by_checks} of {counted(summary.pairs, 'pair')} decided by checks alone")
    if summary.dropped:
        lines.append(f"{counted(sum(summary.dropped.values()), 'response')} not compared{_reasons(summary.dropped)}")
    if summary.revision_wins is not None:
        lines.append(f"a revision beats its parent with a mean probability of {summary.revision_wins:.0%}")
    lines += [line for wins in summary.policies for line in policy_lines(wins)]
    lines += drawn_lines(summary)
    if summary.conflicts:
        lines.append(
            f"in {summary.conflicts} of the decided matchups, a principle on its own would choose the other response"
        )
    if summary.saved is not None:
        lines.append(f"stopped early: {summary.saved.words}")
    if summary.stopped and summary.open:
        lines.append(f"stopped by {summary.stopped}, with {counted(summary.open, 'prompt')} not reached")
    if summary.session.get("replies"):
        lines.append(_session_line(summary.session))
    return lines


def policy_lines(found: PolicyWins) -> list[str]:
    """Return which of two policies wins, over all and under each principle, as lines of text."""
    if found.wins.value is None:
        return [f"policies {found.policy} and {found.other}: no label in {counted(found.matchups, 'matchup')}"]
    first = (
        f"policy {found.policy} wins {share(found.wins)} of {found.wins.n:g} decided matchups with {found.other} "
        f"({found.matchups} in all)"
    )
    by = [f"{name} {share(estimate)}" for name, estimate in found.by_principle.items()]
    return [first, *([f"  under one rule alone: {', '.join(by)}"] if len(by) > 1 else [])]


def drawn_lines(summary: Summary) -> list[str]:
    """Return what became of the pairs drawn of two policies, as lines of text; none without any left out."""
    if not summary.policies_not_paired:
        return []
    left_out = sum(summary.policies_not_paired.values())
    return [
        f"{counted(summary.pairs + left_out, 'pair')} drawn of two policies = {summary.pairs} in the dataset + "
        f"{left_out} left out" + _reasons(summary.policies_not_paired)
    ]


def share(estimate: Estimate) -> str:
    """Return a share in percent with its interval."""
    return "unknown" if estimate.value is None else f"{estimate.value:.0%}{estimate.ends_or_reason('.0%')}"


def given_words(file: GivenFile) -> str:
    """Return in words where given responses come from, and which models wrote them."""
    named = [f"{name} ({number:,})" for name, number in sorted(file.models.items(), key=lambda one: -one[1])]
    shown = ", ".join(named[:MODELS_SHOWN]) + (f" and {len(named) - MODELS_SHOWN} more" * (len(named) > MODELS_SHOWN))
    return (
        f"given by {file.name}, shape {file.shape}; none sampled; written by {shown or 'models that it does not name'}"
    )


MODELS_SHOWN = 8


def given_lines(summary: Summary) -> list[str]:
    """Return the counts of a file of responses and of its labels as lines of text; none where none was given.

    The first number of a sum is the sum of the others.
    """
    if summary.given is None:
        return []
    file, rest = summary.given.file, {"not reached": summary.open, "refused": sum(summary.given.file.refused.values())}
    lines = [
        f"{counted(file.rows, 'row')} of {file.name} = {summary.traces} judged + {counted(summary.failures, 'failure')}"
        + "".join(f" + {number} {name}" for name, number in rest.items() if number or name == "refused")
        + _reasons(file.refused)
    ]
    return lines + (_agreement_lines(summary.given.agreement) if summary.given.agreement else ["no row has a label"])


def _agreement_lines(found: LabelAgreement) -> list[str]:
    rest = {"not compared": found.not_compared, "not judged": found.not_judged}
    sums = [
        f"{counted(found.labels, 'label')} of the file = {found.agrees} the critic agrees with + {found.flips} it flips"
        f" + {sum(found.abstained.values())} it does not decide{_reasons(found.abstained)}"
        + "".join(f" + {number} {name}" for name, number in rest.items() if number)
    ]
    if found.ties:
        sums.append(f"{counted(found.ties, 'tie')} in the file, not among these labels")
    if found.agreement.value is not None:
        share = f"{found.agreement.value:.0%}{found.agreement.ends_or_reason('.0%')}"
        sums.append(
            f"the critic agrees with {share} of the labels that it decides; the interval is over "
            f"{counted(found.agreement.prompts, 'prompt')}"
        )
        right = f"{found.reliability.value:.0%}{found.reliability.ends_or_reason('.0%')}"
        sums.append(
            f"if the critic's probabilities are right, a label of the file is right with probability {right}, and "
            f"{counted(found.likely_wrong, 'label')} more likely wrong than not"
        )
    return sums


def _session_line(session: dict[str, float]) -> str:
    cached = session["cached_tokens"] / session["prompt_tokens"] if session["prompt_tokens"] else 0.0
    return (
        f"{session['replies']:,.0f} replies ({session['from_store']:,.0f} from store) in {session['seconds']:.0f} s;  "
        f"{session['prompt_tokens']:,.0f} prompt tokens ({cached:.0%} cached), "
        f"{session['completion_tokens']:,.0f} generated"
    )


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in sorted(counts.items()))})" if counts else ""


def people_words(people: People) -> str:
    """Return what people's verdicts changed in a dataset, and what their labels are worth."""
    measured = (
        "no pair has two votes for a response, so their agreement is assumed"
        if people.agreement is None
        else f"two reviewers prefer the same response in {people.agreement:.0%} of "
        f"{counted(people.agreement_pairs, 'pair')}"
    )
    return (
        f"{counted(people.reviewers, 'reviewer')} decided {counted(people.by_people, 'pair')}, "
        f"{people.reversed} of them against the critic; {counted(people.left_out, 'pair')} on which people prefer "
        f"neither response left out; {measured}, so a single vote counts as p = {people.agreement_used:.2f}"
    )
