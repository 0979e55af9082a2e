"""A few traces as plain HTML, shown in print and without JavaScript, in place of the browser of traces."""

import math
from dataclasses import dataclass

from rlaif.preferences.judgement import CHECKED_LOGIT
from rlaif.report.trace_views import STEPS_PER_LOGIT, Logit, MatchupView, ResponseView, TraceView
from rlaif.text.difference import difference

LONGEST = 1500
"""Characters of a response that are printed."""

LEAST_KEPT = 0.25
"""Least share of the words that stayed for changes to be marked; with fewer, marks make the text hard to read."""


@dataclass(frozen=True)
class Piece:
    """A stretch of text."""

    text: str
    changed: bool = False


@dataclass(frozen=True)
class Side:
    """One of two responses side by side."""

    response: ResponseView
    pieces: tuple[Piece, ...]
    cut: int
    """Number of characters that are not printed."""


@dataclass(frozen=True)
class VerdictRow:
    """The verdict of one principle on a matchup, as text."""

    principle: str
    a_first: str
    """Probability that a is better, when it is shown first."""
    b_first: str
    both: str
    bias: str
    mass: str
    flag: str
    """`order-dependent`, `unreadable`, `by a program`, or empty."""


@dataclass(frozen=True)
class Printed:
    """The parts of one trace that are printed."""

    view: TraceView
    why: str
    """Why this trace was selected."""
    revision: tuple[Side, Side] | None
    """A response and its revision, with the changes marked."""
    matchup: MatchupView | None
    sides: tuple[Side, ...]
    verdicts: tuple[VerdictRow, ...]


def printed(view: TraceView, why: str) -> Printed:
    """Return one matchup of a trace with its verdicts, and one revision, of a response in that matchup if possible."""
    matchup = _matchup(view)
    revision = _revision(view, matchup)
    return Printed(
        view=view,
        why=why,
        revision=None if revision is None else _marked(view.response(revision.parent or ""), revision),
        matchup=matchup,
        sides=() if matchup is None else tuple(_plain(view.response(name)) for name in (matchup.a, matchup.b)),
        verdicts=() if matchup is None else (*map(verdict_row, matchup.verdicts), *map(check_row, matchup.checks)),
    )


def verdict_row(verdict: tuple[str, Logit, Logit, int, bool]) -> VerdictRow:
    """Return the verdicts of both orders as a row of a table."""
    principle, ab, ba, mass, readable = verdict
    logits = [logit for logit in (ab, None if ba is None else -ba) if logit is not None]
    preference = sum(logits) / len(logits) if logits else None
    bias = None if ab is None or ba is None else (ab + ba) / 2
    order_dependent = preference is not None and bias is not None and abs(bias) >= abs(preference)
    return VerdictRow(
        principle=principle,
        a_first=_p(ab),
        b_first=_p(None if ba is None else -ba),
        both=_p(preference),
        bias="–" if bias is None else f"{bias / STEPS_PER_LOGIT:+.2f}",
        mass=f"{mass}%",
        flag="order-dependent" if readable and order_dependent else "" if readable else "unreadable",
    )


def check_row(check: tuple[str, bool, str, bool, str]) -> VerdictRow:
    """Return a check's results on both responses as a row of the same table."""
    principle, a, found_in_a, b, found_in_b = check
    return VerdictRow(
        principle=principle,
        a_first=f"{'passes' if a else 'fails'}: {found_in_a}",
        b_first=f"{'passes' if b else 'fails'}: {found_in_b}",
        both=_p(STEPS_PER_LOGIT * CHECKED_LOGIT * (a - b)),
        bias="–",
        mass="–",
        flag="by a program",
    )


def _matchup(view: TraceView) -> MatchupView | None:
    """Return the matchup of the pair; without a pair, the one with the most order noise; None without matchups."""
    wanted = {frozenset(pair[:2]) for pair in view.pairs[:1]}
    ordered = sorted(view.matchups, key=lambda m: ({m.a, m.b} not in wanted, m.abstention != "order noise", -_noise(m)))
    return ordered[0] if ordered else None


def _noise(matchup: MatchupView) -> float:
    both = [ab + ba for _, ab, ba, _, _ in matchup.verdicts if ab is not None and ba is not None]
    return abs(sum(both)) / len(both) if both else 0.0


def _revision(view: TraceView, matchup: MatchupView | None) -> ResponseView | None:
    revisions = [response for response in view.responses if response.parent is not None]
    compared = () if matchup is None else (matchup.a, matchup.b)
    return next((response for response in revisions if response.id in compared), revisions[0] if revisions else None)


def _plain(response: ResponseView) -> Side:
    return Side(response, (Piece(response.text[:LONGEST]),), max(0, len(response.text) - LONGEST))


def _marked(parent: ResponseView, child: ResponseView) -> tuple[Side, Side]:
    change = difference(parent.text, child.text)
    if change.kept < LEAST_KEPT:
        return _plain(parent), _plain(child)
    sides = []
    for response, texts in ((parent, [s.old for s in change.steps]), (child, [s.new for s in change.steps])):
        pieces, room = [], LONGEST
        for text, step in zip(texts, change.steps, strict=True):
            pieces.append(Piece(text[:room], step.changed))
            room = max(0, room - len(text))
        sides.append(
            Side(response, tuple(piece for piece in pieces if piece.text), max(0, len(response.text) - LONGEST))
        )
    return sides[0], sides[1]


def _p(steps: float | None) -> str:
    if steps is None:
        return "–"
    x = steps / STEPS_PER_LOGIT
    return f"{1 / (1 + math.exp(-x)) if x > -500 else 0:.2f}"
