"""Print one trace: responses, critiques, revisions with marked differences, verdicts, the pair."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.checks import CheckResult
from rlaif.cli.console import visible
from rlaif.preferences.judgement import Judgement, PrincipleJudgement, Rule, deciding_principles
from rlaif.preferences.logits import TIE_LOGIT, PrincipleLogit
from rlaif.preferences.pairs import Conclusion, Pair
from rlaif.records import Matchup, Response, Score, Trace, Verdict
from rlaif.rubric import described_items
from rlaif.runs.reader import Run
from rlaif.runs.summary import warnings_of
from rlaif.stats.log_odds import sigmoid
from rlaif.text.difference import difference


def decided_by(pair: Pair, judgement: Judgement, matchup: Matchup, rule: Rule) -> list[str]:
    """Return one line per group of principles: for the pair, against it, no difference, not reached, unreadable.

    Every p is the probability that the chosen response is the better one.
    """
    deciding = deciding_principles(judgement, rule)
    ties = [part for part in deciding if abs(part.logit) < TIE_LOGIT]
    margins = {part.principle: pair.principles[part.principle] - 0.5 for part in deciding if part not in ties}
    readable = {part.principle for part in judgement.principles}
    silent = [part.principle for part in judgement.principles if part.silent]
    lower = [p.principle for p in judgement.principles if p not in deciding and p.principle not in silent]
    asked = dict.fromkeys(
        [v.principle for v in matchup.verdicts]
        + [s.principle for s in matchup.scores]
        + [r.principle for r in matchup.rankings]
    )
    return _lines(
        {
            "decided by": _with_p((name for name in margins if margins[name] > 0), pair, rule),
            "against it": _with_p((name for name in margins if margins[name] < 0), pair, rule),
            "no difference": [*_names(ties), *(f"{name} (a check with the same result for both)" for name in silent)],
            "not reached": [f"{name} (priority {rule.priorities.get(name, 1)})" for name in lower],
            "unreadable": [name for name in asked if name not in readable],
        }
    )


def _with_p(names: Iterable[str], pair: Pair, rule: Rule) -> list[str]:
    ranked = sorted(names, key=lambda name: -abs(pair.principles[name] - 0.5) * rule.weight(name))
    return [f"{name} (p {pair.principles[name]:.3f}, weight {rule.weight(name):g})" for name in ranked]


def _names(parts: Iterable[PrincipleJudgement]) -> list[str]:
    return [part.principle for part in parts]


def _lines(groups: dict[str, list[str]]) -> list[str]:
    return [f"{head:13} {', '.join(names)}" for head, names in groups.items() if names]


LEGEND = (
    "{first}; {id}.r1: the first revision of {id}; score: strength among the prompt's candidates, "
    "in logits; position bias in logits, the rest are probabilities"
)


def print_trace(run: Run, trace: Trace, console: Console) -> None:
    """Print everything about one prompt."""
    conclusion = run.conclude(trace)
    _heading(
        console,
        f"prompt {trace.prompt.id}" + (f"  [{', '.join(trace.prompt.tags)}]" if trace.prompt.tags else ""),
    )
    given = trace.prompt.given is not None
    first = f"g0, g1: the responses of the file ({trace.prompt.row})" if given else "s0, s1: the policy's responses"
    console.print(LEGEND.format(first=first, id="g0" if given else "s0"), style="dim", markup=False)
    for message in trace.prompt.messages:
        console.print(Text(f"{message.role}: ", style="bold").append(Text(message.readable, style="default")))
    for name, text in described_items(trace.prompt.rubric):
        console.print(f"{name}  {visible(text)}", markup=False)
    for response in trace.responses:
        _print_response(trace, conclusion, response, console)
    for dropped in trace.dropped:
        copied = trace.response(dropped.response).copied
        reason = f'{dropped.reason} from the question to the reviser ("{copied} …")' if copied else dropped.reason
        console.print(f"{dropped.response} was not compared: {reason}", markup=False)
    for judgement in conclusion.judgements:
        _print_judgement(trace, judgement, console)
    _print_outcome(run, trace, conclusion, console)
    _print_warnings(run, console)
    console.print(
        f"made with {run.manifest.constitution} ({run.manifest.constitution_hash}), seed {run.config.seed}; "
        f"{trace.usage.requests} replies, {trace.usage.prompt_tokens:,} prompt tokens, "
        f"{trace.usage.completion_tokens:,} generated",
        style="dim",
        markup=False,
    )


def print_overview(run: Run, console: Console, limit: int = 40) -> None:
    """Print one line for each of the first prompts."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("prompt", "candidates", "p_chosen", "pair, or why there is none"):
        table.add_column(column, overflow="fold")
    shown = 0
    for trace, conclusion in run.conclusions():
        if shown == limit:
            break
        shown += 1
        pairs = ", ".join(f"{pair.chosen} > {pair.rejected}" for pair in conclusion.pairs)
        ps = ", ".join(f"{pair.p_chosen:.2f}" for pair in conclusion.pairs)
        table.add_row(
            Text(visible(trace.prompt.id)), str(len(trace.candidates())), ps, Text(pairs or conclusion.no_pair or "")
        )
    console.print(table)
    rest = run.prompt_count() - shown
    if rest > 0:
        console.print(f"… and {rest} more prompts", markup=False)
    for failure in run.failures()[:limit]:
        console.print(f"failed  {failure.prompt_id}: {failure.error}", style="red", markup=False)
    _print_warnings(run, console)
    console.print(f"to see one trace: rlaif show {run.path} PROMPT_ID", markup=False)


