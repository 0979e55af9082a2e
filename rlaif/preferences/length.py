"""What length is worth to a critic, as far as a run can tell without gold labels.

Comes in: the judged matchups of a run. Goes out: the log-odds that an answer gets for e times the characters of the
other, from two regressions through the origin (both orders have been averaged, and which answer is `a` is drawn).

A run does not hold quality fixed: where longer answers are better, by the rules, the effect holds that, too. Taking it
out of a verdict then takes away what the longer answer deserved. `rlaif evaluate judge` measures the effect with the
gold label held fixed; this one tells whether there is anything to look for.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rlaif.preferences.judgement import Judgement
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record, Trace
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Estimate
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, linear, logistic

MOST_MATCHUPS = 20_000
"""Of more, those of some prompts are taken, drawn by their ids: the interval is then about 0.03 wide, and a thousand
resamples take seconds."""


@dataclass(frozen=True)
class LengthReading:
    """How long the answers of one matchup are, and what the critic says."""

    prompt_id: str
    logit: float
    """Log-odds that a is better."""
    ln_ratio: float
    """ln(characters of a / characters of b)."""


class LengthEffect(Record):
    """Log-odds for e times the characters; 0 where length is worth nothing."""

    linear: Estimate
    """Of the log-odds: what has to be taken out of them. Very sure verdicts weigh heavily."""
    choice: Estimate
    """Of the probability (fractional logistic regression): nearer to zero, because answers differ in more than length,
    but hardly moved by very sure verdicts."""


def length_readings(trace: Trace, judgements: Iterable[Judgement]) -> Iterator[LengthReading]:
    """Yield the matchups of a trace that name an answer, those too close or too noisy for a label among them.

    What counts is what was said, before any correction. Ties are left out: a critic that answers exactly even is blind
    to length there, and has nothing to be corrected.
    """
    characters = {response.id: len(response.text) for response in trace.responses}
    for judgement in judgements:
        a, b = characters[judgement.a], characters[judgement.b]
        logit = judgement.logit if judgement.raw_logit is None else judgement.raw_logit
        # Where a program speaks, too, the log-odds are not the judges' own.
        by_program = any(part.by_program and not part.silent for part in judgement.principles)
        if logit is not None and abs(logit) >= TIE_LOGIT and a and b and not by_program:
            yield LengthReading(trace.prompt.id, logit, math.log(a / b))


def length_effect(readings: Iterable[LengthReading]) -> LengthEffect:
    """Return what length is worth, with intervals from a bootstrap over prompts."""
    taken = _at_most(list(readings))
    x = np.array([one.ln_ratio for one in taken], dtype=float)[:, None]
    logits = [one.logit for one in taken]
    prompts = [one.prompt_id for one in taken]
    return LengthEffect(
        linear=coefficient(linear, x, np.array(logits, dtype=float), prompts),
        choice=coefficient(logistic, x, np.array([sigmoid(logit) for logit in logits], dtype=float), prompts),
    )


def _at_most(readings: Sequence[LengthReading]) -> Sequence[LengthReading]:
    """Return all readings, or those of a share of the prompts that makes about MOST_MATCHUPS."""
    if len(readings) <= MOST_MATCHUPS:
        return readings
    share = MOST_MATCHUPS / len(readings)
    prompts = {one.prompt_id for one in readings}
    drawn = {prompt for prompt in prompts if int(content_hash("length", prompt, digits=8), 16) < share * 2**32}
    return [one for one in readings if one.prompt_id in drawn]
