"""Measure on prompts of which everything was asked when the other matchups of a run may stop.

The promise is checked on these prompts: each is stopped by a rule fitted on the other half, and the scale is widened
until (sum of the prompts' shares of changed labels + 1) / (prompts + 1) is at most the promised flip. For a further
prompt like them, the expected share is then at most that (conformal risk control, Angelopoulos et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rlaif.preferences.judgement import Rule, judge_matchup
from rlaif.preferences.pairs import evidence_of
from rlaif.preferences.position import PositionBias
from rlaif.preferences.posterior import FEWEST, SOURCES, Evidence
from rlaif.preferences.stopping import (
    Question,
    SizeNoise,
    Stopper,
    Stopping,
    label_of,
    levels_of,
    shares_of,
    stopped,
    verdicts_of,
)
from rlaif.records import Matchup, Trace
from rlaif.stats.estimates import Array

FACTORS = (1.0, 1.25, 1.6, 2.0, 3.0, 5.0)
"""Multiples of the scale that are tried, in this order."""
PRIOR = 10
"""Weight of equal correlations and variances against the measured ones, in prompts."""
LEAST = 1e-6
"""Least eigenvalue of the covariance, as a share of the mean variance."""


@dataclass(frozen=True)
class Whole:
    """A prompt of which everything was asked."""

    prompt_id: str
    matchups: Sequence[Matchup]
    principles: Sequence[str]
    rule: Rule
    """The run's rule for this prompt, with the position bias of these prompts."""


def fit_stopping(traces: Sequence[Trace], rule: Rule, judges: Sequence[str], flip: float) -> Stopping:
    """Return when matchups may stop, from the traces of prompts of which everything was asked."""
    bias = PositionBias.measure_prompts((trace.matchups for trace in traces), 0.0)
    rule = replace(rule, bias=bias)
    whole = [
        Whole(trace.prompt.id, trace.matchups, trace.judged_by, rule.for_prompt(trace.prompt))
        for trace in traces
        if trace.matchups and trace.judged_by
    ]
    base = _measured(whole, rule, judges, flip)
    halves = [_measured(whole[start::2], rule, judges, flip) for start in (1, 0)]
    for factor in FACTORS:
        results = [
            _tried(one, Stopper(halves[place % 2].model_copy(update={"factor": factor}), rule, judges))
            for place, one in enumerate(whole)
        ]
        if sum(one.changed / one.labels for one in results) + 1 <= flip * (len(whole) + 1):
            break
    else:
        factor, results = None, [_Tried(len(one.matchups), 0, _verdicts(one.matchups)) for one in whole]
    return base.model_copy(
        update={
            "factor": factor,
            "noise": _size_noise(whole, Stopper(base, rule, judges)),
            "changed": sum(one.changed for one in results),
            "asked": sum(one.asked for one in results),
        }
    )


@dataclass(frozen=True)
class _Tried:
    """What the rule would have done with one prompt."""

    labels: int
    changed: int
    asked: int


def _tried(one: Whole, stopper: Stopper) -> _Tried:
    ended = [stopped(matchup, stopper, one.principles, one.rule) for matchup in one.matchups]
    changed = sum(
        label_of(matchup, one.rule) != label_of(end, one.rule) for matchup, end in zip(one.matchups, ended, strict=True)
    )
    return _Tried(len(one.matchups), changed, _verdicts(ended))


def _verdicts(matchups: Sequence[Matchup]) -> int:
    return sum(len(matchup.verdicts) for matchup in matchups)


def _measured(whole: Sequence[Whole], rule: Rule, judges: Sequence[str], flip: float) -> Stopping:
    """Return the covariance of all questions, without a check of the promise."""
    names = dict.fromkeys(name for one in whole for name in one.principles)
    questions = tuple((judge, name) for name in names for judge in judges)
    covariance, variance, correlation = _covariance(whole, questions)
    return Stopping(
        flip=flip,
        min_margin=rule.min_margin,
        factor=None,
        questions=questions,
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        variance=variance,
        correlation=correlation,
        bias=rule.bias or PositionBias.measure([]),
        noise=SizeNoise(shared=0.0, own=1.0, whole=float(max(1, len(questions)))),
        prompts=len(whole),
        labels=sum(len(one.matchups) for one in whole),
        changed=0,
        asked=0,
        verdicts=sum(_verdicts(one.matchups) for one in whole),
    )


