"""From a critic's judged gold items to a file with the recalibrator that a run can use, and back."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from rlaif.constitution import Constitution
from rlaif.errors import ConfigError
from rlaif.evaluate.gold import Gold
from rlaif.evaluate.outcomes import BETTER, Judged
from rlaif.evaluate.tables import write_file
from rlaif.preferences.recalibration import FittedOn, Kind, Recalibrator, fit_recalibrator


def recalibrator_of(
    kind: Kind, judged: Sequence[Judged], gold: Gold, critic: str, constitution: Constitution
) -> Recalibrator:
    """Fit on the log-odds that a run would correct: abstentions too, but not what it can't read.

    `critic` is the name it is served under. Raises GoldError as `fit_recalibrator` does.
    """
    source = FittedOn(
        gold=gold.file,
        gold_hash=gold.hash,
        critic=critic,
        constitution=constitution.name,
        constitution_hash=constitution.hash,
    )
    return fit_recalibrator(kind, [logit for one in judged if (logit := _logit_for_better(one)) is not None], source)


def _logit_for_better(judged: Judged) -> float | None:
    """Return what a run would recalibrate: length taken out where that is asked for, but not recalibrated before."""
    judgement = judged.judgement
    if judgement is None or judgement.logit is None:
        return None
    logit = judgement.logit if judgement.raw_logit is None else judgement.raw_logit - judgement.length_shift
    return logit if judgement.a == BETTER else -logit


def save_recalibrator(path: Path, recalibrator: Recalibrator) -> None:
    """Write it as JSON. Raises StorageError."""
    write_file(path, recalibrator.model_dump_json(indent=2) + "\n")


def load_recalibrator(path: Path) -> Recalibrator:
    """Read what `save_recalibrator` wrote. Raises ConfigError with the file, what is wrong, and what to do."""
    again = "make one with rlaif evaluate judge --recalibrate"
    try:
        return Recalibrator.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigError(f"{path}: no recalibration: {f'{place}: ' if place else ''}{first['msg']}; {again}") from None
