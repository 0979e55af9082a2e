"""Length effect of a critic, as far as a run shows it without gold labels.

The judged matchups of a run give the effect in logits per unit of ln(characters of a / characters of b), by two
regressions through the origin (both orders are averaged, and which response is `a` is random).

A run does not hold quality fixed: where longer responses are better by the rules, that is in the effect, too, and
subtracting the effect takes away what the longer response deserved. `rlaif evaluate judge` measures the effect with the
gold label held fixed.
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
"""Of more, the matchups of a sample of the prompts are taken: the interval is then about 0.03 wide, and the memory is
bounded."""


@dataclass(frozen=True)
class LengthReading:
    """Length ratio and log-odds of one matchup."""

    prompt_id: str
    logit: float
    """Log-odds that a is better."""
    ln_ratio: float
    """ln(characters of a / characters of b)."""


class LengthEffect(Record):
    """Length effect, in logits per unit of log length ratio; 0 for none."""

    linear: Estimate
    """Least squares on the log-odds: what to subtract from them. Large log-odds weigh heavily."""
    choice: Estimate
    """Fractional logistic regression on the probability: nearer to zero, because responses differ in more than length,
    but robust to large log-odds."""


def length_readings(trace: Trace, judgements: Iterable[Judgement]) -> Iterator[LengthReading]:
    """Yield the readable matchups of a trace, abstentions included, ties and those decided by checks left out.

    Log-odds are those before corrections.
    """
    characters = {response.id: len(response.text) for response in trace.responses}
    for judgement in judgements:
        a, b = characters[judgement.a], characters[judgement.b]
        logit = judgement.logit if judgement.raw_logit is None else judgement.raw_logit
        # With a check in the mean, the log-odds are not the judges' own.
        by_program = any(part.by_program and not part.silent for part in judgement.principles)
        if logit is not None and abs(logit) >= TIE_LOGIT and a and b and not by_program:
            yield LengthReading(trace.prompt.id, logit, math.log(a / b))


def length_effect(readings: Iterable[LengthReading]) -> LengthEffect:
    """Return the length effect with intervals over prompts."""
    taken = _at_most(list(readings))
    x = np.array([one.ln_ratio for one in taken], dtype=float)[:, None]
    logits = [one.logit for one in taken]
    prompts = [one.prompt_id for one in taken]
    return LengthEffect(
        linear=coefficient(linear, x, np.array(logits, dtype=float), prompts),
        choice=coefficient(logistic, x, np.array([sigmoid(logit) for logit in logits], dtype=float), prompts),
    )


def _at_most(readings: Sequence[LengthReading]) -> Sequence[LengthReading]:
    """Return all readings, or those of a share of the prompts with about MOST_MATCHUPS."""
    if len(readings) <= MOST_MATCHUPS:
        return readings
    share = MOST_MATCHUPS / len(readings)
    prompts = {one.prompt_id for one in readings}
    drawn = {prompt for prompt in prompts if int(content_hash("length", prompt, digits=8), 16) < share * 2**32}
    return [one for one in readings if one.prompt_id in drawn]
