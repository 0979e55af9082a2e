"""Write the page of a policy's evaluation: conclusions, every line, plots, phrases, and example responses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rlaif.evaluate.policy.gains_and_losses import (
    GROUPS,
    HEADINGS,
    difference_text,
    expected_by_chance,
    own_interval,
    sentences,
    value_text,
)
from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.evaluate.policy.response_style import Phrase, Phrases
from rlaif.evaluate.policy.win_rates import Outcome
from rlaif.report.drawing import Table, number
from rlaif.report.facts import Fact
from rlaif.report.html_page import render, write_page
from rlaif.report.policy_plots import policy_plots
from rlaif.text.wording import counted


@dataclass(frozen=True)
class ShownGroup:
    """The lines of one group as a table for the page."""

    heading: str
    table: Table


def write_policy_report(found: PolicyEvaluation, file: Path) -> int:
    """Write the page; return its size in bytes. Raises UsageError and StorageError as `write_page` does."""
    return write_page(file, policy_page(found))


def policy_page(found: PolicyEvaluation) -> str:
    """Return the page as HTML."""
    return render(
        "policy.html.jinja",
        title=f"{found.base.name} → {found.tuned.name}",
        found=found,
        warnings=found.warnings,
        conclusions=[(heading, sentences(found.lines, finding)) for finding, heading in HEADINGS.items()],
        chance=expected_by_chance(found.lines),
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
                    value_text(line.base, line.unit),
                    value_text(line.tuned, line.unit),
                    difference_text(line),
                    line.finding + own_interval(line) + (f" ({line.note})" if line.note else ""),
                )
                for line in lines
            )
            yield ShownGroup(heading, Table(("what", "base", "tuned", "difference", "finding"), rows))


def _facts(found: PolicyEvaluation) -> list[Fact]:
    probes = found.probes
    return [
        Fact("Base", found.base.title, found.base.identity),
        Fact("Tuned", found.tuned.title, found.tuned.identity),
        Fact("Critic", found.critic),
        Fact("Prompts", f"{counted(found.prompts, 'prompt')} of {found.source}", found.prompts_hash),
        Fact(
            "Probes",
            f"{probes['harmless']} harmless requests, {probes['harmful']} to be declined, {probes['claimed']} claims, "
            f"{probes['questions']} questions, {probes['texts']} neutral texts",
        ),
        Fact(
            "Responses",
            f"{found.sampling.n} per prompt, temperature {found.sampling.temperature:g}, up to "
            f"{found.sampling.max_tokens} tokens, seed {found.seed}",
        ),
        *(
            Fact("Rules", f"{one.constitution} v{one.version}: {_outcomes(one.outcomes)}", one.hash)
            for one in found.wins
        ),
    ]


def _outcomes(outcomes: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{outcome} {count}" for outcome, count in sorted(outcomes.items(), key=lambda one: -one[1]))


@dataclass(frozen=True)
class Typical:
    """The typical phrases as a section of the page."""

    title: str
    reading: str
    table: Table


def typical_phrases(found: Phrases) -> Typical:
    """Return the section on phrases that became typical of one of the models."""
    rows = tuple(_phrase(one) for one in (*found.gained, *found.lost))
    return Typical(
        title="Phrases typical of the tuned model, then of the base" if rows else "Typical phrases",
        reading=(
            f"{'' if rows else 'None was found. '}{found.looked_at:,} phrases of one to three words were compared by "
            "their log-odds ratio with an informative Dirichlet prior (Monroe et al. 2008). Those with |z| above "
            f"{found.threshold:.2f} are listed; if the two models' responses are exchanged at random, the largest |z| "
            "is above that in 5 % of the cases. A prompt counts by the share of its responses with the phrase."
        ),
        table=Table(("phrase", "base, prompts", "tuned, prompts", "log-odds ratio", "z"), rows),
    )


def _phrase(one: Phrase) -> tuple[str, ...]:
    return (f"“{one.text}”", number(one.base, 1), number(one.tuned, 1), number(one.log_odds), number(one.z, 1))
