"""The main job from end to end, against the simulated server: what a user would find in the run directory."""

import asyncio
import json
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest

from rlaif.api import generate
from rlaif.errors import ConfigError, EndpointError, RunDirectoryError, RunError, UsageError
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.templates import fence_tag
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig


async def test_every_prompt_becomes_a_trace_with_samples_revisions_and_verdicts_of_both_orders(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server))
    traces = list(run.traces())
    assert [trace.prompt.id for trace in traces] == [f"p{n}" for n in range(6)]
    for trace in traces:
        assert [r.id for r in trace.responses] == ["s0", "s1", "s0.r1", "s1.r1"]
        assert [c.of for c in trace.critiques] == ["s0", "s1"]
        assert len(trace.matchups) == 6
        for matchup in trace.matchups:
            asked = Counter((v.principle, v.order) for v in matchup.verdicts)
            assert asked == {(p, o): 1 for p in ("kind", "short") for o in ("ab", "ba")}
    assert server.count("sample") == 6
    assert server.count("critique") == server.count("revise") == 12
    assert server.count("judge") == 6 * 6 * 2 * 2


async def test_the_numbers_of_the_summary_add_up(make_config: MakeConfig) -> None:
    model = SimulatedModel(unreadable=0.2, ties=0.3, noise=1.0, position_bias=1.5)
    async with SimulatedServer(model) as server:
        run = await generate_async(make_config(server, prompts=20))
    summary = summarise(run)
    assert summary.prompts == summary.traces + summary.failures == 20
    assert summary.matchups == summary.decided + sum(summary.abstained.values())
    assert summary.traces == summary.pairs + sum(summary.traces_without_pair.values())
    assert len(run.pairs) == summary.pairs
    assert set(summary.abstained) >= {"tie", "order noise"}
    written = json.loads((run.path / "summary.json").read_text())
    assert written["matchups"] == summary.matchups


async def test_no_pair_comes_from_a_tie_an_unreadable_verdict_or_order_noise(make_config: MakeConfig) -> None:
    model = SimulatedModel(unreadable=0.3, ties=0.4, noise=2.0)
    async with SimulatedServer(model) as server:
        run = await generate_async(make_config(server, prompts=30))
    for trace, conclusion in run.conclusions():
        assert len(conclusion.pairs) == (conclusion.no_pair is None)
        for pair in conclusion.pairs:
            judged = [j for j in conclusion.judgements if {j.a, j.b} == {pair.chosen, pair.rejected}]
            assert [j.abstention for j in judged] == [None], trace.prompt.id
            assert pair.p_chosen >= 0.52


async def test_every_row_of_the_dataset_leads_back_to_its_trace(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=12))
    pairs = run.pairs
    assert len(pairs) == 12
    for row in pairs.itertuples():
        trace = run.trace(row.prompt_id)
        assert row.prompt == [m.model_dump() for m in trace.prompt.messages]
        assert row.chosen == [{"role": "assistant", "content": trace.response(row.chosen_id).text}]
        assert row.rejected == [{"role": "assistant", "content": trace.response(row.rejected_id).text}]
        assert row.constitution_hash == run.constitution.hash
        by_rule = {entry["id"]: entry["p"] for entry in row.principles}
        assert set(by_rule) == {"kind", "short"}


async def test_the_better_answer_is_chosen_when_the_critic_sees_quality(make_config: MakeConfig) -> None:
    model = SimulatedModel(quality_sd=2.0, scale=3.0, position_bias=2.0)
    async with SimulatedServer(model) as server:
        run = await generate_async(make_config(server, prompts=25))
        for trace, conclusion in run.conclusions():
            for pair in conclusion.pairs:
                best, worst = (server.model.quality(trace.response(r).text) for r in (pair.chosen, pair.rejected))
                assert best > worst


