"""A policy's evaluation on the terminal: the table of gains and losses, and what it shows in words."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.cli.console import plain
from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.line_text import GROUPS, HEADINGS, chance, difference_of, said_of, value_of
from rlaif.evaluate.policy.lines import Finding

STYLES: dict[Finding, str] = {
    "loss": "bold yellow",
    "gain": "green",
    "change": "bold",
    "nothing shown": "dim",
    "not measured": "dim",
}


def print_policy_evaluation(found: PolicyEvaluation, console: Console) -> None:
    """Print the table of gains and losses, and what it shows in words."""
    console.print(Text(f"{found.base.name} → {found.tuned.name}", style="bold"))
    rules = ", ".join(f"{one.constitution} v{one.version}" for one in found.wins)
    console.print(
        f"{found.prompts} prompts of {found.source}, {found.sampling.n} answers each · judged under {rules} by "
        f"{found.critic} · 95 % intervals, over prompts",
        markup=False,
    )
    console.print(_lines(found))
    for one in found.wins:
        parts = " + ".join(f"{outcome} {count}" for outcome, count in sorted(one.outcomes.items(), key=_most_first))
        console.print(f"under {one.constitution}: {one.duels} duels = {parts}", markup=False)
    for text in _typical(found):
        console.print(text, markup=False)
    if found.agreement is not None:
        of = found.agreement
        console.print(
            f"critic and rules read {of.agree} of {of.read} answers alike ({of.unread} more can't be read)",
            markup=False,
        )
    for finding, heading in HEADINGS.items():
        for line in _words(found, finding, heading):
            console.print(line)
    console.print(chance(found), markup=False)
    for warning in found.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))


def _most_first(counted: tuple[str, int]) -> int:
    return -counted[1]


def _words(found: PolicyEvaluation, finding: Finding, heading: str) -> list[Text]:
    """Return what is shown, line by line; what is not, by name only."""
    said = said_of(found, finding)
    if not said:
        return []
    if finding in {"nothing shown", "not measured"}:
        return [Text(f"{heading}: {', '.join(line.name for line in found.found(finding))}", style="dim")]
    return [Text(heading, style="bold"), *(Text(f"  {line}") for line in said)]


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
            value_of(line.base, line.unit),
            value_of(line.tuned, line.unit),
            difference_of(line),
            Text(line.finding, style=STYLES[line.finding]),
        )
    return table


def _typical(found: PolicyEvaluation) -> Sequence[str]:
    of = found.phrases
    said = []
    for name, phrases in (("typical of the tuned model", of.gained), ("no longer said as often", of.lost)):
        if phrases:
            shown = [f"“{one.text}” ({one.base:.0f} → {one.tuned:.0f} prompts)" for one in phrases[:8]]
            said.append(f"{name}: {', '.join(shown)}")
    return said or [f"no phrase of {of.looked_at:,} became typical of either model"]
