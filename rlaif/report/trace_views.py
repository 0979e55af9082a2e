"""Convert traces into what the page's browser shows of them: texts unchanged, numbers rounded, the rest left out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rlaif.preferences.judgement import Judgement
from rlaif.preferences.logits import ranking_logits
from rlaif.preferences.pairs import Conclusion
from rlaif.records import Failure, Matchup, Prompt, Record, Response, Trace, Verdict
from rlaif.report.run_measures import revision_judgements
from rlaif.rubric import described_items
from rlaif.text.difference import Difference, difference

STEPS_PER_LOGIT = 50
"""Logits are rounded to 0.02, which changes no probability by more than 0.003."""

Logit = int | None
"""A logit in steps; None when the verdict could not be read or was not asked."""


class ResponseView(Record):
    """One response, with the critique that led to it when it is a revision."""

    id: str
    text: str
    parent: str | None = None
    score: float | None = None
    """Strength among the prompt's candidates, in logits above their mean."""
    note: str = ""
    """The policy where there are several, why it was not compared, and whether it was cut at max_tokens."""
    by: tuple[str, ...] = ()
    """Principles drawn for the critique."""
    critique: str = ""
    kept: float | None = None
    """Share of the parent's words that stayed."""
    unit: str = ""
    """Unit of the difference: `words`, `sentences` or `whole`."""
    steps: tuple[int, ...] = ()
    """Groups of four lengths in UTF-16 units: kept in the parent, kept here, removed, added."""


class MatchupView(Record):
    """One matchup with its verdicts."""

    a: str
    b: str
    p: float | None
    """Probability that a is better."""
    abstention: str | None = None
    final: bool = False
    votes: tuple[tuple[str, float | None, str], ...] = ()
    """In a comparison, for every rule set: its name, its probability that a is better, and its abstention or ""."""
    verdicts: tuple[tuple[str, Logit, Logit, int, bool], ...]
    """Principle, logit for the response shown first in order ab and in order ba, lower label mass in %, readable?"""
    checks: tuple[tuple[str, bool, str, bool, str], ...] = ()
    """Principle that a program decides, whether a passed, what was found in a, and the same for b."""


class TraceView(Record):
    """What the page shows of one prompt."""

    id: str
    tags: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]
    """Role and text."""
    rubric: tuple[tuple[str, str], ...] = ()
    """Item and text."""
    outcome: str
    """`pair`, why there is none, or `failed`; in a comparison `labels differ`, `labels agree` or `nothing labelled`."""
    error: str = ""
    pairs: tuple[tuple[str, str, float], ...] = ()
    """Chosen, rejected, p_chosen."""
    responses: tuple[ResponseView, ...] = ()
    judged: tuple[str, ...] = ()
    """Principles that the judge was asked about."""
    matchups: tuple[MatchupView, ...] = ()
    revisions: tuple[float, ...] = ()
    """Probabilities that a revision beats its ancestor, where their matchup was decided."""

    def response(self, response_id: str) -> ResponseView:
        """Return one response by its id."""
        return next(response for response in self.responses if response.id == response_id)


def view_of(trace: Trace, conclusion: Conclusion) -> TraceView:
    """Return the view of a trace."""
    judged = zip(trace.matchups, conclusion.judgements, strict=True)
    won = [(j, j.p_of(child)) for child, _, j in revision_judgements(trace, conclusion)]
    return TraceView(
        id=trace.prompt.id,
        tags=trace.prompt.tags,
        turns=turns_of(trace.prompt),
        rubric=described_items(trace.prompt.rubric),
        outcome=conclusion.no_pair or "pair",
        pairs=tuple((pair.chosen, pair.rejected, round(pair.p_chosen, 3)) for pair in conclusion.pairs),
        responses=tuple(_response(trace, response, conclusion) for response in trace.responses),
        judged=trace.judged_by,
        matchups=tuple(_matchup(matchup, judgement) for matchup, judgement in judged),
        revisions=tuple(round(p, 3) for j, p in won if p is not None and j.abstention is None),
    )