async def test_a_second_constitution_over_the_same_prompts_sends_no_sampling_request(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer() as server:
        first = await generate_async(make_config(server))
        server.asked.clear()
        other = make_config(server, constitution="honesty", out=str(tmp_path / "runs" / "two"))
        second = await generate_async(other)
    assert server.count("sample") == 0
    assert server.count("judge") > 0
    for one, two in zip(first.traces(), second.traces(), strict=True):
        assert [r.text for r in one.responses[:2]] == [r.text for r in two.responses[:2]]


async def test_the_same_run_file_asks_the_same_questions(make_config: MakeConfig, tmp_path: Path) -> None:
    asked = []
    for name in ("a", "b"):
        async with SimulatedServer() as server:
            config = make_config(
                server,
                out=str(tmp_path / name / "run"),
                judging={"principles": 1},
                open_prompts=1 if name == "a" else 6,
            )
            await generate_async(config)
            asked.append(Counter(request.key for request in server.asked))
    assert asked[0] == asked[1]


async def test_one_failing_prompt_is_recorded_and_the_run_goes_on_then_a_second_start_finishes_it(
    make_config: MakeConfig,
) -> None:
    fault = Fault(kind="critique", status=400, message="context length exceeded", contains="number 3", times=1)
    async with SimulatedServer(SimulatedModel(faults=(fault,))) as server:
        config = make_config(server)
        run = await generate_async(config)
        assert [f.prompt_id for f in run.failures()] == ["p3"]
        assert "context length exceeded" in run.failures()[0].error
        summary = summarise(run)
        assert (summary.traces, summary.failures) == (5, 1)
        server.asked.clear()
        run = await generate_async(config)
        assert run.failures() == []
        assert summarise(run).traces == 6
        assert server.count("sample") == 0


async def test_faults_that_pass_are_retried_and_leave_no_mark(make_config: MakeConfig) -> None:
    faults = (
        Fault(status=503, after=3, times=2),
        Fault(status=429, after=10, times=1, retry_after="0"),
        Fault(does="disconnect", after=20, times=2),
    )
    async with SimulatedServer(SimulatedModel(faults=faults)) as server:
        run = await generate_async(make_config(server))
    assert run.failures() == []
    assert summarise(run).traces == 6


async def test_a_run_stops_when_every_prompt_fails(make_config: MakeConfig) -> None:
    fault = Fault(kind="sample", status=400, message="no such thing", times=None)
    async with SimulatedServer(SimulatedModel(faults=(fault,))) as server:
        with pytest.raises(RunError, match=r"first 20 prompts all failed.*no such thing"):
            await generate_async(make_config(server, prompts=60, open_prompts=5))
        assert server.count("sample") < 40


@pytest.mark.slow
async def test_a_server_that_goes_away_ends_the_run_and_keeps_what_is_finished(make_config: MakeConfig) -> None:
    server = SimulatedServer(SimulatedModel(latency_s=0.02))
    await server.__aenter__()
    config = make_config(server, prompts=60, open_prompts=4, policy={"url": server.url, "retries": 1})
    job = asyncio.create_task(generate_async(config))
    async with asyncio.timeout(60):
        while server.count("judge") < 400:
            await asyncio.sleep(0.01)
    await server.__aexit__()
    with pytest.raises(EndpointError, match="is the server running"):
        await job
    finished = len(list(Run(config.out).traces()))
    assert finished > 0
    async with SimulatedServer(SimulatedModel(latency_s=0.02), port=server.port):
        run = await generate_async(config)
    assert summarise(run).traces == 60


async def test_a_run_directory_refuses_another_run_and_says_what_differs(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        await generate_async(make_config(server))
        with pytest.raises(RunDirectoryError, match=r"constitution testing v1 .* → honesty v1"):
            await generate_async(make_config(server, constitution="honesty"))
        with pytest.raises(RunDirectoryError, match=r"sampling\.n 2 → 3"):
            await generate_async(make_config(server, sampling={"n": 3, "max_tokens": 64}))
        with pytest.raises(RunDirectoryError, match="prompts"):
            await generate_async(make_config(server, prompts=7))


async def test_thresholds_may_change_without_asking_anything(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(noise=0.5)) as server:
        loose = await generate_async(make_config(server, prompts=20, judging={"min_margin": 0.0}))
        before, loosely = len(server.asked), len(loose.pairs)
        strict = await generate_async(make_config(server, prompts=20, judging={"min_margin": 0.3}))
        assert len(server.asked) == before
    assert 0 < len(strict.pairs) < loosely
    assert strict.pairs.p_chosen.min() >= 0.8


async def test_identical_and_empty_answers_are_not_compared(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(words=0)) as server:
        config = make_config(server, sampling={"n": 4, "temperature": 1.0})
        run = await generate_async(config)
    for trace in run.traces():
        texts = [r.text for r in trace.candidates()]
        assert len(texts) == len(set(texts))
        assert all(texts)


@pytest.mark.slow
async def test_many_candidates_meet_in_a_sparse_design_and_the_pair_was_compared_directly(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer(SimulatedModel(quality_sd=2)) as server:
        run = await generate_async(make_config(server, prompts=10, sampling={"n": 8}))
    for trace, conclusion in run.conclusions():
        assert len(trace.matchups) < 16 * 15 / 2 / 2
        for pair in conclusion.pairs:
            assert {pair.chosen, pair.rejected} in [{m.a, m.b} for m in trace.matchups]
            assert pair.score_chosen == max(conclusion.scores.values())
            assert pair.score_rejected == min(conclusion.scores.values())


async def test_rounds_draw_other_principles_and_each_revision_knows_its_parent(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, revision={"rounds": 2, "candidates": "all"}))
    for trace in run.traces():
        by_parent = {r.id: r.parent for r in trace.responses if r.parent}
        assert by_parent == {"s0.r1": "s0", "s0.r2": "s0.r1", "s1.r1": "s1", "s1.r2": "s1.r1"}
        for sample in ("s0", "s1"):
            first, second = (c for c in trace.critiques if c.of.startswith(sample))
            assert first.principles != second.principles


async def test_the_policy_may_revise_and_the_critic_judges(make_config: MakeConfig) -> None:
    async with (
        SimulatedServer(SimulatedModel(name="pupil")) as pupil,
        SimulatedServer(SimulatedModel(name="master")) as master,
    ):
        models = {"policy": {"url": pupil.url}, "critic": {"url": master.url}}
        run = await generate_async(make_config(pupil, **models, revision={"by": "policy"}))
    assert {asked.kind for asked in pupil.asked} == {"sample", "revise"}
    assert {asked.kind for asked in master.asked} == {"critique", "judge"}
    assert (run.models.policy, run.models.critic) == ("pupil", "master")
    for trace in run.traces():
        assert {r.model for r in trace.responses} == {"pupil"}
        assert {c.model for c in trace.critiques} == {"master"}


@pytest.mark.parametrize("select", ["best-vs-worst", "best-vs-random", "revision-vs-parent"])
async def test_each_selection_pairs_whom_it_says(make_config: MakeConfig, select: str) -> None:
    async with SimulatedServer(SimulatedModel(quality_sd=2)) as server:
        run = await generate_async(make_config(server, prompts=15, sampling={"n": 3}, pairs={"select": select}))
    opponents = set()
    for trace, conclusion in run.conclusions():
        ranked = sorted(conclusion.scores, key=conclusion.scores.__getitem__)
        for pair in conclusion.pairs:
            opponents.add(ranked.index(pair.rejected))
            if select == "best-vs-worst":
                assert (pair.chosen, pair.rejected) == (ranked[-1], ranked[0])
            elif select == "best-vs-random":
                assert pair.chosen == ranked[-1]
            else:
                younger, older = sorted((pair.chosen, pair.rejected), key=len, reverse=True)
                assert trace.response(younger).parent == older
    assert len(run.pairs) >= 10
    assert len(opponents) == 1 if select == "best-vs-worst" else len(opponents) > 1


async def test_a_revision_that_copies_the_question_is_no_candidate(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(revisions_copy=True)) as server:
        run = await generate_async(make_config(server))
    for trace in run.traces():
        assert [(d.response, d.reason) for d in trace.dropped] == [("s0.r1", "copied"), ("s1.r1", "copied")]
        assert {r.id for r in trace.candidates()} == {"s0", "s1"}
    assert list(run.revision_rows()) == []


async def test_a_fence_that_a_reviser_makes_up_around_its_tag_never_reaches_an_answer(make_config: MakeConfig) -> None:
    model = SimulatedModel(revisions_begin="<revised answer TAG>\n\n")
    async with SimulatedServer(model) as server:
        run = await generate_async(make_config(server))
    for trace in run.traces():
        assert len(trace.candidates()) == 4
        assert not [r.id for r in trace.responses if fence_tag(trace.prompt) in r.text or "<" in r.text]


async def test_a_revision_that_still_holds_the_tag_is_no_candidate(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(revisions_begin="The answer TAG says: ")) as server:
        run = await generate_async(make_config(server))
    for trace in run.traces():
        assert [(d.response, d.reason) for d in trace.dropped] == [("s0.r1", "copied"), ("s1.r1", "copied")]
        assert trace.response("s0.r1").copied is not None
    assert summarise(run).dropped == {"copied": 12}
    assert list(run.revision_rows()) == []


async def test_a_revision_of_the_second_round_is_paired_with_the_sample_it_goes_back_to(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer(SimulatedModel(quality_sd=2, revision_gain=2)) as server:
        config = make_config(server, 10, revision={"rounds": 2}, pairs={"select": "revision-vs-parent"})
        run = await generate_async(config)
    assert len(run.pairs) == 10
    for row in run.pairs.itertuples():
        assert {row.chosen_id, row.rejected_id} in ({"s0", "s0.r2"}, {"s1", "s1.r2"})
    assert summarise(run).revision_wins > 0.5
    assert all(row.p_better is not None for row in run.revision_rows())


async def test_changed_thresholds_reach_the_dataset_of_a_run_that_cannot_go_on(make_config: MakeConfig) -> None:
    fault = Fault(kind="sample", status=400, contains="number 3", times=None)
    async with SimulatedServer(SimulatedModel(faults=(fault,))) as server:
        run = await generate_async(make_config(server, prompts=12, judging={"min_margin": 0.0}))
        assert summarise(run).failures == 1
    with pytest.raises(EndpointError):
        await generate_async(make_config(server, prompts=12, judging={"min_margin": 0.4}))
    strict = Run(run.path)
    assert len(strict.pairs) < len(run.pairs)
    rows = json.loads((run.path / "dataset" / "rlaif.json").read_text())["rows"]
    assert rows["preference/train"] + rows["preference/test"] == len(strict.pairs)


async def test_a_finished_run_is_whole_in_its_one_file(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server))
    wal = run.path / "run.sqlite-wal"
    assert not wal.exists() or wal.stat().st_size == 0


async def test_without_judging_there_are_revisions_and_no_pairs(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, judging={"kind": "none"}))
    assert server.count("judge") == 0
    assert len(run.pairs) == 0
    assert summarise(run).traces_without_pair == {"not judged": 6}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"sampling": {"n": 1}, "revision": {"rounds": 0}}, "nothing to compare"),
        ({"pairs": {"select": "revision-vs-parent"}, "revision": {"rounds": 0}}, "needs revision.rounds"),
        ({"judging": {"kind": "none"}, "revision": {"rounds": 0}}, "nothing to do"),
    ],
)
async def test_settings_that_cannot_lead_to_a_pair_are_refused_before_anything_is_asked(
    make_config: MakeConfig, sections: dict[str, object], message: str
) -> None:
    async with SimulatedServer() as server:
        with pytest.raises(ConfigError, match=message):
            await generate_async(make_config(server, **sections))
    assert server.asked == []