def _print_warnings(run: Run, console: Console) -> None:
    for warning in warnings_of(run):
        console.print(Text(f"! {warning}", style="bold yellow"))


def marked_difference(before: str, after: str, *, least: float = 0.5) -> Text:
    """Return `after` with added words as {+added+} in green and removed ones as [-removed-] in red.

    Where less than `least` of the words stayed, marks would make it hard to read: then it is returned unmarked, after
    a note that says so.
    """
    change = difference(before, after)
    if change.kept < least:
        return Text(f"(rewritten, {change.kept:.0%} of the {change.unit} stayed) ", style="dim").append(
            Text(after, style="not dim")
        )
    text = Text()
    for step in change.steps:
        if not step.changed:
            text.append(step.new)
            continue
        if step.old:
            text.append(f"[-{step.old.rstrip()}-]", style="red strike").append(" ")
        if step.new:
            text.append(f"{{+{step.new.rstrip()}+}}", style="green").append(step.new[len(step.new.rstrip()) :] or " ")
    return text


def _print_response(trace: Trace, conclusion: Conclusion, response: Response, console: Console) -> None:
    strength = conclusion.strengths.get(response.id)
    cut = ["cut at max_tokens"] if response.finish_reason == "length" else []
    by = [] if response.policy is None else [f"policy {response.policy}"]
    facts = [response.id, response.origin, *by, response.model]
    facts += _file_label(trace, response) if response.origin == "given" else [f"seed {response.seed}", *cut]
    if strength is not None:
        facts.append(f"score {_strength(strength.value, strength.se)}")
    _heading(console, "  ".join(facts))
    if response.parent is None:
        console.print(Text(response.text or "(empty)"))
        return
    parent = trace.response(response.parent)
    critique = next(c for c in trace.critiques if c.of == parent.id)
    console.print(
        Text(f"critique of {parent.id} by {', '.join(critique.principles)}: ", style="bold").append(
            Text(critique.text, style="italic not bold")
        )
    )
    console.print(Text(f"revision, difference to {parent.id}:", style="bold"))
    console.print(marked_difference(parent.text, response.text))


def _file_label(trace: Trace, response: Response) -> list[str]:
    """Return in words what the file says of a given response."""
    given = (trace.prompt.given or ())[trace.responses.index(response)].label
    if given is None:
        return []
    if given.by == "score":
        return [f"the file's score {given.value:g}"]
    return [
        {1.0: "better according to the file", 0.0: "worse according to the file"}.get(given.value, "a tie in the file")
    ]


