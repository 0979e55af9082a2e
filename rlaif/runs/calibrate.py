"""From a run's settings and traces to what is corrected in its log-odds; reads the file of a recalibration."""

import math
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.preferences.judgement import Judgement, judge_matchup, order_noise
from rlaif.preferences.length import LengthEffect, LengthReading, length_readings
from rlaif.preferences.position import PositionBias
from rlaif.preferences.recalibration import Corrected, Correction, Noise, Recalibrator, measure_noise
from rlaif.records import Trace
from rlaif.runs.directory import Manifest, shown_cases, with_own_options
from rlaif.seeds import canonical_json
from rlaif.stats.estimates import Estimate


class RunFacts(Protocol):
    """What of a run decides how it is corrected."""

    path: Path
    config: RunConfig
    manifest: Manifest
    constitution: Constitution

    @property
    def position_bias(self) -> PositionBias:
        """The judges' position bias over the whole run."""

    @property
    def length_effect(self) -> LengthEffect:
        """What length is worth to the judges."""

    @property
    def judged_with(self) -> str:
        """The models that judged."""

    @property
    def judge_identities(self) -> dict[str, str]:
        """Which model spoke for each judge."""

    def traces(self) -> Iterator[Trace]:
        """Yield all traces."""


NOISE = "noise"
"""In place of a file with a recalibration: by the disagreement of the two orders."""


def correction_of(run: RunFacts) -> Correction:
    """Return what is corrected in a run. Raises ConfigError for a recalibration that was made for something else."""
    judging = run.config.judging
    measured = run.length_effect.linear if judging.length_effect == "run" else None
    effect = judging.length_effect if isinstance(judging.length_effect, float) else None
    if measured is not None and _is_shown(measured):
        effect = measured.value
    length = Corrected(length_effect=effect, length_measured=measured)
    if judging.recalibration == NOISE:
        return Correction(length.model_copy(update={"noise": _noise(run, Correction(length))}))
    recalibrator = recalibrator_at(run.config, run.path)
    if recalibrator is None:
        return Correction(length)
    _refuse_strangers(Path(judging.recalibration or ""), recalibrator, run)
    return Correction(length.model_copy(update={"recalibrator": recalibrator}))


FEWEST_FOR_LENGTH = 50
"""With fewer matchups an effect of length says more about them than about the judges."""


def _is_shown(effect: Estimate) -> bool:
    """Whether an effect was measured well enough to be taken out of labels: its interval leaves out zero."""
    return effect.n >= FEWEST_FOR_LENGTH and effect.low is not None and not effect.holds(0.0)


def not_applied(judging: JudgingConfig, made: Corrected) -> list[str]:
    """Return which corrections were asked for and could not be made, and why."""
    found = []
    if judging.length_effect == "run" and made.length_effect is None:
        found.append(
            f"length_effect: run was asked for and not applied: it needs {FEWEST_FOR_LENGTH} matchups and an interval "
            "that leaves out zero"
        )
    if judging.recalibration == NOISE and made.noise is None:
        found.append(
            "recalibration: noise was asked for and not applied: it needs 50 matchups that were judged in both orders"
        )
    return found


COPY = "recalibration.json"
"""The file in a run directory that keeps the recalibration its labels were made with."""


def recalibrator_at(config: RunConfig, run: Path | None = None) -> Recalibrator | None:
    """Return what a run applies, its own copy of the file first; None where no file is named. Raises ConfigError."""
    if config.judging.recalibration in {None, NOISE}:
        return None
    kept = (run or Path(config.out)) / COPY
    named = Path(config.judging.recalibration or "")
    return load_recalibrator(kept if kept.is_file() and (run is not None or not named.is_file()) else named)


def uncorrected(run: RunFacts) -> Iterator[tuple[Judgement, LengthReading]]:
    """Yield the matchups of a run that name an answer, as they are before any correction."""
    rule = run.config.judging.rule(run.constitution.weights, run.constitution.priorities, run.position_bias)
    for trace in run.traces():
        for matchup in trace.matchups:
            judgement = judge_matchup(matchup, rule)
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


def _refuse_strangers(path: Path, recalibrator: Recalibrator, run: RunFacts) -> None:
    """Raise ConfigError where the correction is for another critic, other rules, or another way of asking."""
    source = recalibrator.fitted_on
    facts = [
        ("the critic", source.critic, run.judged_with),
        ("the constitution", source.constitution_hash, run.manifest.constitution_hash),
        (
            "judges asked otherwise",
            canonical_json(with_own_options(source.asked)),
            canonical_json(run.config.judging.asked()),
        ),
        ("other models", canonical_json(source.identities), canonical_json(run.judge_identities)),
        ("other words around the question", canonical_json(source.words), canonical_json(words_of(run))),
    ]
    for what, fitted, used in facts:
        if fitted != used:
            raise ConfigError(
                f"{path} was fitted for another case ({what}: {fitted}, here {used}); a correction holds for one "
                "critic, one constitution and one way of asking: fit one with rlaif evaluate judge --recalibrate"
            )


def words_of(run: RunFacts) -> dict[str, str]:
    """Return hashes of the templates that judges are asked with, and of the cases they are shown."""
    return judging_words(run.manifest.templates, run.config.judging, run.constitution)


def judging_words(templates: Mapping[str, str], judging: JudgingConfig, constitution: Constitution) -> dict[str, str]:
    """Return the same of templates by their hashes."""
    asked = judging.judge_templates
    return {name: digest for name, digest in templates.items() if name in asked} | shown_cases(judging, constitution)


def _noise(run: RunFacts, length: Correction) -> Noise | None:
    rules, judging = run.constitution, run.config.judging
    rule = judging.rule(rules.weights, rules.priorities, run.position_bias)
    logits, biases, flat = array("d"), array("d"), judging.strategy == "weighted"
    for judgement, reading in uncorrected(run):
        logits.append(reading.logit - length.shift(reading.ln_ratio))
        level = judgement.priority
        heard = [part for part in judgement.principles if not part.silent]
        deciding = [p for p in heard if flat or level in {None, rule.priorities.get(p.principle, 1)}]
        asked = any(part.position_bias is not None for part in deciding)
        biases.append(order_noise(deciding, rule, run.position_bias) if asked else math.nan)
    return measure_noise(logits, biases)