async def test_several_urls_of_one_model_share_the_work(make_config: MakeConfig) -> None:
    async with SimulatedServer() as one, SimulatedServer() as two:
        run = await generate_async(make_config(one, prompts=20, policy={"url": [one.url, two.url]}))
    assert summarise(run).traces == 20
    shares = sorted((len(one.asked), len(two.asked)))
    assert shares[0] > 0.3 * sum(shares)


async def test_servers_that_loaded_different_models_are_not_one_model(make_config: MakeConfig) -> None:
    async with SimulatedServer() as one, SimulatedServer(SimulatedModel(seed=5)) as two:
        with pytest.raises(UsageError, match="loaded different models"):
            await generate_async(make_config(one, policy={"url": [one.url, two.url]}))


async def test_generate_works_inside_a_running_event_loop(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        config = make_config(server)
        # A notebook calls it from the loop's own thread; the server lives in this loop, so the call must not block it.
        run = await asyncio.to_thread(generate, config)
    assert len(run.pairs) == 6


def test_generate_works_from_a_notebook_cell(make_config: MakeConfig, tmp_path: Path) -> None:
    finished = []

    async def cell(config) -> None:
        finished.append(generate(config))

    async def serve() -> None:
        async with SimulatedServer() as server:
            await asyncio.to_thread(asyncio.run, cell(make_config(server)))

    asyncio.run(serve())
    assert len(finished[0].pairs) == 6


async def test_a_critic_that_answers_by_position_is_called_unfit(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(position_bias=6.0, label_mass=0.2)) as server:
        run = await generate_async(make_config(server, prompts=10))
    summary = summarise(run)
    assert any("turn with the order" in warning and "shown first" in warning for warning in summary.warnings)
    assert any("20% of its probability" in warning for warning in summary.warnings)
    assert summary.pairs == 0
    assert summary.abstained == {"unreadable": summary.matchups}


async def test_the_api_key_is_written_nowhere(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("RLAIF_API_KEY", secret)
    async with SimulatedServer(SimulatedModel(api_key=secret)) as server:
        run = await generate_async(make_config(server))
    files = [path for path in run.path.parent.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not [path for path in files if secret.encode() in path.read_bytes()]


async def test_as_many_prompts_are_open_as_the_server_takes_requests(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(latency_s=0.3)) as server:
        config = make_config(
            server,
            prompts=200,
            policy={"url": server.url},
            sampling={"n": 1},
            revision={"rounds": 1},
            judging={"kind": "none"},
        )
        await generate_async(config)
        events = [(asked.received, 1) for asked in server.asked] + [
            (asked.answered or 0.0, -1) for asked in server.asked
        ]
    open_at_once = accumulate(change for _, change in sorted(events))
    assert max(open_at_once) > 100  # it begins with 64; nobody chose a number


async def test_a_run_stops_when_many_of_its_prompts_fail_and_goes_on_when_told_so(make_config: MakeConfig) -> None:
    fault = Fault(kind="critique", status=400, message="too long", share=0.3, times=None)
    async with SimulatedServer(SimulatedModel(faults=(fault,))) as server:
        config = make_config(server, prompts=300, sampling={"n": 1}, judging={"kind": "none"}, open_prompts=8)
        with pytest.raises(RunError, match=r"of 2\d\d prompts failed, more than most_failed allows \(5%\).*too long"):
            await generate_async(config)
        run = await generate_async(config.model_copy(update={"most_failed": 1.0}))
    assert summarise(run).open == 0


async def test_a_finished_run_that_is_started_again_writes_nothing_anew_until_something_changed(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server))
        card = run.path / "dataset" / "README.md"
        card.write_text("mine")
        await generate_async(make_config(server))
        assert card.read_text() == "mine"
        await generate_async(make_config(server, judging={"min_margin": 0.3}))
        assert card.read_text() != "mine"
