"""From traces to what the page's browser of traces shows: texts as they are, numbers rounded, the rest left out.
Which traces are shown is decided in `choice`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlaif.preferences.judgement import Judgement
from rlaif.preferences.logits import ranking_logits
from rlaif.preferences.pairs import Conclusion
from rlaif.records import Failure, Matchup, Prompt, Record, Response, Trace, Verdict
from rlaif.report.run_measures import revision_judgements
from rlaif.text.difference import Difference, difference

STEPS_PER_LOGIT = 50
"""Logits are rounded to 0.02: half of that moves no probability by more than 0.003."""

Logit = int | None
"""In steps; None when the verdict could not be read at all or was not asked."""


class ResponseView(Record):
    """One response, with the critique that led to it when it is a revision."""

    id: str
    text: str
    parent: str | None = None
    score: float | None = None
    """How strong it is among the prompt's candidates, in logits above their mean."""
    note: str = ""
    """Why it was not compared; that it was cut."""
    by: tuple[str, ...] = ()
    """Principles drawn for the critique."""
    critique: str = ""
    kept: float | None = None
    """Share of the parent's words that stayed."""
    unit: str = ""
    """`words`, `sentences` or `whole`: what was compared."""
    steps: tuple[int, ...] = ()
    """Lengths in UTF-16 units, as scripts count: kept in the parent, kept here, gone, new, and so on by fours."""


class MatchupView(Record):
    """Two responses' comparison."""

    a: str
    b: str
    p: float | None
    """Probability that a is better."""
    abstention: str | None = None
    final: bool = False
    votes: tuple[tuple[str, float | None, str], ...] = ()
    """In a comparison: every rule set's name, its probability that a is better, and why it abstains if it does."""
    verdicts: tuple[tuple[str, Logit, Logit, int, bool], ...]
    """Principle, logit for the response shown first in order ab and in order ba, lower label mass in %, readable."""
    checks: tuple[tuple[str, bool, str, bool, str], ...] = ()
    """Principle that a program decides, whether a passed and what was found in it, and the same of b."""


class TraceView(Record):
    """All of a prompt's way that the page shows."""

    id: str
    tags: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]
    """Role and text."""
    outcome: str
    """`pair`, why there is none, or `failed`; in a comparison `labels differ`, `labels agree` or `nothing labelled`."""
    error: str = ""
    pairs: tuple[tuple[str, str, float], ...] = ()
    """Chosen, rejected, p_chosen."""
    responses: tuple[ResponseView, ...] = ()
    judged: tuple[str, ...] = ()
    """Principles put to the judge."""
    matchups: tuple[MatchupView, ...] = ()
    revisions: tuple[float, ...] = ()
    """Probabilities that a revision beats what it goes back to, where their matchup was decided."""

    def response(self, answer_id: str) -> ResponseView:
        """Return one response by its id."""
        return next(response for response in self.responses if response.id == answer_id)


def view_of(trace: Trace, conclusion: Conclusion) -> TraceView:
    """Return what is shown of a trace."""
    judged = zip(trace.matchups, conclusion.judgements, strict=True)
    won = [(j, j.p_of(child)) for child, _, j in revision_judgements(trace, conclusion)]
    return TraceView(
        id=trace.prompt.id,
        tags=trace.prompt.tags,
        turns=turns_of(trace.prompt),
        outcome=conclusion.no_pair or "pair",
        pairs=tuple((pair.chosen, pair.rejected, round(pair.p_chosen, 3)) for pair in conclusion.pairs),
        responses=tuple(_response(trace, response, conclusion) for response in trace.responses),
        judged=trace.judged_by,
        matchups=tuple(_matchup(matchup, judgement) for matchup, judgement in judged),
        revisions=tuple(round(p, 3) for j, p in won if p is not None and j.abstention is None),
    )


def view_of_failure(failure: Failure, prompt: Prompt) -> TraceView:
    """Return what is shown of a prompt that did not become a trace."""
    return TraceView(id=prompt.id, tags=prompt.tags, turns=turns_of(prompt), outcome="failed", error=failure.error)


def browser_data(views: Collection[TraceView], principles: Sequence[str]) -> Mapping[str, Any]:
    """Return what the page's script reads: `views` with their principles as places in `principles`.

    The verdicts of all matchups stand together, column by column, in the order of the matchups: numbers among their
    like take half the room that they take among texts, once compressed.
    """
    matchups = [matchup for view in views for matchup in view.matchups]
    named = dict.fromkeys([*principles, *(verdict[0] for matchup in matchups for verdict in matchup.verdicts)])
    place = {principle: number for number, principle in enumerate(named)}
    return {
        "principles": list(named),
        "steps_per_logit": STEPS_PER_LOGIT,
        "traces": [_compact(view, place) for view in views],
        "ab": [[ab for _, ab, _, _, _ in matchup.verdicts] for matchup in matchups],
        "both": [[_both(ab, ba) for _, ab, ba, _, _ in matchup.verdicts] for matchup in matchups],
        "mass": [[mass for _, _, _, mass, _ in matchup.verdicts] for matchup in matchups],
    }


def _both(ab: Logit, ba: Logit) -> int | list[int] | None:
    """Return the sum of both logits; `ba` alone in a list where there is no `ab`, None where there is no `ba`."""
    if ba is None:
        return None
    return [ba] if ab is None else ab + ba


