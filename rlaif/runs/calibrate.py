"""The correction of a run's log-odds (length, overconfidence) from its settings and traces."""

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
    """The properties of a run on which its correction depends."""

    path: Path
    config: RunConfig
    manifest: Manifest
    constitution: Constitution

    @property
    def position_bias(self) -> PositionBias:
        """The judges' position bias over the whole run."""

    @property
    def length_effect(self) -> LengthEffect:
        """The judges' length effect, in logits per unit of log length ratio."""

    @property
    def judged_with(self) -> str:
        """Served names of the models that judged."""

    @property
    def judge_identities(self) -> dict[str, str]:
        """Identity of each judge's model, by the judge's name."""

    def traces(self) -> Iterator[Trace]:
        """Yield all traces."""


NOISE = "noise"
"""Value of `recalibration` that shrinks log-odds by the disagreement of the two orders, without a file."""


def correction_of(run: RunFacts) -> Correction:
    """Return the correction of a run's log-odds. Raises ConfigError for a recalibration fitted on other judges."""
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
    _refuse_other_judges(Path(judging.recalibration or ""), recalibrator, run)
    return Correction(length.model_copy(update={"recalibrator": recalibrator}))


FEWEST_FOR_LENGTH = 50
"""Least number of matchups from which a measured length effect is applied."""


def _is_shown(effect: Estimate) -> bool:
    """Whether a measured effect is applied: enough matchups, and an interval that excludes zero."""
    return effect.n >= FEWEST_FOR_LENGTH and effect.low is not None and not effect.holds(0.0)


def not_applied(judging: JudgingConfig, made: Corrected) -> list[str]:
    """Return a message for each correction that the settings ask for and that was not applied."""
    messages = []
    if judging.length_effect == "run" and made.length_effect is None:
        messages.append(
            f"length_effect: run was not applied: it needs at least {FEWEST_FOR_LENGTH} matchups and an interval that "
            "excludes zero"
        )
    if judging.recalibration == NOISE and made.noise is None:
        messages.append(
            "recalibration: noise was not applied: it needs at least 50 matchups that were judged in both orders"
        )
    return messages


COPY = "recalibration.json"
"""File in a run directory: a copy of the recalibration that its labels were made with."""


def recalibrator_at(config: RunConfig, run: Path | None = None) -> Recalibrator | None:
    """Return the recalibration of a run, or None where the settings name no file. Raises ConfigError.

    A finished run (`run`) uses the copy in its directory; a run that starts uses the named file if it exists.
    """
    if config.judging.recalibration in {None, NOISE}:
        return None
    copy = (run or Path(config.out)) / COPY
    named = Path(config.judging.recalibration or "")
    return load_recalibrator(copy if copy.is_file() and (run is not None or not named.is_file()) else named)


def uncorrected(run: RunFacts) -> Iterator[tuple[Judgement, LengthReading]]:
    """Yield (judgement, length reading) of every readable matchup of a run, before any correction."""
    rule = run.config.judging.rule(run.constitution.weights, run.constitution.priorities, run.position_bias)
    for trace in run.traces():
        for matchup in trace.matchups:
            judgement = judge_matchup(matchup, rule)
            for reading in length_readings(trace, [judgement]):
                yield judgement, reading


def load_recalibrator(path: Path) -> Recalibrator:
    """Read the file that `evaluate judge --recalibrate` writes. Raises ConfigError."""
    again = "make one with rlaif evaluate judge --recalibrate"
    try:
        return Recalibrator.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        where = f"{place}: " if place else ""
        raise ConfigError(f"{path}: is not a recalibration: {where}{first['msg']}; {again}") from None


def _refuse_other_judges(path: Path, recalibrator: Recalibrator, run: RunFacts) -> None:
    """Raise ConfigError for a recalibration fitted on another critic, constitution, or set of judges."""
    source = recalibrator.fitted_on
    facts = [
        ("the critic", source.critic, run.judged_with),
        ("the constitution", source.constitution_hash, run.manifest.constitution_hash),
        (
            "the judges",
            canonical_json(with_own_options(source.asked)),
            canonical_json(run.config.judging.asked()),
        ),
        ("the models", canonical_json(source.identities), canonical_json(run.judge_identities)),
        ("the templates", canonical_json(source.words), canonical_json(words_of(run))),
    ]
    for what, fitted, used in facts:
        if fitted != used:
            raise ConfigError(
                f"{path} was fitted on other judges; what differs: {what}: {fitted}, in this run {used}. A "
                "recalibration is valid for the same critic, constitution, judges and templates only: fit one with "
                "rlaif evaluate judge --recalibrate"
            )


def words_of(run: RunFacts) -> dict[str, str]:
    """Return hashes of the judges' templates, by name, and of the cases shown as worked examples."""
    return judging_words(run.manifest.templates, run.config.judging, run.constitution)


def judging_words(templates: Mapping[str, str], judging: JudgingConfig, constitution: Constitution) -> dict[str, str]:
    """Return the hashes in `templates` that belong to judges, and a hash of the cases shown as worked examples."""
    asked = judging.judge_templates
    return {name: digest for name, digest in templates.items() if name in asked} | shown_cases(judging, constitution)


def _noise(run: RunFacts, length: Correction) -> Noise | None:
    """Return the noise of a run's log-odds, from the disagreement of the two orders after the length correction."""
    rules, judging = run.constitution, run.config.judging
    rule = judging.rule(rules.weights, rules.priorities, run.position_bias)
    logits, biases, flat = array("d"), array("d"), judging.strategy == "weighted"
    for judgement, reading in uncorrected(run):
        logits.append(reading.logit - length.shift(reading.ln_ratio))
        level = judgement.priority
        counting = [part for part in judgement.principles if not part.silent]
        deciding = [p for p in counting if flat or level in {None, rule.priorities.get(p.principle, 1)}]
        in_both_orders = any(part.position_bias is not None for part in deciding)
        biases.append(order_noise(deciding, rule, run.position_bias) if in_both_orders else math.nan)
    return measure_noise(logits, biases)
