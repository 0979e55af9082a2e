"""Several judges in one run, and what is corrected of it, from the run file to the dataset and its card."""

import json
import math
from pathlib import Path

import pytest
from datasets import load_dataset

from rlaif.errors import ConfigError, RunDirectoryError
from rlaif.generation import generate_async
from rlaif.preferences.recalibration import FittedOn, Recalibrator
from rlaif.runs.calibrate import words_of
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise, warnings_of
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

ALL = ["pairwise-logprob", "pairwise-reasoned", "rating", "listwise", "reward"]
FREE = {"min_margin": 0.0, "allow_order_noise": True}


def logit(p: float) -> float:
    return math.log(p / (1 - p))


async def test_all_kinds_at_once_make_one_dataset_with_everybodys_voice(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(noise=0.3)) as server:
        config = make_config(server, judging={"judges": ALL, **FREE})
        run = await generate_async(config)
        asked = len(server.asked)
        again = await generate_async(config)
        assert len(server.asked) == asked
    summary = summarise(run)
    assert summarise(again).model_dump(exclude={"session"}) == summary.model_dump(exclude={"session"})
    assert summary.panel is not None
    assert [member.judge for member in summary.panel.members] == ALL
    assert all(member.read == summary.matchups for member in summary.panel.members[:1])
    assert (
        summary.notes[0] == "the policy judges its own responses: models tend to prefer text that resembles their own"
    )
    card = (run.path / "dataset" / "README.md").read_text()
    for words in (
        "reasons first; the verdict is read from its last line",
        "rates each response (instruction-following",
        "raw score",
    ):
        assert words in card
    rows = load_dataset(str(run.path / "dataset"), "preference", split="train")
    assert {"rating:honesty", "reward:reward", "kind"} <= {p["id"] for p in rows[0]["principles"]}
    assert all(row["sd_judges"] >= 0 for row in rows)
    assert rows[0]["p_raw"] == rows[0]["p_chosen"]


