"""The report of a comparison: figures, the strongest disagreements, and a browser of the judged pool."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.compare.comparison import Comparison
from rlaif.compare.config import CompareConfig
from rlaif.compare.disagreements import Disagreement, PrincipleLogit, strength
from rlaif.compare.figures import pool_rules
from rlaif.compare.job import pooled, read_comparison, read_settings
from rlaif.compare.pool import Candidate, PooledPrompt
from rlaif.compare.tallies import Judge, judge_all
from rlaif.compare.warnings import KINDS
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError
from rlaif.preferences.judgement import Judgement
from rlaif.preferences.rule import Rule
from rlaif.records import Matchup
from rlaif.report.browser import (
    AnswerView,
    MatchupView,
    TraceView,
    browser_data,
    checks_of,
    lengths_of,
    turns_of,
    voice_rows,
)
from rlaif.report.comparison_plots import comparison_plots
from rlaif.report.page import embedded, render, write_page
from rlaif.report.run_facts import Fact, Part, Sum, rules_of
from rlaif.report.run_facts import Rule as ShownRule
from rlaif.report.run_page import LARGEST_PAGE, Written
from rlaif.runs.reader import Run
from rlaif.text.difference import difference
from rlaif.text.wording import counted

MOST_PROMPTS = 500
LONGEST_SHOWN = 2500
"""Characters of an answer among the disagreements; the browser has it whole."""


@dataclass(frozen=True)
class ShownRules:
    """One rule set's principles, for the page."""

    name: str
    rules: list[ShownRule]


def write_comparison_report(path: Path, file: Path) -> Written:
    """Write the report of a comparison. Raises RunDirectoryError, UsageError and StorageError."""
    found, settings = read_comparison(path), read_settings(path)
    runs = {rules.name: Run(rules.run) for rules in settings.rule_sets}
    prompts = list(pooled(path))
    _refuse_other_rules(path, found, set(runs), prompts)
    views = _views(settings, {name: run.constitution for name, run in runs.items()}, prompts)
    shown = views[:MOST_PROMPTS]
    html = _page(path, found, runs, shown, len(views))
    while (size := len(html.encode("utf-8", "replace"))) > LARGEST_PAGE and len(shown) > 1:
        shown = shown[: max(1, int(0.95 * len(shown) * LARGEST_PAGE / size))]
        html = _page(path, found, runs, shown, len(views))
    return Written(file=str(file), bytes=write_page(file, html), traces_shown=len(shown), traces=len(views))


def _refuse_other_rules(path: Path, found: Comparison, names: set[str], prompts: Sequence[PooledPrompt]) -> None:
    """Raise RunDirectoryError where the files of a comparison are not of one piece."""
    figured = {rules.name for rules in found.rule_sets}
    judged = {judging_pass.rules for prompt in prompts for judging_pass in prompt.sittings}
    if figured != names or not judged <= names:
        raise RunDirectoryError(
            f"{path}: comparison.yaml, comparison.json and pool.sqlite speak of different rule sets "
            f"({', '.join(sorted(names)) or 'none'}; {', '.join(sorted(figured))}; {', '.join(sorted(judged))}); run "
            "the same rlaif compare again, into another --out"
        )


def _page(path: Path, found: Comparison, runs: Mapping[str, Run], shown: Sequence[TraceView], total: int) -> str:
    principles = [f"{name}/{p.id}" for name, run in runs.items() for p in run.constitution.principles]
    return render(
        "comparison.html.jinja",
        title=f"{path.resolve().name}: {', '.join(runs)}",
        name=path.resolve().name,
        found=found,
        warnings=found.warnings,
        sums=_sums(found),
        facts=_facts(found),
        rule_sets=[ShownRules(name, rules_of(run.constitution)) for name, run in runs.items()],
        plots=comparison_plots(found),
        spent=_spent(found),
        disagreements=[_shown(one) for one in found.disagreements],
        sampled=_sampled(len(shown), total),
        data=embedded(browser_data(shown, principles)),
    )


def _sums(found: Comparison) -> list[Sum]:
    kinds = " + ".join(f"{count:,} {KINDS[kind]}" for kind, count in found.matchups_by_kind.items())
    sums = [Sum(f"{counted(found.prompts, 'prompt')}, {counted(found.matchups, 'matchup')} = {kinds}")]
    for rules in found.rule_sets:
        labelled = rules.matchups - sum(rules.abstained.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rules.abstained.items()))
        parts = [Part("labelled", labelled, True)] + [Part(r, n, False) for r, n in sorted(rules.abstained.items())]
        sums.append(
            Sum(
                f"{rules.name}: {counted(rules.matchups, 'matchup')} = {labelled:,} labelled + "
                f"{rules.matchups - labelled:,} abstained" + (f" ({reasons})" if reasons else ""),
                tuple(parts),
            )
        )
    return sums


def _facts(found: Comparison) -> list[Fact]:
    return [
        Fact("Policy", f"{found.policy}, which answers"),
        Fact("Critic", f"{found.critic}, which criticises, revises and judges for all rule sets"),
        *(Fact(rules.name, rules.constitution, rules.constitution_hash) for rules in found.rule_sets),
        Fact("Pool", f"{counted(found.identical, 'matchup')} left out because both answers are the same text"),
        Fact(
            "Noise floor",
            f"{found.judged_twice:,} prompts judged twice, the second time with another seed and in other words"
            if found.judged_twice
            else "not measured",
        ),
    ]