def _print_judgement(trace: Trace, judgement: Judgement, console: Console) -> None:
    matchup = next(m for m in trace.matchups if (m.a, m.b) == (judgement.a, judgement.b))
    p = "unreadable" if judgement.p is None else f"p({judgement.a} better) {judgement.p:.3f}"
    reason = f"   abstains: {judgement.abstention}" if judgement.abstention else ""
    extra = "   (asked after the ranking)" if judgement.purpose == "final" else ""
    _heading(console, f"{judgement.a} against {judgement.b}   {p}{reason}{extra}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (
        f"p({judgement.a} better) by",
        "both orders",
        f"{judgement.a} first",
        f"{judgement.b} first",
        "position bias",
        "label mass",
    ):
        table.add_column(column, justify="left" if column.endswith(" by") else "right")
    parts = {part.principle: part for part in judgement.principles}
    several = any(part.by_judge for part in judgement.principles)
    for (judge, principle), by_order in sorted(matchup.verdicts_by_judge().items(), key=lambda item: item[0][::-1]):
        logit = _logit_of(parts.get(principle), judge)
        table.add_row(
            f"{principle} · {judge}" if several else principle,
            f"{sigmoid(logit.logit):.3f}" if logit else "unreadable",
            _p_of_a(by_order.get("ab"), 1),
            _p_of_a(by_order.get("ba"), -1),
            f"{logit.position_bias:+.2f}" if logit and logit.position_bias is not None else "",
            " ".join(f"{v.label_mass:.2f}" for v in by_order.values()),
        )
    for ranked in matchup.rankings:
        logit = _logit_of(parts.get(ranked.principle), ranked.judge)
        table.add_row(
            f"{ranked.principle} · {ranked.judge}",
            f"{sigmoid(logit.logit):.3f}" if logit else "unreadable",
            f"{ranked.a_first[0]} : {ranked.a_first[1]}",
            f"{ranked.b_first[0]} : {ranked.b_first[1]}",
            f"{logit.position_bias:+.2f}" if logit and logit.position_bias is not None else "",
            "",
        )
    for scored in matchup.scores:
        logit = _logit_of(parts.get(scored.principle), scored.judge)
        table.add_row(
            f"{scored.principle} · {scored.judge}" if several and ":" not in scored.principle else scored.principle,
            f"{sigmoid(logit.logit):.3f}" if logit else "unreadable",
            f"{matchup.a}: {_rating(scored.a)}",
            f"{matchup.b}: {_rating(scored.b)}",
            "",
            " ".join(f"{s.label_mass:.2f}" for s in (scored.a, scored.b) if s and s.label_mass is not None),
        )
    for one in matchup.checks:
        part = parts[one.principle]
        p = "–" if part.silent else f"{part.p:.3f}"
        table.add_row(one.principle, p, _found(one.a), _found(one.b), "by a program", "")
    console.print(table)


def _logit_of(part: PrincipleJudgement | None, judge: str) -> PrincipleLogit | PrincipleJudgement | None:
    """Return one judge's log-odds under a principle; the principle's own log-odds where there is only one judge."""
    if part is None or not part.by_judge:
        return part
    return next((logit for logit in part.by_judge if logit.judge == judge), None)


def _rating(score: Score | None) -> str:
    return "?" if score is None else f"{score.value:.2f}"


def _print_outcome(run: Run, trace: Trace, conclusion: Conclusion, console: Console) -> None:
    _heading(console, "outcome")
    for pair in conclusion.pairs:
        console.print(
            Text(f"{pair.chosen} chosen over {pair.rejected}", style="bold green").append(
                f"   p_chosen {pair.p_chosen:.3f}, margin {pair.margin:.3f}, "
                f"scores {_strength(pair.score_chosen, pair.score_chosen_se)} and "
                f"{_strength(pair.score_rejected, pair.score_rejected_se)}",
                style="default",
            )
        )
        judgement = conclusion.judgement_of(pair)
        matchup = next(m for m in trace.matchups if (m.a, m.b) == (judgement.a, judgement.b))
        for line in decided_by(pair, judgement, matchup, run.rule.for_prompt(trace.prompt)):
            console.print(line, markup=False)
    if conclusion.no_pair:
        console.print(Text(f"no pair: {conclusion.no_pair}", style="bold yellow"))


def _strength(value: float, se: float | None) -> str:
    return f"{value:+.2f}" if se is None else f"{value:+.2f} (se {se:.2f})"


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(f"── {text}", style="bold cyan"))


def _found(result: CheckResult) -> Text:
    """Return a check's result on one response as a cell; a's is in the column of order ab, b's in that of ba."""
    return Text(f"{'pass' if result.passed else 'FAIL'}: {visible(result.detail)}")


def _p_of_a(verdict: Verdict | None, sign: int) -> str:
    """Return the probability that a is better according to one verdict; `sign` is -1 where b was shown first."""
    if verdict is None:
        return "not asked"
    logit = verdict.logit()
    return "?" if logit is None else f"{sigmoid(sign * logit):.3f}"
