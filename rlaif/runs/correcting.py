"""From a run's settings and traces to what is corrected in its log-odds; reads the file of a recalibration."""

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rlaif.errors import ConfigError
from rlaif.hashing import canonical_json
from rlaif.preferences.correction import Corrected, Correction
from rlaif.preferences.denoise import Noise, measure_noise
from rlaif.preferences.judgement import Judgement, Rule, judge_matchup, order_noise
from rlaif.preferences.length import LengthReading, length_readings
from rlaif.preferences.recalibration import Recalibrator

if TYPE_CHECKING:
    from rlaif.runs.run import Run

NOISE = "noise"
"""In place of a file with a recalibration: by the disagreement of the two orders."""


def correction_of(run: "Run") -> Correction:
    """Return what is corrected in a run. Raises ConfigError for a recalibration that was made for something else."""
    judging = run.config.judging
    measured = run.length_effect.linear if judging.length_effect == "run" else None
    effect = measured.value if measured else judging.length_effect
    length = Corrected(length_effect=None if effect == "run" else effect, length_measured=measured)
    if judging.recalibration is None:
        return Correction(length)
    if judging.recalibration == NOISE:
        return Correction(length.model_copy(update={"noise": _noise(run, Correction(length))}))
    path = Path(judging.recalibration)
    recalibrator = load_recalibrator(path)
    _refuse_strangers(path, recalibrator, run)
    return Correction(length.model_copy(update={"recalibrator": recalibrator}))


def uncorrected(run: "Run") -> Iterator[tuple[Judgement, LengthReading]]:
    """Yield the matchups of a run that name an answer, as they are before any correction."""
    rules, judging = run.constitution, run.config.judging
    for trace in run.traces():
        for matchup in trace.matchups:
            judgement = judge_matchup(matchup, rules.weights, judging, run.position_bias, rules.priorities)
            for reading in length_readings(trace, [judgement]):
                yield judgement, reading


def load_recalibrator(path: Path) -> Recalibrator:
    """Read what `evaluate judge --recalibrate` wrote. Raises ConfigError with file, what is wrong, and what to do."""
    again = "make one with rlaif evaluate judge --recalibrate"
    try:
        return Recalibrator.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(f"{path}: no recalibration: {f'{place}: ' if place else ''}{first['msg']}; {again}") from None


def _refuse_strangers(path: Path, recalibrator: Recalibrator, run: "Run") -> None:
    """Raise ConfigError where the correction is for another critic, other rules, or another way of asking."""
    source = recalibrator.fitted_on
    facts = [
        ("the critic", source.critic, run.models.critic),
        ("the constitution", source.constitution_hash, run.manifest.constitution_hash),
        ("judges asked otherwise", canonical_json(source.asked), canonical_json(run.config.judging.asked())),
    ]
    for what, fitted, used in facts:
        if fitted != used:
            raise ConfigError(
                f"{path} was fitted for another case ({what}: {fitted}, here {used}); a correction holds for one "
                "critic, one constitution and one way of asking: fit one with rlaif evaluate judge --recalibrate"
            )


def _noise(run: "Run", length: Correction) -> Noise | None:
    rules, judging = run.constitution, run.config.judging
    rule = Rule(rules.weights, rules.priorities, judging, run.position_bias)
    logits, biases = array("d"), array("d")
    for judgement, reading in uncorrected(run):
        logits.append(reading.logit - length.shift(reading.ln_ratio))
        deciding = [
            p for p in judgement.principles if judgement.priority in {None, rule.priorities.get(p.principle, 1)}
        ]
        asked = any(part.position_bias is not None for part in deciding)
        biases.append(order_noise(deciding, rule, run.position_bias) if asked else math.nan)
    return measure_noise(logits, biases)
