"""Print the result of `rlaif evaluate judge`: the critics' metrics side by side, and whether each is fit to judge."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.cli.console import plain
from rlaif.cli.format import OVER_PROMPTS, decimals, interval
from rlaif.evaluate.fitness import chance
from rlaif.evaluate.judge_metrics import JudgeMetrics
from rlaif.evaluate.judge_report import CriticReport, JudgeEvaluation, Overlap
from rlaif.stats.estimates import Estimate

STYLES = {"fit": "green", "fit with these settings": "yellow", "not fit": "bold yellow"}


def print_evaluation(found: JudgeEvaluation, console: Console) -> None:
    """Print the metrics, the subsets, the baselines, and the conclusion on each critic."""
    console.print(Text(f"{found.constitution} v{found.constitution_version}  {found.constitution_hash}", style="bold"))
    console.print(f"{found.gold}: {found.items} items, {found.prompts} prompts · {OVER_PROMPTS}", markup=False)
    console.print(_figures(found))
    if found.subsets:
        console.print(_subsets(found))
    for line in _below(found):
        console.print(line, markup=False)
    for critic in found.critics:
        for text in _verdict(critic, _column(found, critic) if len(found.critics) > 1 else ""):
            console.print(text)


def _figures(found: JudgeEvaluation) -> Table:
    table = Table("", box=SIMPLE_HEAD)
    for critic in found.critics:
        table.add_column(plain(_column(found, critic)))
    cells = [_cells(critic) for critic in found.critics]
    for name in cells[0]:
        table.add_row(name, *(column[name] for column in cells))
    return table


def _cells(critic: CriticReport) -> dict[str, str]:
    metrics, cost = critic.overall, critic.cost
    without_label = [
        f"{reason} {count}" for reason, count in metrics.outcomes.items() if reason not in {"right", "wrong"}
    ]
    return {
        "items with a label": interval(metrics.labelled),
        "items without a label": ", ".join(without_label) or "–",
        "labels that are right": _with_count(metrics.accuracy_labels),
        "sign of the mean log-odds is right": _with_count(metrics.accuracy_sign),
        "single verdicts that are right": interval(metrics.accuracy_one_order),
        "orders agree, without correction": interval(metrics.order_agreement),
        "favours the response shown first": interval(metrics.first),
        "position bias, logits": decimals(metrics.position_bias, "+.2f"),
        "favours the longer response": interval(metrics.longer),
        "length bias, logits per log length ratio": decimals(metrics.length_bias, "+.2f"),
        "length bias, logistic regression": decimals(metrics.length_choice, "+.2f"),
        "Brier score (0.25: always p = 0.5)": decimals(metrics.brier, ".3f"),
        "calibration error (p-value)": decimals(metrics.calibration_error, ".3f")
        + f" ({chance(metrics.calibration_test.p_value)})",
        "calibration slope (1: calibrated)": decimals(critic.recalibration.slope, ".2f"),
        "surer where it is right, AUROC": decimals(metrics.confidence_auroc, ".2f"),
        "label mass": interval(metrics.label_mass),
        "verdicts (from the reply store)": f"{cost.verdicts:,} ({cost.from_store:,})",
        "prompt tokens per verdict (cached)": f"{cost.prompt_tokens:,.0f}"
        + ("" if cost.cached is None else f" ({cost.cached:.0%})"),
        "seconds per verdict": "–" if cost.seconds is None else f"{cost.seconds:.3f}",
    }


def _subsets(found: JudgeEvaluation) -> Table:
    table = Table("subset", "items", "critic", box=SIMPLE_HEAD)
    for column in ("labels", "right", "sign right", "orders agree", "position bias", "longer wins"):
        table.add_column(column, justify="right")
    for subset, count in found.subsets.items():
        for critic in found.critics:
            metrics: JudgeMetrics = critic.subsets[subset]
            shares = [metrics.labelled, metrics.accuracy_labels, metrics.accuracy_sign, metrics.order_agreement]
            cells = [*map(interval, shares), decimals(metrics.position_bias, "+.2f"), interval(metrics.longer_wins)]
            table.add_row(plain(subset), str(count), plain(_column(found, critic)), *cells)
    return table


def _column(found: JudgeEvaluation, critic: CriticReport) -> str:
    """Return the heading of a critic's column: the critic, the kind of judge, or both where both differ."""
    critics = {one.critic for one in found.critics}
    kinds = {one.judge for one in found.critics}
    parts = [critic.critic] * (len(critics) > 1 or len(kinds) == 1) + [critic.judge] * (len(kinds) > 1)
    return " ".join(parts)


def _below(found: JudgeEvaluation) -> Sequence[str]:
    first = found.baselines.first_wins
    in_file = "" if first.value is None else f" ({interval(first)} in the order of the file)"
    return [
        f'baselines: "the longer response wins" {interval(found.baselines.longer_wins)}; "the response shown first '
        f'wins" 50% in both orders{in_file}; a coin 50%',
        *map(_overlap, found.overlaps),
    ]


def _overlap(one: Overlap) -> str:
    agree = f"{one.one} and {one.other}: the same response {interval(one.agree)}"
    if one.both_wrong.value is None or one.by_chance is None:
        return agree
    both_wrong = f"both wrong {interval(one.both_wrong)}, {one.by_chance:.0%} if their errors were independent"
    phi = "" if one.correlation.value is None else f", correlation of errors {decimals(one.correlation, '+.2f')}"
    return f"{agree}; {both_wrong}{phi}"


def _verdict(critic: CriticReport, title: str) -> list[Text]:
    fitness = critic.fitness
    settings = ", ".join(f"{place}: {value}" for place, value in fitness.settings.items())
    head = f"{title}: " if title else ""
    lines = [
        Text(f"{head}{fitness.verdict}{f' ({settings})' if settings else ''}", style=STYLES[fitness.verdict]),
        *(Text(f"  because {reason}") for reason in fitness.reasons),
        *(Text(f"  ! {note}") for note in fitness.notes),
        _soft_labels(critic),
    ]
    if critic.error:
        lines.append(Text(f"  first failed request: {critic.error}"))
    return lines


def _soft_labels(critic: CriticReport) -> Text:
    auroc, soft = critic.overall.confidence_auroc, critic.fitness.soft_labels
    shown = f"AUROC {decimals(auroc, '.2f')}, {auroc.n:g} wrong; 0.5 means nothing"
    if soft == "unknown":
        return Text(f"  soft labels: too few labels or errors to tell whether its confidence means anything ({shown})")
    if soft == "fit":
        return Text(f"  soft labels: fit, it is surer where it is right ({shown})")
    return Text(
        f"  soft labels: unfit as a source of soft labels, how sure it is does not say whether it is right ({shown}); "
        "train with --labels hard",
        style=STYLES["not fit"],
    )


def _with_count(estimate: Estimate) -> str:
    return interval(estimate) + (f" of {estimate.n:g}" if estimate.n else "")
