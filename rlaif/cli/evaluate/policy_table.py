"""Print a policy's evaluation: the table of gains and losses, and the conclusions as sentences."""

from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.cli.console import plain
from rlaif.cli.format import OVER_PROMPTS
from rlaif.evaluate.policy.gains_and_losses import (
    GROUPS,
    HEADINGS,
    Finding,
    difference_text,
    expected_by_chance,
    own_interval,
    sentences,
    value_text,
)
from rlaif.evaluate.policy.policy_report import PolicyEvaluation

STYLES: dict[Finding, str] = {
    "loss": "bold yellow",
    "gain": "green",
    "change": "bold",
    "nothing shown": "dim",
    "not measured": "dim",
}


def print_policy_evaluation(found: PolicyEvaluation, console: Console) -> None:
    """Print the table of gains and losses, and the conclusions as sentences."""
    console.print(Text(f"{found.base.title} → {found.tuned.title}", style="bold"))
    rules = ", ".join(f"{one.constitution} v{one.version}" for one in found.wins)
    console.print(
        f"{found.prompts} prompts of {found.source}, {found.sampling.n} responses each · judged under {rules} by "
        f"{found.critic} · {OVER_PROMPTS}",
        markup=False,
    )
    console.print(_lines(found))
    for one in found.wins:
        parts = " + ".join(f"{outcome} {count}" for outcome, count in Counter(one.outcomes).most_common())
        console.print(f"under {one.constitution}: {one.duels} pairs = {parts}", markup=False)
    for text in _typical(found):
        console.print(text, markup=False)
    if (agreement := found.agreement) is not None:
        console.print(
            f"critic and rules agree on refusal in {agreement.agree} of {agreement.read} responses ({agreement.unread} "
            "more readings are unreadable)",
            markup=False,
        )
    for finding, heading in HEADINGS.items():
        for conclusion in _conclusions(found, finding, heading):
            console.print(conclusion)
    console.print(expected_by_chance(found.lines), markup=False)
    for warning in found.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))


def _conclusions(found: PolicyEvaluation, finding: Finding, heading: str) -> list[Text]:
    """Return the sentences of one finding; for lines that show nothing, only their names."""
    names = [line.name for line in found.lines if line.finding == finding]
    if not names:
        return []
    if finding in {"nothing shown", "not measured"}:
        return [Text(f"{heading}: {', '.join(names)}", style="dim")]
    return [Text(heading, style="bold"), *(Text(f"  {line}") for line in sentences(found.lines, finding))]


def _lines(found: PolicyEvaluation) -> Table:
    table = Table("", box=SIMPLE_HEAD)
    for column in ("base", "tuned", "difference"):
        table.add_column(column, justify="right")
    table.add_column("")
    shown = ""
    for line in found.lines:
        if GROUPS[line.group] != shown:
            shown = GROUPS[line.group]
            table.add_row(Text(shown, style="bold"))
        table.add_row(
            plain(line.label),
            value_text(line.base, line.unit),
            value_text(line.tuned, line.unit),
            difference_text(line),
            Text(line.finding + own_interval(line), style=STYLES[line.finding]),
        )
    return table


def _typical(found: PolicyEvaluation) -> Sequence[str]:
    found_phrases = found.phrases
    texts = []
    for name, phrases in (
        ("typical of the tuned model", found_phrases.gained),
        ("less frequent than before", found_phrases.lost),
    ):
        if phrases:
            shown = [f"“{one.text}” ({one.base:.0f} → {one.tuned:.0f} prompts)" for one in phrases[:8]]
            texts.append(f"{name}: {', '.join(shown)}")
    return texts or [f"no phrase of {found_phrases.looked_at:,} became typical of either model"]