async def test_two_critics_are_two_models_and_a_stranger_cannot_take_a_seat(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server, SimulatedServer(SimulatedModel(name="qwen-judge", scale=-1.0)) as other:
        second = {"kind": "pairwise-logprob", "name": "second", "critic": {"url": [other.url]}}
        judging = {"judges": ["pairwise-logprob", second], **FREE}
        run = await generate_async(make_config(server, judging=judging))
        assert run.models.judges == {"second": "qwen-judge"}
        assert other.count("judge") == server.count("judge") > 0
        panel = summarise(run).panel
        assert panel is not None
        assert panel.pairs[0].same.value == 0.0
        assert panel.pairs[0].correlation.value == pytest.approx(-1.0)
        async with SimulatedServer(SimulatedModel(name="qwen-judge", scale=3.0)) as stranger:
            (run.path / "run.sqlite").unlink()
            second["critic"] = {"url": [stranger.url]}
            with pytest.raises(RunDirectoryError):
                await generate_async(make_config(server, judging=judging))


async def test_another_judge_in_the_same_directory_is_refused(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        await generate_async(make_config(server, judging={"judges": ["rating"], **FREE}))
        for judges in ([{"kind": "rating", "aspects": "overall"}], ["listwise"], []):
            with pytest.raises(RunDirectoryError, match="judging"):
                await generate_async(make_config(server, judging={"judges": judges, **FREE}))


def fitted(run: Run, **source: object) -> Recalibrator:
    known = {
        "gold": "gold.jsonl",
        "gold_hash": "g",
        "critic": run.models.critic,
        "constitution": "testing",
        "constitution_hash": run.manifest.constitution_hash,
        "asked": run.config.judging.asked(),
        "identities": run.judge_identities,
        "words": words_of(run),
    }
    logits = tuple(2 * value for value in (0.5, 1.0, 1.5, -0.5, 2.0, -1.0)) * 20
    return Recalibrator(
        kind="temperature", slope=0.5, items=120, fitted_on=FittedOn.model_validate(known | source), logits=logits
    )


@pytest.mark.parametrize("kept", [True, False], ids=["fitted again", "of an earlier version"])
async def test_a_recalibration_is_applied_openly_and_asks_nothing(
    make_config: MakeConfig, tmp_path: Path, kept: bool
) -> None:
    file = tmp_path / "recalibration.json"
    async with SimulatedServer(SimulatedModel(scale=2.0)) as server:
        run = await generate_async(make_config(server, 30, judging=FREE))
        before = {(p.prompt_id, p.chosen): p for _, c in run.conclusions() for p in c.pairs}
        asked = len(server.asked)
        recalibrator = fitted(run)
        file.write_text((recalibrator if kept else recalibrator.model_copy(update={"logits": ()})).model_dump_json())
        run = await generate_async(make_config(server, 30, judging={**FREE, "recalibration": str(file)}))
        assert len(server.asked) == asked
    after = {(p.prompt_id, p.chosen): p for _, c in run.conclusions() for p in c.pairs}
    assert after.keys() == before.keys()
    for key, pair in after.items():
        assert pair.p_raw == pytest.approx(before[key].p_raw)
        assert pair.p_chosen_from == ("posterior" if kept else "matchup")
        assert 0.5 < pair.p_chosen < pair.p_raw
    card = (run.path / "dataset" / "README.md").read_text()
    slope = json.loads((run.path / "summary.json").read_text())["corrected"]["recalibrator"]["slope"]
    assert slope == 0.5 if not kept else 0.2 < slope < 0.9
    assert f"differences times {slope:.2f}, fitted on 120 labelled items of gold.jsonl (hash g)" in card
    assert ("is of an earlier version" in card) != kept


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"critic": "somebody-else"}, "what differs: the critic: somebody-else, in this run simulated"),
        ({"constitution_hash": "0123"}, "what differs: the constitution: 0123, in this run"),
        ({"asked": {"orders": "one"}}, "what differs: the judges:"),
        ({"identities": {"pairwise-logprob": "simulated<another>"}}, "what differs: the models:"),
        ({"words": {"compare": "0123"}}, "what differs: the templates:"),
    ],
)
async def test_a_recalibration_for_something_else_is_refused(
    make_config: MakeConfig, tmp_path: Path, source: dict[str, object], words: str
) -> None:
    file = tmp_path / "recalibration.json"
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, judging=FREE))
        file.write_text(fitted(run, **source).model_dump_json())
        with pytest.raises(ConfigError, match=words):
            await generate_async(make_config(server, judging={**FREE, "recalibration": str(file)}))


