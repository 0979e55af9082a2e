"""Write the report of a comparison: plots, the strongest disagreements, and a browser of the judged pool."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlaif.compare.comparability import KINDS
from rlaif.compare.comparison_schema import Comparison
from rlaif.compare.config import CompareConfig
from rlaif.compare.directory import pooled, read_comparison, read_settings
from rlaif.compare.disagreements import strength
from rlaif.compare.pool import Candidate, PooledPrompt
from rlaif.compare.tallies import PassKey, judge_all, pool_rules
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError
from rlaif.preferences.judgement import Judgement, Rule
from rlaif.records import Matchup
from rlaif.report.comparison_plots import comparison_plots
from rlaif.report.drawing import Table
from rlaif.report.facts import Fact, Part, Sum, rules_of
from rlaif.report.html_page import embedded, render, write_page
from rlaif.report.run_page import LARGEST_PAGE, Written
from rlaif.report.trace_views import (
    MatchupView,
    ResponseView,
    TraceView,
    as_revision,
    browser_data,
    checks_of,
    turns_of,
    verdicts_of,
)
from rlaif.runs.reader import Run
from rlaif.text.wording import counted

MOST_PROMPTS = 500
LONGEST_SHOWN = 2500
"""Characters of a response that are shown among the disagreements; the browser shows all of it."""


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
    """Raise RunDirectoryError where the files of a comparison name different rule sets."""
    measured = {rules.name for rules in found.rule_sets}
    judged = {judging_pass.rules for prompt in prompts for judging_pass in prompt.sittings}
    if measured != names or not judged <= names:
        raise RunDirectoryError(
            f"{path}: comparison.yaml, comparison.json and pool.sqlite have different rule sets "
            f"({', '.join(sorted(names)) or 'none'}; {', '.join(sorted(measured))}; {', '.join(sorted(judged))}); run "
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
        rule_sets={name: rules_of(run.constitution) for name, run in runs.items()},
        plots=comparison_plots(found),
        spent=_spent(found),
        disagreements=[(one, sorted(one.voices, key=lambda v: -(v.p or 0))) for one in found.disagreements],
        longest=LONGEST_SHOWN,
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
        Fact("Policy", f"{found.policy}, which writes the responses"),
        Fact("Critic", f"{found.critic}, which criticises, revises and judges under all rule sets"),
        *(Fact(rules.name, rules.constitution, rules.constitution_hash) for rules in found.rule_sets),
        Fact("Pool", f"{counted(found.identical, 'matchup')} left out because both responses are the same text"),
        Fact(
            "Noise floor",
            f"{found.judged_twice:,} prompts judged twice, the second time with another seed and another wording"
            if found.judged_twice
            else "not measured",
        ),
    ]


def _spent(found: Comparison) -> Table:
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
    return Table(
        ("rule set", "run: prompt tokens", "run: generated", "run: seconds", "pool: prompt tokens", "pool: verdicts"),
        tuple(rows),
    )


def _sampled(shown: int, total: int) -> str:
    if shown == total:
        return f"All {shown:,} prompts of the pool, strongest disagreements first."
    return (
        f"The {shown:,} of {total:,} prompts with the strongest disagreements, strongest first. All prompts are in "
        "matchups.parquet."
    )


def _views(
    settings: CompareConfig, constitutions: Mapping[str, Constitution], prompts: Sequence[PooledPrompt]
) -> list[TraceView]:
    """Return what the browser shows of the pool's prompts, strongest disagreements first."""
    rules = pool_rules(settings.run, constitutions, prompts)
    found = [_view(prompt, rules) for prompt in prompts]
    return [view for _, view in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _view(pool: PooledPrompt, rules: Mapping[PassKey, Rule]) -> tuple[tuple[bool, float], TraceView]:
    judged = {name: found for (name, again), found in judge_all(pool, rules).items() if not again}
    verdicts = {s.rules: s.matchups for s in pool.sittings if not s.again}
    matchups = tuple(_matchup(pool, place, judged, verdicts) for place in range(len(pool.matchups)))
    strengths = [strength([found[place] for found in judged.values()]) for place in range(len(matchups))]
    labelled = any(judgement.abstention is None for found in judged.values() for judgement in found)
    outcome = "labels agree" if labelled else "nothing labelled"
    if any(differ for differ, _ in strengths):
        outcome = "labels differ"
    view = TraceView(
        id=pool.prompt.id,
        tags=pool.prompt.tags,
        turns=turns_of(pool.prompt),
        outcome=outcome,
        responses=tuple(_response(pool, candidate) for candidate in pool.candidates),
        judged=tuple(f"{name}/{k}" for s in pool.sittings if not s.again for name in [s.rules] for k in s.judged_by),
        matchups=matchups,
        revisions=_own_revisions(pool, judged),
    )
    return max(strengths, default=(False, 0.0)), view


def _own_revisions(pool: PooledPrompt, judged: Mapping[str, Sequence[Judgement]]) -> tuple[float, ...]:
    """Return the probabilities that a revision beats its sample, judged under the rule set that made it."""
    own = [
        (judged[maker][place], candidate)
        for place, matchup in enumerate(pool.matchups)
        for candidate in (matchup.a, matchup.b)
        if matchup.kind == "parent" and (maker := pool.candidate(candidate).by or "") in judged
    ]
    return tuple(round(p, 3) for j, revision in own if j.abstention is None and (p := j.p_of(revision)) is not None)


def _response(pool: PooledPrompt, candidate: Candidate) -> ResponseView:
    view = ResponseView(id=candidate.id, text=candidate.text, parent=candidate.parent)
    if candidate.parent is None:
        return view
    by = tuple(f"{candidate.by}/{principle}" for principle in candidate.principles)
    return as_revision(view, pool.candidate(candidate.parent).text, by, candidate.critique)


def _matchup(
    pool: PooledPrompt,
    place: int,
    judged: Mapping[str, Sequence[Judgement]],
    verdicts: Mapping[str, Sequence[Matchup]],
) -> MatchupView:
    matchup = pool.matchups[place]
    rows = []
    for name, judgements in judged.items():
        rows += verdicts_of(verdicts[name][place], judgements[place], f"{name}/")
    votes = tuple(
        (name, None if (p := found[place].p) is None else round(p, 3), found[place].abstention or "")
        for name, found in judged.items()
    )
    checks = tuple(row for name in judged for row in checks_of(verdicts[name][place], f"{name}/"))
    return MatchupView(a=matchup.a, b=matchup.b, p=None, votes=votes, verdicts=tuple(rows), checks=checks)