def _covariance(whole: Sequence[Whole], questions: Sequence[Question]) -> tuple[Array, float, float]:
    """Return the (Q, Q) second moments of the log-odds, their mean variance, and their mean correlation.

    Moments are about zero and over the matchups that have both questions, shrunk towards equal variances and
    correlations by the number of prompts that have them.
    """
    y, prompts = _table(whole, questions)
    has = ~np.isnan(y)
    y, seen = np.where(has, y, 0.0), has.astype(float)
    counts = seen.T @ seen
    moments = (y.T @ y) / np.maximum(counts, 1)
    own = np.diagonal(moments)[np.diagonal(counts) > 0]
    variance = float(own.mean()) if len(own) else 1.0
    weight = np.diagonal(counts) / max(1, len(y)) * prompts
    variances = (weight * np.diagonal(moments) + PRIOR * variance) / (weight + PRIOR)
    root = np.sqrt(np.outer(np.diagonal(moments), np.diagonal(moments)))
    correlations = np.divide(moments, root, out=np.zeros_like(moments), where=root > 0)
    apart = (counts > 0) & ~np.eye(len(questions), dtype=bool)
    correlation = float(correlations[apart].mean()) if apart.any() else 0.0
    weights = counts / max(1, len(y)) * prompts
    shrunk = (weights * correlations + PRIOR * correlation) / (weights + PRIOR)
    np.fill_diagonal(shrunk, 1.0)
    sizes, axes = np.linalg.eigh(shrunk * np.sqrt(np.outer(variances, variances)))
    positive = axes * np.maximum(sizes, LEAST * variance) @ axes.T
    return positive, variance, correlation


def _table(whole: Sequence[Whole], questions: Sequence[Question]) -> tuple[Array, int]:
    """Return the (matchups, Q) log-odds, NaN where not asked or unreadable, and the number of prompts."""
    place = {question: number for number, question in enumerate(questions)}
    rows = []
    for one in whole:
        for matchup in one.matchups:
            row = np.full(len(questions), np.nan)
            for name, logits in one.rule.read(matchup).items():
                for logit in logits:
                    if (logit.judge, name) in place:
                        row[place[logit.judge, name]] = logit.logit
            rows.append(row)
    return np.array(rows).reshape(len(rows), len(questions)), len(whole)


def _size_noise(whole: Sequence[Whole], stopper: Stopper) -> SizeNoise:
    """Return how the noise of a matchup's mean falls with the number of its questions, by least squares."""
    most = max((len(one.principles) for one in whole), default=1) * len(stopper.judges)
    sizes = sorted({*(2**power for power in range(most.bit_length())), most})
    found = [point for size in sizes if (point := _noise_at(whole, stopper, size)) is not None]
    if len(found) < 2:
        return SizeNoise(shared=0.0, own=1.0, whole=float(most))
    n, v = np.array(found).T
    design = np.column_stack([np.ones_like(n), 1 / n]) / v[:, None]  # errors are proportional to the variance
    shared, own = np.linalg.lstsq(design, np.ones_like(v), rcond=None)[0]
    if shared < 0 or own < 0:  # one of the two explains all
        shared, own = (0.0, float((n * v).mean())) if shared < 0 else (float(v.mean()), 0.0)
    return SizeNoise(shared=float(shared), own=float(own), whole=float(n.max()))


def _noise_at(whole: Sequence[Whole], stopper: Stopper, size: int) -> tuple[float, float] | None:
    """Return (mean effective number of questions, variance of the noise) with the first `size` questions."""
    evidence, effective = list[Evidence](), list[float]()
    for one in whole:
        judgements = []
        for matchup in one.matchups:
            judgement = judge_matchup(verdicts_of(matchup, _first(one, stopper, size)), one.rule)
            judgements.append(judgement)
            if judgement.principles:
                effective.append(1 / sum(share**2 for share in shares_of(one.rule, judgement.principles)))
        if (found := evidence_of(one.prompt_id, judgements, one.rule)) is not None:
            evidence.append(found)
    for source in SOURCES:
        squares, freedom = (sum(column) for column in zip(*(one.noise(source) for one in evidence), strict=True))
        if freedom >= FEWEST and squares > 0:
            return float(np.mean(effective)), squares / freedom
    return None


def _first(one: Whole, stopper: Stopper, size: int) -> Sequence[Question]:
    """Return the first questions of a prompt, the levels that decide first before the others."""
    ordered: list[Question] = []
    for level in levels_of(one.rule, one.principles):
        names = [name for name in one.principles if level is None or one.rule.priorities.get(name, 1) == level]
        ordered += stopper.order(tuple((judge, name) for name in names for judge in stopper.judges), one.rule)
    return ordered[:size]
