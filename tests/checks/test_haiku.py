"""A haiku in two lines is decided by counting: from the prompts to the dataset, the pages and the comparison."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rlaif.cli.console import stdout_console
from rlaif.cli.main import app
from rlaif.cli.trace import print_trace
from rlaif.compare.comparing import compare_async
from rlaif.compare.config import CompareConfig, RuleSet
from rlaif.compare.directory import pooled
from rlaif.config.run import PromptsConfig, RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError, PromptsError
from rlaif.generation import generate_async
from rlaif.preferences.judgement import CHECKED_LOGIT
from rlaif.records import Matchup, Trace
from rlaif.report.run_page import write_run_report
from rlaif.runs.description import summary_lines
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

HEAD = "name: haiku\nversion: 1\ndescription: For tests.\nprinciples:\n"
COUNTED = "  - id: two-lines\n    check: {lines: 2}\n"
FINER = "  - id: finer\n    compare: Which answer is finer?\n    compare_only: true\n"
POET = SimulatedModel(lines=2, quality_sd=2.0)
"""Answers stand on one line or two, and how good they are has nothing to do with it."""


@pytest.fixture
def make_haiku(tmp_path: Path, make_config: MakeConfig) -> Callable[..., RunConfig]:
    """Return a function that describes a run of poems by some rules."""

    def make(server: SimulatedServer, rules: str, **sections: object) -> RunConfig:
        file = tmp_path / "rules.yaml"
        file.write_text(HEAD + rules, encoding="utf-8")
        path = sections.pop("prompts", None)
        poems = {"constitution": str(file), "sampling": {"n": 3}, "revision": {"rounds": 0}}
        config = make_config(server, prompts=8, **(poems | sections))
        return config if path is None else config.model_copy(update={"prompts": PromptsConfig(path=str(path))})

    return make


def lines(trace: Trace, response_id: str) -> int:
    return len(trace.response(response_id).text.splitlines())


def differing(trace: Trace) -> list[Matchup]:
    return [matchup for matchup in trace.matchups if lines(trace, matchup.a) != lines(trace, matchup.b)]


def prompts_with(tmp_path: Path, *checks: object, rows: int = 8) -> str:
    file = tmp_path / "poems.jsonl"
    given = [{"id": f"p{n}", "prompt": f"A haiku about {n}, in two lines.", "checks": checks} for n in range(rows)]
    file.write_text("\n".join(json.dumps(row) for row in given), encoding="utf-8")
    return str(file)


async def test_the_one_with_two_lines_wins_although_the_critic_prefers_the_other(make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER + "    priority: 2\n"))
        against = 0
        for trace, conclusion in run.conclusions():
            for matchup, judgement in zip(trace.matchups, conclusion.judgements, strict=True):
                if matchup in differing(trace):
                    winner = matchup.a if judgement.logit > 0 else matchup.b
                    assert lines(trace, winner) == 2
                    assert abs(judgement.logit) == pytest.approx(CHECKED_LOGIT)
                    critic = next(part for part in judgement.principles if part.principle == "finer")
                    against += (critic.logit > 0) != (judgement.logit > 0)
                else:
                    a, b = (server.model.quality(trace.response(one).text) for one in (matchup.a, matchup.b))
                    assert judgement.logit == pytest.approx(a - b, abs=1e-3)
            for pair in conclusion.pairs:
                assert lines(trace, pair.chosen) >= lines(trace, pair.rejected)
        assert against > 3
        assert server.count("judge") > 0


async def test_beside_the_critic_a_check_is_weighted_like_any_principle(make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
        seen = 0
        for trace, conclusion in run.conclusions():
            for matchup, judgement in zip(trace.matchups, conclusion.judgements, strict=True):
                if matchup in differing(trace):
                    parts = {part.principle: part.logit for part in judgement.principles}
                    assert judgement.logit == pytest.approx((parts["two-lines"] + parts["finer"]) / 2)
                    seen += 1
        assert seen > 3


async def test_rules_that_are_all_programs_ask_the_judge_nothing(make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED))
        assert (server.count("judge"), server.count("critique")) == (0, 0)
    assert run.position_bias.label_mass is None
    assert run.position_bias.warnings() == []
    ties = 0
    for trace, conclusion in run.conclusions():
        assert (trace.judged_by, trace.checked_by) == ((), ("two-lines",))
        for matchup, judgement in zip(trace.matchups, conclusion.judgements, strict=True):
            assert judgement.abstention == (None if matchup in differing(trace) else "tie")
            ties += judgement.abstention == "tie"
    assert ties
    frame = run.pairs
    assert len(frame)
    assert set(frame["p_chosen"].round(6)) == {0.98}
    assert frame["label_mass"].isna().all()
    card = (run.path / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "**two-lines** (weight 1): a program: lines: 2" in card
    assert "No verdicts. Only checks were used." in card
    assert summarise(run).notes == []


async def test_pairs_of_checks_alone_are_counted_and_an_unreadable_critic_is_not_a_tie(
    make_haiku: Callable[..., RunConfig],
):
    async with SimulatedServer(POET.model_copy(update={"label_mass": 0.03})) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
    summary = summarise(run)
    assert set(summary.abstained) == {"unreadable"}
    assert summary.pairs_by_checks == summary.pairs > 0
    assert f"{summary.pairs} of {summary.pairs} pairs decided by checks alone" in summary_lines(summary)
    card = (run.path / "dataset" / "README.md").read_text(encoding="utf-8")
    assert f"- {summary.pairs} of {summary.pairs} pairs are decided by checks alone." in card


async def test_a_pair_that_the_critic_also_decided_is_not_counted_as_the_checks(make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
    assert (summarise(run).pairs, summarise(run).pairs_by_checks) == (len(run.pairs), 0)


async def test_the_prompts_own_checks_count_for_them_alone(tmp_path: Path, make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        path = prompts_with(tmp_path, {"lines": 2}, {"id": "long-enough", "words": {"min": 3}})
        config = make_haiku(server, FINER + "    priority: 2\n", prompts=path)
        run = await generate_async(config)
    for trace, conclusion in run.conclusions():
        assert trace.judged_by == ("finer",)
        assert trace.checked_by == ("check:1", "check:long-enough")
        for matchup, judgement in zip(trace.matchups, conclusion.judgements, strict=True):
            if matchup in differing(trace):
                assert lines(trace, matchup.a if judgement.logit > 0 else matchup.b) == 2
    assert {"check:1", "check:long-enough", "finer"} == {part["id"] for part in run.pairs["principles"].iloc[0]}


async def test_a_check_with_instructions_guides_revisions(make_haiku: Callable[..., RunConfig]):
    more = "    critique: Count its lines.\n    revise: Put it on two lines.\n"
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + more, revision={"rounds": 1}))
        assert (server.count("revise"), server.count("judge")) == (24, 0)
    assert {critique.principles for trace in run.traces() for critique in trace.critiques} == {("two-lines",)}


async def test_checks_are_always_used_where_principles_are_drawn(make_haiku: Callable[..., RunConfig]):
    other = FINER.replace("finer", "kinder")
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, FINER + other + COUNTED, judging={"principles": 1}))
    for trace in run.traces():
        assert len(trace.judged_by) == 1
        assert trace.checked_by == ("two-lines",)


async def test_a_run_with_other_checks_is_refused_as_another_run(tmp_path: Path, make_haiku: Callable[..., RunConfig]):
    async with SimulatedServer(POET) as server:
        await generate_async(make_haiku(server, FINER, prompts=prompts_with(tmp_path, {"lines": 2})))
        with pytest.raises(Exception, match="what differs: prompts"):
            await generate_async(make_haiku(server, FINER, prompts=prompts_with(tmp_path, {"lines": 3})))


async def test_an_own_check_that_fails_is_an_error_of_its_prompt(
    tmp_path: Path, make_haiku: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
):
    code = "def odd(text, prompt):\n    return 1 / 0 if prompt.id == 'p3' else len(text) % 2 == 1\n"
    (tmp_path / "my_haiku_checks.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RLAIF_ALLOW_PYTHON", "my_haiku_checks:odd")
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, "  - id: odd\n    check: {python: my_haiku_checks:odd}\n"))
    (failure,) = run.failures()
    assert failure.prompt_id == "p3"
    assert failure.error.startswith("CheckError: the check my_haiku_checks:odd failed: ZeroDivisionError")


async def test_a_missing_function_is_reported_before_any_request(
    make_haiku: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RLAIF_ALLOW_PYTHON", "nowhere:odd")
    async with SimulatedServer(POET) as server:
        with pytest.raises(ConfigError, match="cannot import nowhere"):
            await generate_async(make_haiku(server, "  - id: odd\n    check: {python: nowhere:odd}\n"))
        assert server.asked == []


async def test_show_and_report_include_what_the_program_found(
    tmp_path: Path, make_haiku: Callable[..., RunConfig], capsys: pytest.CaptureFixture[str]
):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
    for trace in run.traces():
        print_trace(run, trace, stdout_console())
    output = capsys.readouterr().out
    assert "pass: 2 lines" in output
    assert "FAIL: 1 line" in output
    write_run_report(run, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "passes: 2 lines" in html
    assert "a program: lines: 2" in html


def shown(run: Run, trace: Trace, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_trace(run, trace, stdout_console())
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


async def test_a_trace_ends_with_the_decision_and_its_certainty(
    make_haiku: Callable[..., RunConfig], capsys: pytest.CaptureFixture[str]
):
    async with SimulatedServer(POET.model_copy(update={"position_bias": 9.0, "label_mass": 0.6})) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
    alike = apart = 0
    for trace, conclusion in run.conclusions():
        output = shown(run, trace, capsys)
        assert output[-2].startswith("! this critic is not fit to judge: ")
        for pair in conclusion.pairs:
            decisions = {line[:10]: line for line in output if line.startswith(("decided by", "against it"))}
            if lines(trace, pair.chosen) == lines(trace, pair.rejected):
                assert list(decisions) == ["decided by"]
                assert decisions["decided by"].startswith(f"decided by finer (p {pair.p_chosen:.3f}, weight 1)")
                assert "no difference two-lines (a check with the same result for both)" in output
                alike += 1
            else:
                passed = lines(trace, pair.chosen) == 2
                head, p = ("decided by", "0.980") if passed else ("against it", "0.020")
                assert f"two-lines (p {p}, weight 1)" in decisions[head]
                apart += 1
    assert alike
    assert apart


async def test_a_trace_is_shown_in_the_reports_probabilities_and_an_abstaining_check_has_none(
    make_haiku: Callable[..., RunConfig], capsys: pytest.CaptureFixture[str]
):
    async with SimulatedServer(POET) as server:
        run = await generate_async(make_haiku(server, COUNTED + FINER))
    for trace, conclusion in run.conclusions():
        output = shown(run, trace, capsys)
        legend = "s0, s1: the policy's responses; s0.r1: the first revision of s0"
        assert any(line.startswith(legend) for line in output)
        for matchup, judgement in zip(trace.matchups, conclusion.judgements, strict=True):
            p = next(part.p for part in judgement.principles if part.principle == "finer")
            assert any(line.startswith(f"finer {p:.3f} {p:.3f} {p:.3f} ") for line in output)
            if matchup not in differing(trace):
                assert any(
                    line.startswith("two-lines – pass") or line.startswith("two-lines – FAIL") for line in output
                )


async def test_rule_sets_with_checks_are_compared(tmp_path: Path, make_haiku: Callable[..., RunConfig]):
    (tmp_path / "critic.yaml").write_text(HEAD.replace("haiku", "critic") + FINER, encoding="utf-8")
    async with SimulatedServer(POET) as server:
        run = make_haiku(server, COUNTED, prompts=prompts_with(tmp_path, {"words": {"min": 1}}))
        rules = {"counting": run.constitution, "critic": str(tmp_path / "critic.yaml")}
        out = tmp_path / "compared"
        sets = tuple(RuleSet(name=n, constitution=c, run=str(out / "runs" / n)) for n, c in rules.items())
        config = CompareConfig(rule_sets=sets, run=run, out=str(out), floor_prompts=4)
        figures = (await compare_async(config)).comparison
    counting, critic = figures.rule_sets
    assert counting.label_mass.value is None
    assert critic.label_mass.value == pytest.approx(0.97, abs=0.01)
    assert counting.noise_floor is not None
    assert counting.noise_floor.value == 0
    assert counting.pool_usage.requests == 0
    assert [one.compare for one in counting.principles] == ["a program: lines: 2"]
    for pool in pooled(out):
        judging_pass = pool.judging_pass("counting")
        assert judging_pass is not None
        assert judging_pass.checked_by == ("two-lines", "check:1")
        texts = {candidate.id: candidate.text for candidate in pool.candidates}
        for matchup in judging_pass.matchups:
            found = next(one for one in matchup.checks if one.principle == "two-lines")
            assert found.a.passed == (len(texts[matchup.a].splitlines()) == 2)
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code == 0, done.output


async def test_a_finished_run_measures_what_a_check_decides(make_haiku: Callable[..., RunConfig]):
    from rlaif.lint.subject import Measurement

    async with SimulatedServer(POET) as server:
        config = make_haiku(server, COUNTED + FINER + "    priority: 2\n")
        run = await generate_async(config)
    measured = Measurement.of(run, load_constitution(config.constitution))
    assert (measured.decisive("two-lines").value or 0) > 0.2
    assert measured.order_dependent("two-lines").value is None


def test_cases_of_a_check_need_no_critic(tmp_path: Path):
    cases = '    cases:\n      - {prompt: A haiku, better: "One\\nTwo", worse: One}\n'
    wrong = '      - {prompt: A haiku, better: One, worse: "One\\nTwo"}\n'
    (tmp_path / "rules.yaml").write_text(HEAD + COUNTED + cases, encoding="utf-8")
    command = ["constitution", "test", str(tmp_path / "rules.yaml"), "--critic", "http://127.0.0.1:1/v1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "check, all right" in done.output
    (tmp_path / "rules.yaml").write_text(HEAD + COUNTED + cases + wrong, encoding="utf-8")
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["principles"][0]["verdict"] == "check: 1 right, 1 wrong of 2 cases"
    assert report["overall"]["cases"] == 0
    assert report["findings"] == [
        "two-lines, case 2: the better response fails and the worse one passes "
        "(better: 1 line; worse: 2 lines; the check: lines: 2): change the case or the check"
    ]


def test_the_linter_finds_nothing_in_a_check(tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(HEAD + COUNTED, encoding="utf-8")
    done = CliRunner().invoke(app, ["constitution", "check", str(tmp_path / "rules.yaml"), "--json"])
    assert json.loads(done.stdout)[0]["findings"] == []


def test_prompts_with_checks_are_read(tmp_path: Path):
    file = tmp_path / "poems.csv"
    file.write_text('prompt,checks\nA haiku,"[{""lines"": 2}]"\nA limerick,\n', encoding="utf-8")
    first, second = read_prompts(PromptsConfig(path=str(file))).prompts
    assert [check.id for check in first.checks] == ["check:1"]
    assert second.checks == ()


def test_checks_make_another_prompt_of_the_same_words_and_another_hash(tmp_path: Path):
    file = tmp_path / "poems.jsonl"
    rows = [{"prompt": "A haiku"}, {"prompt": "A haiku", "checks": [{"lines": 2}]}, {"prompt": "A haiku"}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = read_prompts(PromptsConfig(path=str(file)))
    assert (len(found.prompts), found.duplicates) == (2, 1)
    assert len({prompt.id for prompt in found.prompts}) == 2
    file.write_text(json.dumps(rows[0]), encoding="utf-8")
    # What it was before prompts could have checks: runs made then can be gone on with.
    assert read_prompts(PromptsConfig(path=str(file))).hash == "55a327bde77b"


def test_columnar_files_write_nulls_where_other_rows_have_settings(tmp_path: Path):
    import pandas

    file = tmp_path / "poems.parquet"
    rows = [
        {"prompt": "A haiku", "checks": [{"lines": {"min": 2, "max": None}, "contains": None}]},
        {"prompt": "Another", "checks": [{"lines": None, "contains": ["rain"]}]},
        {"prompt": "A third", "checks": None},
    ]
    pandas.DataFrame(rows).to_parquet(file)
    found = read_prompts(PromptsConfig(path=str(file))).prompts
    assert [[str(one.check) for one in prompt.checks] for prompt in found] == [
        ["lines: at least 2"],
        ['contains: "rain"'],
        [],
    ]


@pytest.mark.parametrize(
    ("checks", "says"),
    [
        ([{"linse": 2}], "check 1: linse: unknown key `linse`; did you mean `lines`?"),
        ([{"lines": 2}, {"lines": "two"}], "check 2: lines: give a whole number"),
        ({"lines": 2}, "`checks` must be a list"),
        (["lines"], "check 1: must be an object"),
        ([{"id": "Two Lines", "lines": 2}], "is not lower-case words with hyphens"),
        ([{"id": "a", "lines": 2}, {"id": "a", "lines": 3}], "the id 'a' is used twice"),
        ("lines: 2", "`checks` is a text, but not a JSON list of checks"),
        ([{"id": "a"}], "this has none"),
        ([{"contains": ["\ud800"]}], "unable to parse raw data as a unicode string"),
        ([{"json": {"schema": {"const": "\ud800"}}}], "an unpaired surrogate"),
    ],
)
def test_a_bad_check_in_a_row_is_reported_with_file_and_line(tmp_path: Path, checks: object, says: str):
    file = tmp_path / "poems.jsonl"
    rows = [{"prompt": "One"}, {"prompt": "Two", "checks": checks}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(PromptsError) as error:
        read_prompts(PromptsConfig(path=str(file)))
    assert str(error.value).startswith(f"{file}:2: ")
    assert says in str(error.value)


def test_the_example_is_valid(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    config = RunConfig.load("examples/haiku.yaml")
    assert load_constitution(config.constitution).principle("no-preamble").check is not None
    assert all(prompt.checks for prompt in read_prompts(config.prompts).prompts)