@dataclass(frozen=True)
class Spent:
    """What one rule set cost."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _spent(found: Comparison) -> Spent:
    rows = [
        (
            rules.name,
            f"{rules.run_usage.prompt_tokens:,}",
            f"{rules.run_usage.completion_tokens:,}",
            "–" if rules.seconds is None else f"{rules.seconds:,.0f}",
            f"{rules.pool_usage.prompt_tokens:,}",
            f"{rules.pool_usage.requests:,}",
        )
        for rules in found.rule_sets
    ]
    return Spent(
        ("rule set", "run: prompt tokens", "run: generated", "run: seconds", "pool: prompt tokens", "pool: verdicts"),
        tuple(rows),
    )


@dataclass(frozen=True)
class ShownDisagreement:
    """One disagreement with its answers cut to a readable length."""

    of: Disagreement
    a_text: str
    b_text: str
    voices: list[PrincipleLogit]


def _shown(one: Disagreement) -> ShownDisagreement:
    def cut(text: str) -> str:
        return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} … ({len(text) - LONGEST_SHOWN:,} more)"

    return ShownDisagreement(one, cut(one.a_text), cut(one.b_text), sorted(one.voices, key=lambda v: -(v.p or 0)))


def _sampled(shown: int, total: int) -> str:
    if shown == total:
        return f"All {shown:,} prompts of the pool, the strongest disagreements first."
    return (
        f"The {shown:,} of {total:,} prompts with the strongest disagreements, strongest first; matchups.parquet has "
        "them all."
    )


def _views(
    settings: CompareConfig, constitutions: Mapping[str, Constitution], prompts: Sequence[PooledPrompt]
) -> list[TraceView]:
    """Return the pool's prompts as the browser shows them, strongest disagreements first."""
    rules = pool_rules(settings.run, constitutions, prompts)
    found = [_view(prompt, rules) for prompt in prompts]
    return [view for _, view in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _view(pool: PooledPrompt, rules: Mapping[Judge, Rule]) -> tuple[tuple[bool, float], TraceView]:
    judged = {name: found for (name, again), found in judge_all(pool, rules).items() if not again}
    verdicts = {s.rules: s.matchups for s in pool.sittings if not s.again}
    matchups = tuple(_matchup(pool, place, judged, verdicts) for place in range(len(pool.matchups)))
    strengths = [strength([found[place] for found in judged.values()]) for place in range(len(matchups))]
    view = TraceView(
        id=pool.prompt.id,
        tags=pool.prompt.tags,
        turns=turns_of(pool.prompt),
        outcome=_outcome(judged),
        answers=tuple(_answer(pool, candidate) for candidate in pool.candidates),
        judged=tuple(f"{name}/{k}" for s in pool.sittings if not s.again for name in [s.rules] for k in s.judged_by),
        matchups=matchups,
        revisions=_own_revisions(pool, judged),
    )
    return max(strengths, default=(False, 0.0)), view


def _outcome(judged: Mapping[str, Collection[Judgement]]) -> str:
    """Return whether any label differs."""
    by_place = list(zip(*judged.values(), strict=True))
    labels = [{j.logit > 0 for j in place if j.abstention is None and j.logit is not None} for place in by_place]
    if any(len(found) > 1 for found in labels):
        return "labels differ"
    return "labels agree" if any(labels) else "nothing labelled"


def _own_revisions(pool: PooledPrompt, judged: Mapping[str, Sequence[Judgement]]) -> tuple[float, ...]:
    """Return the probabilities that a revision beats its sample under the rules it was made by."""
    found = []
    for place, matchup in enumerate(pool.matchups):
        for candidate in (matchup.a, matchup.b):
            maker = pool.candidate(candidate).by
            if matchup.kind != "parent" or maker is None or maker not in judged:
                continue
            judgement = judged[maker][place]
            p = judgement.p_of(candidate)
            if p is not None and judgement.abstention is None:
                found.append(round(p, 3))
    return tuple(found)


def _answer(pool: PooledPrompt, candidate: Candidate) -> AnswerView:
    view = AnswerView(id=candidate.id, text=candidate.text, parent=candidate.parent)
    if candidate.parent is None:
        return view
    change = difference(pool.candidate(candidate.parent).text, candidate.text)
    by = tuple(f"{candidate.by}/{k}" for k in candidate.principles)
    return view.model_copy(
        update={
            "kept": round(change.kept, 2),
            "unit": change.unit,
            "steps": lengths_of(change),
            "by": by,
            "critique": candidate.critique,
        }
    )


def _matchup(
    pool: PooledPrompt,
    place: int,
    judged: Mapping[str, Sequence[Judgement]],
    verdicts: Mapping[str, Sequence[Matchup]],
) -> MatchupView:
    matchup = pool.matchups[place]
    rows = []
    for name, judgements in judged.items():
        rows += voice_rows(verdicts[name][place], judgements[place], f"{name}/")
    votes = tuple(
        (name, None if (p := found[place].p) is None else round(p, 3), found[place].abstention or "")
        for name, found in judged.items()
    )
    checks = tuple(row for name in judged for row in checks_of(verdicts[name][place], f"{name}/"))
    return MatchupView(a=matchup.a, b=matchup.b, p=None, votes=votes, verdicts=tuple(rows), checks=checks)
