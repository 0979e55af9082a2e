"""The page of a policy's evaluation: what is shown, every line, plots, phrases, and answers to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rlaif.evaluate.policy.duels import Outcome
from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.line_text import GROUPS, HEADINGS, chance, difference_of, said_of, value_of
from rlaif.report.page import counted, render, write_page
from rlaif.report.plots import Table
from rlaif.report.policy_plots import policy_plots, typical_phrases
from rlaif.report.run_facts import Fact


@dataclass(frozen=True)
class ShownGroup:
    """The lines of one kind, as the page shows them."""

    heading: str
    table: Table


def write_policy_report(found: PolicyEvaluation, file: Path) -> int:
    """Write the page; return its bytes. Raises UsageError and StorageError as `write_page` does."""
    return write_page(file, policy_page(found))


def policy_page(found: PolicyEvaluation) -> str:
    """Return the page."""
    return render(
        "policy.html.jinja",
        title=f"{found.base.name} → {found.tuned.name}",
        found=found,
        warnings=found.warnings,
        said=[(heading, said_of(found, finding)) for finding, heading in HEADINGS.items()],
        chance=chance(found),
        groups=list(_groups(found)),
        facts=_facts(found),
        plots=policy_plots(found),
        phrases=typical_phrases(found.phrases),
    )


def _groups(found: PolicyEvaluation) -> Iterator[ShownGroup]:
    for group, heading in GROUPS.items():
        lines = [line for line in found.lines if line.group == group]
        if lines:
            rows = tuple(
                (
                    line.label,
                    value_of(line.base, line.unit),
                    value_of(line.tuned, line.unit),
                    difference_of(line),
                    line.finding + (f" ({line.note})" if line.note else ""),
                )
                for line in lines
            )
            yield ShownGroup(heading, Table(("what", "base", "tuned", "difference", "finding"), rows))


def _facts(found: PolicyEvaluation) -> list[Fact]:
    probes = found.probes
    return [
        Fact("Base", found.base.name, found.base.identity),
        Fact("Tuned", found.tuned.name, found.tuned.identity),
        Fact("Critic", found.critic),
        Fact("Prompts", f"{counted(found.prompts, 'prompt')} of {found.source}", found.prompts_hash),
        Fact(
            "Probes",
            f"{probes['harmless']} harmless requests, {probes['harmful']} to be declined, {probes['claimed']} claims, "
            f"{probes['questions']} questions, {probes['texts']} neutral texts",
        ),
        Fact(
            "Answers",
            f"{found.sampling.n} to each, temperature {found.sampling.temperature:g}, up to "
            f"{found.sampling.max_tokens} tokens, seed {found.seed}",
        ),
        *(
            Fact("Rules", f"{one.constitution} v{one.version}: {_outcomes(one.outcomes)}", one.hash)
            for one in found.wins
        ),
    ]


def _outcomes(outcomes: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items(), key=lambda one: -one[1]))
