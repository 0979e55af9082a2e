"""The gate before a run: check that its judges meet `judging.require`.

The input is a run's settings and connected models, the result a report on the judges, or an error that stops the run
before anything is generated. The run's own judges and thresholds are measured on labelled pairs: the constitution's
cases, each under its own principle, or a file of gold labels.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rlaif.config.judging import JudgingConfig, RequireConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError, RunError, UnfitJudgeError
from rlaif.evaluate.comparisons import MOST_FAILED
from rlaif.evaluate.gold import Gold, GoldItem, read_gold
from rlaif.evaluate.judge_evaluation import Contender, JudgeTest, measure_contender
from rlaif.evaluate.judge_metrics import JudgeMetrics
from rlaif.evaluate.judge_report import CriticReport
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients
from rlaif.progress import Screen
from rlaif.records import Prompt
from rlaif.runs.calibrate import recalibrator_at
from rlaif.runs.directory import write_text
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Estimate
from rlaif.stats.jackknife import ALPHA
from rlaif.templates import Templates

CASES = "cases"
MEASURED = "judges.json"
"""File in the run directory with the report on the judges."""
JudgeGate: TypeAlias = Callable[[Templates, Clients, ReplyStore, Screen], Coroutine[Any, Any, CriticReport]]
"""Function that measures the judges of a run; raises UnfitJudgeError where they miss a requirement."""


def gate_of(config: RunConfig, constitution: Constitution) -> JudgeGate | None:
    """Return the gate of a run, after reading its labelled pairs; None where the run has no `judging.require`.

    Raises ConfigError or GoldError where there are no labelled pairs.
    """
    if config.judging.require is None:
        return None
    return partial(pass_gate, config, constitution, gold_for(config, constitution))


def gold_for(config: RunConfig, constitution: Constitution) -> Gold:
    """Return the labelled pairs of the gate. Raises ConfigError or GoldError where there are none."""
    require = config.judging.require or RequireConfig()
    gold = _cases_of(config, constitution, require) if require.gold == CASES else _read(require)
    if require.accuracy is not None and needed(require.accuracy, len(gold.items)) is None:
        raise ConfigError(
            f"judging.require: the {len(gold.items)} labelled pairs ({gold.file}) cannot show an accuracy of "
            f"{require.accuracy:.0%}: that takes at least {_fewest(require.accuracy)}, all judged right. Add cases, "
            "give a larger file of gold labels with `gold:`, or lower the requirement"
        )
    return gold


def _read(require: RequireConfig) -> Gold:
    return read_gold(Path(require.gold), limit=require.limit)


def _cases_of(config: RunConfig, constitution: Constitution, require: RequireConfig) -> Gold:
    items = tuple(_cases(constitution, config.judging))[: require.limit]
    if not items:
        raise ConfigError(
            f"judging.require: constitution {constitution.name} has no cases to measure the judges on (except those "
            "shown to them as worked examples); add cases, or give a file of gold labels with `gold:`"
        )
    texts = (f"{item.principle} {item.conversation} {item.chosen} {item.rejected}" for item in items)
    return Gold(file=f"cases of {constitution.name}", hash=content_hash(*texts), items=items)


async def pass_gate(
    config: RunConfig,
    constitution: Constitution,
    gold: Gold,
    templates: Templates,
    clients: Clients,
    store: ReplyStore,
    screen: Screen,
) -> CriticReport:
    """Measure the run's judges and return the report.

    Raises UnfitJudgeError that names the missed requirements, RunError where too many pairs could not be asked.
    """
    require = config.judging.require
    assert require is not None
    name = config.critic.model or ",".join(config.critic.url)
    called = "panel" if len(config.judging.panel) > 1 else config.judging.panel[0].called
    contender = Contender(name, called, config.critic, config.judging)
    out = Path(config.out)
    test = JudgeTest(gold, constitution, [contender], config.judging, templates, store.path, out / "logs")
    screen.say(_announced(gold, require))
    recalibrator = recalibrator_at(config)
    recalibrate = None if recalibrator is None else recalibrator.apply
    report, _ = await measure_contender(test, contender, clients, store, screen, recalibrate)
    write_text(out / MEASURED, report.model_dump_json(indent=1))
    missed = list(_missed(report.overall, require))
    failed = report.overall.outcomes.get("failed", 0)
    if missed and failed > MOST_FAILED * len(gold.items):
        raise RunError(
            f"{name}: the requests of {failed} of {len(gold.items)} labelled pairs ({gold.file}) failed, so it is not "
            f"known whether the judges are fit; first error: {report.error}. Nothing is generated; the same command "
            "asks the failed ones again"
        )
    if missed:
        raise UnfitJudgeError(
            f"{name} does not meet judging.require on {len(gold.items)} labelled pairs ({gold.file}): "
            f"{'; '.join(missed)}. Nothing is generated; all metrics are in {out / MEASURED}. Use another critic or "
            "kind of judge (`rlaif evaluate judge` compares them), or lower the requirement"
        )
    right, labelled = report.overall.accuracy_labels, report.overall.labelled
    screen.say(f"the judges meet judging.require: {_range(labelled)} of the pairs get a label, {_range(right)} right")
    if report.fitness.soft_labels == "unfit":
        auroc = report.overall.confidence_auroc
        screen.say(
            "! the judges are unfit as a source of soft labels: how sure they are does not say whether they are right "
            f"(AUROC {auroc.value:.2f}{auroc.ends('.2f')}); train with --labels hard"
        )
    return report


def _cases(constitution: Constitution, judging: JudgingConfig) -> Iterator[GoldItem]:
    """Yield the constitution's cases as gold items, without those that a judge is shown as worked examples."""
    shown = judging.worked_cases
    for principle in constitution.asked:
        for number, case in list(enumerate(principle.cases, start=1))[shown:]:
            name = f"{principle.id}/{number}"
            yield GoldItem(
                id=name,
                subset=None,
                prompt=Prompt(id=name, messages=case.conversation),
                chosen=case.better,
                rejected=case.worse,
                principle=principle.id,
                chosen_first=None,
            )


