"""From a critic's judged gold items to a file with the recalibrator that a run can use."""

from collections.abc import Sequence
from pathlib import Path

from rlaif.evaluate.judge import Contender, CriticReport, JudgeTest
from rlaif.evaluate.outcomes import BETTER, Judged
from rlaif.evaluate.tables import write_file
from rlaif.preferences.recalibration import FittedOn, Kind, Recalibrator, fit_recalibrator
from rlaif.runs.calibrate import judging_words


def recalibrator_of(kind: Kind, judged: Sequence[Judged], source: FittedOn) -> Recalibrator:
    """Fit on the log-odds that a run would correct: abstentions too, but not what it can't read.

    Raises GoldError as `fit_recalibrator` does.
    """
    return fit_recalibrator(kind, [logit for one in judged if (logit := _logit_for_better(one)) is not None], source)


def fitted_on(test: JudgeTest, contender: Contender, report: CriticReport) -> FittedOn:
    """Return what a recalibrator from this measurement may be used for."""
    return FittedOn(
        gold=test.gold.file,
        gold_hash=test.gold.hash,
        critic=report.served,
        constitution=test.constitution.name,
        constitution_hash=test.constitution.hash,
        asked=contender.judging.asked(),
        identities=report.identities,
        words=judging_words(test.templates.hashes, contender.judging, test.constitution),
    )


def save_recalibrator(path: Path, recalibrator: Recalibrator) -> None:
    """Write it as JSON. Raises StorageError."""
    write_file(path, recalibrator.model_dump_json(indent=2) + "\n")


def _logit_for_better(judged: Judged) -> float | None:
    """Return what a run would recalibrate: length taken out where that is asked for, but not recalibrated before."""
    judgement = judged.judgement
    if judgement is None or judgement.logit is None:
        return None
    logit = judgement.logit if judgement.raw_logit is None else judgement.raw_logit - judgement.length_shift
    return logit if judgement.a == BETTER else -logit
