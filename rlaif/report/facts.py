"""Texts and counts of a run's page: sums with their parts, models and settings, principles."""

from collections.abc import Mapping
from dataclasses import dataclass

from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError
from rlaif.runs.description import (
    corrected_words,
    given_lines,
    given_words,
    judge_words,
    panel_words,
    sampling_words,
    strategy_words,
    summary_lines,
)
from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary
from rlaif.text.wording import counted


@dataclass(frozen=True)
class Part:
    """One part of a sum, drawn in the bar below it."""

    name: str
    count: int
    kept: bool
    """Whether it is the wanted outcome: traces, decided, with a pair."""


@dataclass(frozen=True)
class Sum:
    """A line of the summary, and the parts that add up to it."""

    line: str
    parts: tuple[Part, ...] = ()

    @property
    def total(self) -> int:
        """The sum of the parts' counts."""
        return sum(part.count for part in self.parts)


@dataclass(frozen=True)
class Fact:
    """A named line about models and settings."""

    name: str
    text: str
    code: str = ""
    """A hash, shown in a fixed-width font."""


@dataclass(frozen=True)
class Rule:
    """A principle as texts for the page."""

    name: str
    weight: str
    use: str
    """Restrictions of its use, such as `critique only`; empty where there are none."""
    compare: str
    critique: str
    why: str


def sums_of(summary: Summary) -> list[Sum]:
    """Return the lines of the summary that the terminal shows; the first three have their parts."""
    without = sum(summary.traces_without_pair.values())
    parts = [
        (
            Part("traces", summary.traces, True),
            Part("failed", summary.failures, False),
            Part("not reached", summary.open, False),
        ),
        (Part("decided", summary.decided, True), *_parts(summary.abstained)),
        (Part("with a pair", summary.traces - without, True), *_parts(summary.traces_without_pair)),
    ]
    lines = summary_lines(summary)
    sums = [Sum(line, parts[place] if place < len(parts) else ()) for place, line in enumerate(lines)]
    return [*(Sum(line) for line in given_lines(summary)), *sums]


def facts_of(run: Run, summary: Summary) -> list[Fact]:
    """Return the models, settings, hashes and costs of a run."""
    config, manifest = run.config, run.manifest
    return [
        *_models(run),
        Fact(
            "Constitution",
            f"{manifest.constitution}, {counted(len(run.constitution.principles), 'principle')}",
            manifest.constitution_hash,
        ),
        Fact(
            "Prompts",
            f"{summary.prompts:,} from {manifest.prompts}" + _duplicates(manifest.duplicates),
            manifest.prompts_hash,
        ),
        _sampled(run, summary),
        Fact("Revised", _revised(run)),
        Fact("Judged", _judged(run)),
        *(Fact("Judge", judge_words(judge)) for judge in config.judging.panel),
        *(Fact("Corrected", words) for words in corrected_words(summary.corrected)),
        *(Fact("Panel", words) for words in (panel_words(summary.panel) if summary.panel else ())),
        *(Fact("Note", note) for note in summary.notes),
        Fact("Paired", f"{config.pairs.select}, at most {config.pairs.per_prompt} per prompt"),
        Fact("Templates", "", ", ".join(f"{name} {digest}" for name, digest in manifest.templates.items())),
        Fact("Tokens", _tokens(summary)),
        Fact("Made with", f"rlaif {manifest.rlaif}, started {manifest.created[:10]}, seed {config.seed}"),
    ]


def rules_of(constitution: Constitution) -> list[Rule]:
    """Return the principles of a constitution as texts for the page."""
    return [
        Rule(
            name=principle.id,
            weight=f"{principle.weight:g}" + (f", level {principle.priority}" if principle.priority != 1 else ""),
            use="; ".join(
                [
                    *(["critique only"] if principle.critique_only else []),
                    *(["compare only"] if principle.compare_only else []),
                    *(["decided by a program"] if principle.check is not None else []),
                    *([f"for {', '.join(principle.applies_to)}"] if principle.applies_to else []),
                ]
            ),
            compare=principle.decides_by,
            critique=principle.critique or "",
            why=principle.why,
        )
        for principle in constitution.principles
    ]


def _models(run: Run) -> list[Fact]:
    try:
        models = run.models
    except RunDirectoryError:
        return [Fact("Models", "no model has replied yet")]
    critic_judges = run.judged_with == models.critic
    return [
        *([] if run.config.responses else [Fact("Policy", f"{models.written_by}, which writes the responses")]),
        Fact("Critic", f"{models.critic}, which criticises" + (" and judges" if critic_judges else "")),
        *([] if critic_judges else [Fact("Judged by", run.judged_with)]),
    ]


def _sampled(run: Run, summary: Summary) -> Fact:
    if summary.given is not None:
        return Fact("Responses", given_words(summary.given.file))
    return Fact("Sampled", "; ".join(sampling_words(one) for one in run.config.sampled_by))


def _revised(run: Run) -> str:
    revision = run.config.revision
    if not revision.rounds:
        return "no revisions"
    return (
        f"{counted(revision.rounds, 'round')} of critique and revision, written by the {revision.by}, "
        f"{counted(revision.principles, 'principle')} drawn for each critique"
    )


def _judged(run: Run) -> str:
    judging = run.config.judging
    if judging.kind == "none":
        return "no judging: revisions only, for supervised fine-tuning"
    principles = (
        "every principle"
        if judging.principles == "all"
        else f"{counted(judging.principles, 'principle')} drawn per prompt"
    )
    orders = "both orders" if judging.orders == "both" else "one order only"
    how = orders if judging.has_order else "each response by itself"
    asked = f"{principles}, {how}" if judging.asks_rules else "each response by itself, without principles"
    noise = "allowed" if judging.allow_order_noise else "leads to abstention"
    return (
        f"{asked}, {strategy_words(judging)}; margin at least {judging.min_margin:g}, label mass "
        f"at least {judging.min_label_mass:g}, order noise {noise}"
    )


def _tokens(summary: Summary) -> str:
    usage = summary.usage
    cached = f" ({usage.cached_tokens / usage.prompt_tokens:.0%} cached)" if usage.prompt_tokens else ""
    return (
        f"{usage.prompt_tokens:,} in prompts{cached}, {usage.completion_tokens:,} generated, by "
        f"{usage.requests:,} {'reply' if usage.requests == 1 else 'replies'}"
    )


def _duplicates(count: int) -> str:
    return f"; {counted(count, 'duplicate')} left out" if count else ""


def _parts(counts: Mapping[str, int]) -> tuple[Part, ...]:
    return tuple(Part(name, count, False) for name, count in sorted(counts.items()))