async def test_a_length_effect_that_is_known_is_taken_out_and_one_of_the_run_itself_is_refused(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer(SimulatedModel(length_bias=2.0, words=30)) as server:
        given = await generate_async(make_config(server, 10, judging={**FREE, "length_effect": 2.0}))
        with pytest.raises(ConfigError, match=r"length_effect: run is refused.*rlaif evaluate shortcuts"):
            await generate_async(make_config(server, 10, judging={**FREE, "length_effect": "run"}))
    assert summarise(given).corrected.length_effect == 2.0
    for pair in (pair for _, concluded in given.conclusions() for pair in concluded.pairs):
        assert pair.subtracted == pytest.approx(logit(pair.p_raw) - logit(pair.p_chosen))
    assert "+2.00 logits per unit of log length ratio subtracted" in (given.path / "dataset" / "README.md").read_text()


async def test_a_run_of_an_earlier_version_with_its_own_length_effect_opens_without_it(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(length_bias=2.0)) as server:
        made = await generate_async(make_config(server, 3, judging=FREE))
    settings = made.path / "run.yaml"
    settings.write_text(settings.read_text().replace("length_effect: null", "length_effect: run"))
    summary = summarise(Run(made.path))
    assert summary.corrected.length_effect is None
    assert any("length_effect: run is not applied any more" in note for note in summary.notes)


@pytest.mark.parametrize("setting", [{}, {"recalibration": "noise"}], ids=["by default", "as it was asked for once"])
async def test_noise_is_measured_and_taken_out_of_p(make_config: MakeConfig, setting: dict[str, str]) -> None:
    async with SimulatedServer(SimulatedModel(noise=2.0)) as server:
        run = await generate_async(make_config(server, 30, judging={**FREE, **setting}))
    noise = summarise(run).corrected.noise
    assert noise is not None
    assert noise.noise == pytest.approx(1.0, rel=0.4)  # both orders and two principles of weights 2 and 1 are averaged
    pairs = [pair for _, concluded in run.conclusions() for pair in concluded.pairs]
    assert sum(pair.p_chosen for pair in pairs) < sum(pair.p_raw for pair in pairs)
    card = (run.path / "dataset" / "README.md").read_text()
    assert "noise: p_chosen is the posterior given all matchups of the prompt" in card
    assert "it is not calibrated against people" in card


async def test_a_judge_that_is_asked_again_shows_errors_that_both_orders_share(make_config: MakeConfig) -> None:
    judges = ["pairwise-logprob", {"kind": "pairwise-logprob", "again": True}]
    two = {"sampling": {"n": 2, "max_tokens": 60}, "revision": {"rounds": 0}}
    async with SimulatedServer(SimulatedModel(shared_noise=2.0)) as server:
        once = await generate_async(make_config(server, 60, judging=FREE, **two))
        out = str(once.path.with_name("twice"))
        twice = await generate_async(make_config(server, 60, judging={"judges": judges, **FREE}, out=out, **two))
    noise, seen = summarise(once).corrected.noise, summarise(twice).corrected.noise
    assert noise is not None
    assert seen is not None
    assert (noise.source, seen.source) == ("orders", "judges")
    assert noise.noise < 0.01
    # Two principles of weights 2 and 1, each asked in two ways: 4 * 5/9 / 2.
    assert seen.noise == pytest.approx(4 * 5 / 9 / 2, rel=0.4)
    assert any(warning.startswith("the judges disagree more than their orders") for warning in warnings_of(twice))
    assert "compare_again" in twice.manifest.templates
    assert "which does not show errors that both share" in (once.path / "dataset" / "README.md").read_text()


async def test_programs_decide_as_before_and_few_matchups_leave_p_uncalibrated(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(noise=2.0)) as server:
        run = await generate_async(make_config(server, 3, judging=FREE))
    pairs = [pair for _, concluded in run.conclusions() for pair in concluded.pairs]
    assert {(pair.p_chosen_from, pair.p_chosen == pair.p_raw) for pair in pairs} == {("matchup", True)}
    assert any("not calibrated for noise: there are fewer than 50 degrees" in note for note in summarise(run).notes)


async def test_a_critic_that_prefers_any_revision_is_warned_of(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(revision_preference=5.0, revision_gain=0.0)) as server:
        run = await generate_async(make_config(server, 12, judging=FREE))
    assert any(warning.startswith("revisions win 24 of 24 matchups") for warning in warnings_of(run))


async def test_rows_and_card_name_the_models_that_judged_and_say_where_the_rules_had_no_say(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer() as server, SimulatedServer(SimulatedModel(name="elsewhere")) as other:
        judges = [{"kind": "rating", "critic": {"url": [other.url]}}]
        run = await generate_async(make_config(server, judging={"judges": judges, **FREE}))
    assert {row.critic for row in run.preference_rows()} == {"elsewhere"}
    assert all(trace.judged_by == () for trace in run.traces())
    card = (run.path / "dataset" / "README.md").read_text()
    assert "judged by **elsewhere**" in card
    assert "These labels do not depend on the constitution" in card


async def test_a_run_keeps_the_recalibration_it_was_made_with(make_config: MakeConfig, tmp_path: Path) -> None:
    file = tmp_path / "recalibration.json"
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, judging=FREE))
        file.write_text(fitted(run).model_dump_json())
        made = await generate_async(make_config(server, judging={**FREE, "recalibration": str(file)}))
        file.unlink()
        with pytest.raises(ConfigError, match=r"cannot be read"):
            await generate_async(
                make_config(server, out=str(tmp_path / "new"), judging={**FREE, "recalibration": str(file)})
            )
    assert summarise(Run(made.path)).corrected.recalibrator is not None


async def test_ratings_that_answer_nothing_are_called_unfit(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(label_mass=0.05)) as server:
        run = await generate_async(make_config(server, judging={"judges": ["rating"]}))
    (warning,) = summarise(run).warnings
    assert (
        warning
        == "this critic is not fit to judge: only 5% of what it was asked for came back as a number or a ranking"
    )