def _missed(found: JudgeMetrics, require: RequireConfig) -> Iterator[str]:
    if require.accuracy is not None:
        yield from _not_accurate(found, require.accuracy)
    least: list[tuple[str, Estimate, float | None]] = [
        ("pairs that get a label", found.labelled, require.labelled),
        ("orders that agree", found.order_agreement, require.order_agreement),
        ("label mass", found.label_mass, require.label_mass),
    ]
    for name, estimate, bar in least:
        if bar is not None and (estimate.value is None or estimate.value < bar):
            yield f"{name} {_range(estimate)}, required {bar:.0%}"
    error, most = found.calibration_error, require.calibration_error
    if most is not None and (error.value is None or error.value > most):
        shown = "unknown" if error.value is None else f"{error.value:.3f}"
        yield f"calibration error {shown}, required at most {most:g}"


def _announced(gold: Gold, require: RequireConfig) -> str:
    """Return what is measured, and how many labels must be right."""
    least = None if require.accuracy is None else needed(require.accuracy, len(gold.items))
    bar = (
        ""
        if least is None
        else f"; of as many labels, {least} must be right to show an accuracy of {require.accuracy:.0%}"
    )
    return f"measuring the judges on {len(gold.items)} labelled pairs ({gold.file}) before generating anything{bar}"


def _not_accurate(found: JudgeMetrics, bar: float) -> Iterator[str]:
    """Yield why the share of right labels is not shown to reach a bar; nothing where it is."""
    right = found.accuracy_labels
    labels, least = int(right.n), needed(bar, int(right.n))
    if least is None:
        yield f"only {labels} of {found.items} pairs get a label; to show {bar:.0%} right takes at least {_fewest(bar)}"
    elif round((right.value or 0) * labels) < least or (right.low or 0.0) < bar:
        yield (
            f"labels that are right {_range(right)}, required {bar:.0%} at the lower end of the interval: "
            f"{least} of {labels} must be right"
        )


def needed(bar: float, labels: int) -> int | None:
    """Return the least number of right labels that shows a share of at least `bar`; None where no number does.

    Shown is what the lower end of the exact 95 % interval reaches (Clopper & Pearson 1934): a critic below the bar
    passes with a probability of at most 2.5 %.
    """
    from scipy.stats import beta  # noqa: PLC0415  (half a second)

    right = range(1, labels + 1)
    reached = bisect_left(right, bar, key=lambda hits: float(beta.ppf(ALPHA / 2, hits, labels - hits + 1)))
    return 0 if bar == 0 else right[reached] if reached < labels else None


def _fewest(bar: float) -> int:
    """Return the least number of labels that can show a share of right ones, which is below 1."""
    return math.ceil(math.log(ALPHA / 2) / math.log(bar)) if bar else 1


def _range(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown (no data)"
    return f"{estimate.value:.0%}{estimate.ends_or_reason('.0%')}"
