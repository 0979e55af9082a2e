"""Write the files of a judge evaluation: evaluation.json, verdicts.parquet, reliability plot, recalibration.json."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlaif.evaluate.judge_evaluation import Contender, JudgeTest
from rlaif.evaluate.judge_metrics import BETTER, JudgedItem
from rlaif.evaluate.judge_report import CriticReport, JudgeEvaluation
from rlaif.evaluate.output_files import EVALUATION, write_rows
from rlaif.preferences.recalibration import FittedOn, Kind, Recalibrator, fit_recalibrator
from rlaif.records import Matchup, Verdict
from rlaif.runs.calibrate import judging_words
from rlaif.runs.directory import write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECALIBRATION = "recalibration.json"
FILES = ("verdicts.parquet", "reliability.svg", "reliability.png", RECALIBRATION)
"""Files that are written beside evaluation.json."""
PANEL_INCHES = 3.4


def write_judge_evaluation(folder: Path, found: JudgeEvaluation, judged: Mapping[str, Sequence[JudgedItem]]) -> None:
    """Write evaluation.json, verdicts.parquet and the reliability plot. Raises StorageError."""
    write_text(folder / EVALUATION, found.model_dump_json(indent=1))
    write_rows(folder / "verdicts.parquet", list(verdict_rows(judged)))
    for ending in ("svg", "png"):
        write_bytes(folder / f"reliability.{ending}", reliability_plot(found.critics, ending))


def verdict_rows(judged: Mapping[str, Sequence[JudgedItem]]) -> Iterator[dict[str, Any]]:
    """Yield one row per critic, item, principle and order; an item that failed has one row without a verdict."""
    for critic, items in judged.items():
        for one in items:
            shared = {
                "critic": critic,
                "subset": one.item.subset,
                "id": one.item.id,
                "outcome": one.outcome,
                "p_better": one.p,
                "logit_better": one.logit,
                "length_ratio": one.length_ratio,
            }
            matchup = one.compared.matchup
            if matchup is None:
                yield shared | _verdict(None, None) | {"error": one.compared.error}
                continue
            for verdict in matchup.verdicts:
                yield shared | _verdict(matchup, verdict) | {"error": None}
            others = [(score.judge, score.principle) for score in matchup.scores]
            others += [(ranking.judge, ranking.principle) for ranking in matchup.rankings]
            for judge, principle in others:
                yield shared | _verdict(None, None) | {"judge": judge, "principle": principle, "error": None}


def _verdict(matchup: Matchup | None, verdict: Verdict | None) -> dict[str, Any]:
    if matchup is None or verdict is None:
        return dict.fromkeys(("judge", "principle", "shown_first", "logit_first", "label_mass", "reply"))
    first = matchup.a if verdict.order == "ab" else matchup.b
    return {
        "judge": verdict.judge,
        "principle": verdict.principle,
        "shown_first": "better" if first == BETTER else "worse",
        "logit_first": verdict.logit(),
        "label_mass": verdict.label_mass,
        "reply": verdict.reply,
    }


def reliability_plot(critics: Sequence[CriticReport], format_: str) -> bytes:
    """Return the reliability plot as an image file, one panel per critic; `format_` is svg or png.

    The same evaluation gives the same bytes.
    """
    from matplotlib import style  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    with style.context(["default", {"svg.hashsalt": "reliability", "svg.fonttype": "none", "font.size": 10}]):
        canvas = Canvas(figsize=(PANEL_INCHES * len(critics) + 0.6, PANEL_INCHES + 0.9), layout="constrained")
        panels = canvas.subplots(1, len(critics), squeeze=False, sharey=True)[0]
        for ax, critic in zip(panels, critics, strict=True):
            _draw_panel(ax, critic)
        panels[0].set_ylabel("share that is right")
        file = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if format_ == "svg" else {"Software": None}
        canvas.savefig(file, format=format_, metadata=metadata, dpi=150)
    return file.getvalue()


def _draw_panel(ax: "Axes", critic: CriticReport) -> None:
    bins = [one for one in critic.reliability if one.items and one.confidence is not None]
    largest = max((one.items for one in bins), default=1)
    for one in bins:
        x, y = one.confidence or 0.0, one.right.value or 0.0
        ax.bar(one.low, one.items / largest * 0.2, one.high - one.low, align="edge", color="0.88", zorder=0)
        ax.plot([x, x], [one.right.low or y, one.right.high or y], color="tab:blue", linewidth=1)
        ax.plot(x, y, "o", color="tab:blue", markersize=5)
    ax.plot([0.5, 1], [0.5, 1], color="0.5", linewidth=1, linestyle=(0, (3, 3)))
    ax.set(xlim=(0.49, 1.01), ylim=(0, 1.02), xlabel="confidence of the critic")
    error = critic.overall.calibration_error.value
    title = f"{critic.critic} · {critic.judge}"
    name = title if len(title) <= 40 else f"…{title[-39:]}"
    ax.set_title(
        f"{name}\ncalibration error " + ("–" if error is None else f"{error:.3f}"), fontsize=10, parse_math=False
    )


def fitted_on(test: JudgeTest, contender: Contender, report: CriticReport) -> FittedOn:
    """Return the critic, rules and settings for which a recalibrator from this measurement is valid."""
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


def recalibrator_of(kind: Kind, judged: Sequence[JudgedItem], source: FittedOn) -> Recalibrator:
    """Return a recalibrator fitted on the log-odds that a run would recalibrate: all readable items, also abstentions.

    Raises GoldError as `fit_recalibrator` does.
    """
    return fit_recalibrator(kind, [logit for one in judged if (logit := _log_odds_of_better(one)) is not None], source)


def _log_odds_of_better(judged: JudgedItem) -> float | None:
    """Return the log-odds of the better response before recalibration, corrected for length; None if unreadable."""
    judgement = judged.judgement
    if judgement is None or judgement.logit is None:
        return None
    logit = judgement.logit if judgement.raw_logit is None else judgement.raw_logit - judgement.subtracted
    return logit if judgement.a == BETTER else -logit


def save_recalibrator(path: Path, recalibrator: Recalibrator) -> None:
    """Write a recalibrator as JSON. Raises StorageError."""
    write_text(path, recalibrator.model_dump_json(indent=2) + "\n")