def _compact(view: TraceView, place: Mapping[str, int]) -> dict[str, Any]:
    data = view.model_dump(
        mode="json", exclude_defaults=True, exclude={"judged": True, "matchups": {"__all__": {"verdicts"}}}
    )
    data["judged"] = [place[principle] for principle in view.judged]
    for response in data.get("responses", []):
        if "by" in response:
            response["by"] = [place[principle] for principle in response["by"]]
    for matchup, compact in zip(view.matchups, data.get("matchups", []), strict=True):
        asked = [place[verdict[0]] for verdict in matchup.verdicts]
        unread = [number for number, verdict in enumerate(matchup.verdicts) if not verdict[4]]
        # The usual matchup is judged under the trace's principles, in their order, and all of them are readable.
        if asked != data["judged"]:
            compact["asked"] = asked
        if unread:
            compact["unread"] = unread
    return data


def turns_of(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """Return role and text of every turn."""
    return tuple((message.role, message.content) for message in prompt.messages)


def _response(trace: Trace, response: Response, conclusion: Conclusion) -> ResponseView:
    score = conclusion.scores.get(response.id)
    view = ResponseView(
        id=response.id,
        text=response.text,
        parent=response.parent,
        score=None if score is None else round(score, 3),
        note=_note(trace, response),
    )
    if response.parent is None:
        return view
    critique = next(c for c in trace.critiques if c.of == response.parent)
    return as_revision(view, trace.response(response.parent).text, critique.principles, critique.text)


def as_revision(view: ResponseView, parent: str, by: tuple[str, ...], critique: str) -> ResponseView:
    """Return a view with its critique and the difference from its parent's text."""
    change = difference(parent, view.text)
    kept, steps = round(change.kept, 2), lengths_of(change)
    return view.model_copy(update={"by": by, "critique": critique, "kept": kept, "unit": change.unit, "steps": steps})


def _note(trace: Trace, response: Response) -> str:
    notes = [f"not compared: {dropped.reason}" for dropped in trace.dropped if dropped.response == response.id]
    if response.copied:
        notes.append(f"repeats its question: “{response.copied} …”")
    if response.finish_reason == "length":
        notes.append("cut at max_tokens")
    return "; ".join(notes)


def lengths_of(change: Difference) -> tuple[int, ...]:
    """Return the steps of a difference as lengths, as `AnswerView.steps` has them."""
    lengths: list[int] = []
    for step in change.steps:
        sides = (_units(step.old), _units(step.new))
        lengths += (0, 0, *sides) if step.changed else (*sides, 0, 0)
    return tuple(lengths)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _matchup(matchup: Matchup, judgement: Judgement) -> MatchupView:
    return MatchupView(
        a=matchup.a,
        b=matchup.b,
        p=None if judgement.p is None else round(judgement.p, 3),
        abstention=judgement.abstention,
        final=matchup.purpose == "final",
        verdicts=tuple(verdicts_of(matchup, judgement)),
        checks=checks_of(matchup),
    )


VerdictValues = tuple[str, Logit, Logit, int, bool]
"""Principle (and judge, where there are several), logits in both orders, label mass in percent, whether it counts."""


def verdicts_of(matchup: Matchup, judgement: Judgement, rules: str = "") -> list[VerdictValues]:
    """Return the verdicts on a matchup, a row for each judge and principle; `rules` stands before the names."""
    alone = {part.principle for part in judgement.principles if not part.by_judge}
    counted = {(one.judge, part.principle) for part in judgement.principles for one in part.by_judge}
    several = any(part.by_judge for part in judgement.principles)
    rows: list[VerdictValues] = []

    def add(judge: str, principle: str, ab: Logit, ba: Logit, mass: float) -> None:
        name = f"{rules}{principle}" + (f" · {judge}" if several and ":" not in principle else "")
        counts = (judge, principle) in counted or principle in alone
        rows.append((name, ab, ba, round(100 * mass), counts))

    for (judge, principle), orders in matchup.verdicts_by_judge().items():
        mass = min(verdict.label_mass for verdict in orders.values())
        add(judge, principle, logit_steps(orders.get("ab")), logit_steps(orders.get("ba")), mass)
    for ranked in matchup.rankings:
        ab, ba = ranking_logits(ranked)
        add(ranked.judge, ranked.principle, _steps(ab), _steps(ba), 1.0)
    for scored in matchup.scores:
        part = next((part for part in judgement.principles if part.principle == scored.principle), None)
        logit = None if part is None else _steps(part.logit_of(scored.judge))
        masses = [score.label_mass for score in (scored.a, scored.b) if score is not None]
        mass = min((1.0 if mass is None else mass for mass in masses), default=0.0)
        add(scored.judge, scored.principle, logit, None if logit is None else -logit, mass)
    return rows


def checks_of(matchup: Matchup, rules: str = "") -> tuple[tuple[str, bool, str, bool, str], ...]:
    """Return what programs found in a matchup; `rules` stands before the principles' names."""
    return tuple(
        (rules + one.principle, one.a.passed, one.a.detail, one.b.passed, one.b.detail) for one in matchup.checks
    )


def logit_steps(verdict: Verdict | None) -> Logit:
    """Return a verdict's logit in steps; None where there is none."""
    return _steps(None if verdict is None else verdict.logit())


def _steps(logit: float | None) -> Logit:
    return None if logit is None else round(logit * STEPS_PER_LOGIT)