def view_of_failure(failure: Failure, prompt: Prompt) -> TraceView:
    """Return the view of a prompt that failed."""
    return TraceView(id=prompt.id, tags=prompt.tags, turns=turns_of(prompt), outcome="failed", error=failure.error)


def browser_data(views: Collection[TraceView], principles: Sequence[str]) -> Mapping[str, Any]:
    """Return the JSON that the page's script reads: `views`, with principles replaced by their index in `principles`.

    The verdicts of all matchups are stored column by column, in the order of the matchups, because that compresses to
    half the size.
    """
    matchups = [matchup for view in views for matchup in view.matchups]
    named = dict.fromkeys([*principles, *(verdict[0] for matchup in matchups for verdict in matchup.verdicts)])
    index = {principle: number for number, principle in enumerate(named)}
    return {
        "principles": list(named),
        "steps_per_logit": STEPS_PER_LOGIT,
        "traces": [_compact(view, index) for view in views],
        "ab": [[ab for _, ab, _, _, _ in matchup.verdicts] for matchup in matchups],
        "both": [[_both(ab, ba) for _, ab, ba, _, _ in matchup.verdicts] for matchup in matchups],
        "mass": [[mass for _, _, _, mass, _ in matchup.verdicts] for matchup in matchups],
    }


def _both(ab: Logit, ba: Logit) -> int | list[int] | None:
    """Return `ab + ba`; `[ba]` where there is no `ab`; None where there is no `ba`."""
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
        # Most matchups are judged under the trace's principles, in that order, and readable; only exceptions are kept.
        if asked != data["judged"]:
            compact["asked"] = asked
        if unread:
            compact["unread"] = unread
    return data


def turns_of(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """Return (role, text) of every turn of a prompt."""
    return tuple((message.role, message.readable) for message in prompt.messages)


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
    """Return the view of a revision, with its critique and the difference from its parent's text."""
    change = difference(parent, view.text)
    kept, steps = round(change.kept, 2), lengths_of(change)
    return view.model_copy(update={"by": by, "critique": critique, "kept": kept, "unit": change.unit, "steps": steps})


def _note(trace: Trace, response: Response) -> str:
    notes = [] if response.policy is None else [f"policy {response.policy}"]
    notes += [f"not compared: {dropped.reason}" for dropped in trace.dropped if dropped.response == response.id]
    if response.copied:
        notes.append(f"repeats its question: “{response.copied} …”")
    if response.finish_reason == "length":
        notes.append("cut at max_tokens")
    return "; ".join(notes)


def lengths_of(change: Difference) -> tuple[int, ...]:
    """Return the steps of a difference as lengths, in the layout of `ResponseView.steps`."""
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
"""Principle (and judge, where there are several), logits in both orders, label mass in %, whether it is counted."""


def verdicts_of(matchup: Matchup, judgement: Judgement, rules: str = "") -> list[VerdictValues]:
    """Return the verdicts on a matchup, one row per judge and principle; `rules` is a prefix of the names."""
    single_judge = {part.principle for part in judgement.principles if not part.by_judge}
    counted_parts = {(one.judge, part.principle) for part in judgement.principles for one in part.by_judge}
    several = any(part.by_judge for part in judgement.principles)
    rows: list[VerdictValues] = []

    def add(judge: str, principle: str, ab: Logit, ba: Logit, mass: float) -> None:
        name = f"{rules}{principle}" + (f" · {judge}" if several and ":" not in principle else "")
        counts = (judge, principle) in counted_parts or principle in single_judge
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
    """Return the results of the checks in a matchup; `rules` is a prefix of the principles' names."""
    return tuple(
        (rules + one.principle, one.a.passed, one.a.detail, one.b.passed, one.b.detail) for one in matchup.checks
    )


def logit_steps(verdict: Verdict | None) -> Logit:
    """Return a verdict's logit in steps of 0.02; None where there is none."""
    return _steps(None if verdict is None else verdict.logit())


def _steps(logit: float | None) -> Logit:
    return None if logit is None else round(logit * STEPS_PER_LOGIT)
