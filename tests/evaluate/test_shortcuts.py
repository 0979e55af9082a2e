"""`rlaif evaluate shortcuts`: planted effects are found and taken out; what cannot be measured is refused."""

import json
import math
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from rlaif.errors import ConfigError
from rlaif.evaluate.shortcut_effects import Shift, effects_of
from rlaif.evaluate.shortcuts import measure_shortcuts, shortcut_test
from rlaif.generation import generate_async
from rlaif.preferences.shortcuts import Effect
from rlaif.runs.directory import write_json
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.stats.estimates import Estimate
from rlaif.stats.log_odds import sigmoid
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving
from tests.conftest import MakeConfig

PLANTED = {"markdown": 0.6, "flattery": 0.5, "hedge": -0.4, "authority": 0.7, "answer": 1.0}
LENGTH = 0.8
BIASED = SimulatedModel(shortcuts=PLANTED, length_bias=LENGTH, features={"flattery": 0.5, "hedge": 0.5}, words=15)
FREE = {"min_margin": 0.0, "allow_order_noise": True}


@pytest.fixture
def make_config(make_config: MakeConfig) -> MakeConfig:
    """Describe runs of two samples, without revisions."""
    return partial(make_config, revision={"rounds": 0})


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


def test_planted_effects_are_found_and_p_is_right_without_them(
    rlaif: Rlaif, make_config: MakeConfig, tmp_path: Path
) -> None:
    with serving(SimulatedServer(BIASED)) as server:
        config = make_config(server, 40, judging=FREE)
        (tmp_path / "run.json").write_text(json.dumps(config.model_dump(mode="json")))
        assert rlaif("generate", "run.json").code == 0
        before, asked = Run("runs/one").pairs, len(server.asked)
        plan = json.loads(rlaif("evaluate", "shortcuts", "runs/one", "--prompts", "30", "--dry-run", "--json").out)
        assert len(server.asked) == asked
        said = rlaif("evaluate", "shortcuts", "runs/one", "--prompts", "30")
        assert said.code == 0, said.err
        assert len(server.asked) == asked + plan["requests"]
        again = rlaif("evaluate", "shortcuts", "runs/one", "--prompts", "30", "--json")
        assert len(server.asked) == asked + plan["requests"]
        assert rlaif("generate", "runs/one", "--shortcuts", "run").code == 0
        assert len(server.asked) == asked + plan["requests"]
    found = json.loads(again.out)
    assert found == json.loads(Path("runs/one/shortcuts.json").read_text())
    effects = {effect["edit"]: effect for effect in found["effects"]}
    for edit, planted in {"padding": LENGTH, **PLANTED}.items():
        assert effects[edit]["effect"]["value"] == pytest.approx(planted, abs=0.01), edit
        assert effects[edit]["moved"] == effects[edit]["effect"]["prompts"]
    assert effects["flattery"]["change"]["value"] > PLANTED["flattery"] + 0.1  # the sentence is also longer
    assert "rlaif generate runs/one --shortcuts run" in said.out
    corrected, model = Run("runs/one").pairs, SimulatedModel()
    assert not before.subtracted.notna().any()
    for row in corrected.itertuples():
        quality = [model.quality(turns[-1]["content"]) for turns in (row.chosen, row.rejected)]
        assert row.subtracted == pytest.approx(
            math.log(row.p_raw / (1 - row.p_raw)) - (quality[0] - quality[1]), abs=0.02
        )
        assert row.p_chosen == pytest.approx(sigmoid(quality[0] - quality[1]), abs=0.01)
    card = Path("runs/one/dataset/README.md").read_text()
    assert "Corrected: shortcuts: +0.8" in card
    assert "measured by editing responses of runs/one" in card


async def test_both_sides_are_edited_equally_often_and_every_edit_meets_the_same_prompts(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer(SimulatedModel(words=15)) as server:
        run = await generate_async(make_config(server, 40, judging=FREE))
    planned = shortcut_test(run, prompts=20).planned
    assert Counter((one.edit, one.side) for one in planned) == Counter(
        {(edit, side): 10 for edit in ("padding", *PLANTED) for side in "ab"}
    )
    assert len({one.of.key for one in planned}) == 20


async def test_an_effect_that_is_not_shown_is_not_subtracted_and_that_is_said(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(shortcuts={"answer": 1.0})) as server:
        run = await generate_async(make_config(server, 30, judging=FREE))
        test = shortcut_test(run, ("hedge", "answer"), prompts=30)
        effects = (await measure_shortcuts(test)).effects
        write_json(run.path / "shortcuts.json", effects.model_dump(mode="json"))
        run = await generate_async(make_config(server, 30, judging={**FREE, "shortcuts": "run"}))
    assert [effect.shown for effect in effects.effects] == [False, True]
    card = (run.path / "dataset" / "README.md").read_text()
    assert "per ending such as `Answer: A` subtracted" in card
    assert "not shown, so not subtracted: hedge" in card


async def test_before_anything_is_measured_a_run_says_what_to_do(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, 2, judging={**FREE, "shortcuts": "run"}))
    assert any("run `rlaif evaluate shortcuts" in note for note in summarise(run).notes)


async def test_effects_of_another_run_are_kept_and_those_of_other_judges_refused(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer(BIASED) as server:
        run = await generate_async(make_config(server, 40, judging=FREE))
        measured = await measure_shortcuts(shortcut_test(run, ("flattery",), prompts=40))
        file = tmp_path / "effects.json"
        file.write_text(measured.effects.model_dump_json())
        named = {**FREE, "shortcuts": str(file)}
        other = await generate_async(make_config(server, 8, out=str(tmp_path / "other"), judging=named))
        file.unlink()
        assert Run(other.path).correction.what.shortcuts[0].shown
        file.write_text(measured.effects.model_dump_json())
        with pytest.raises(ConfigError, match="measured on other judges"):
            out = str(tmp_path / "third")
            await generate_async(make_config(server, 8, out=out, judging={**named, "judges": ["pairwise-reasoned"]}))


@pytest.mark.parametrize("judging", [{"judges": ["rating"]}, {"orders": "one"}], ids=["ratings", "one order"])
async def test_ratings_and_one_order_are_measured_as_the_run_asks(
    make_config: MakeConfig, judging: dict[str, object]
) -> None:
    async with SimulatedServer(SimulatedModel(shortcuts={"flattery": 1.0}, position_bias=2.0)) as server:
        run = await generate_async(make_config(server, 24, judging={**FREE, **judging}))
        measured = await measure_shortcuts(shortcut_test(run, ("flattery",), prompts=24))
    (effect,) = measured.effects.effects
    assert effect.shown
    assert effect.effect.value == pytest.approx(1.0, abs=0.4 if "judges" in judging else 1e-6)


def test_what_cannot_be_measured_is_refused_in_one_line(rlaif: Rlaif, make_config: MakeConfig, tmp_path: Path) -> None:
    assert rlaif("evaluate", "shortcuts", "runs/none").complains(2, "no such folder")
    with serving(SimulatedServer()) as server, serving(SimulatedServer(SimulatedModel(scale=2.0))) as stranger:
        for name, judges in (("one", ["pairwise-logprob"]), ("two", ["pairwise-logprob", "listwise"])):
            config = make_config(server, 4, out=str(tmp_path / "runs" / name), judging={"judges": judges})
            (tmp_path / "run.json").write_text(json.dumps(config.model_dump(mode="json")))
            assert rlaif("generate", "run.json").code == 0
        command = ("evaluate", "shortcuts", "runs/one")
        assert rlaif(*command, "--edits", "padding,bold").complains(2, "bold is not one of padding, markdown")
        assert rlaif(*command, "--critic", stranger.url).complains(2, "was judged by", "give the run's critic")
        assert rlaif("evaluate", "shortcuts", "runs/two").complains(2, "a listwise judge sees all candidates")
        assert not Path("runs/one/shortcuts.json").exists()
        assert "from 20 prompts on" in rlaif(*command).out


def test_nothing_is_written_where_many_requests_fail(rlaif: Rlaif, make_config: MakeConfig, tmp_path: Path) -> None:
    fault = Fault(kind="judge", contains="Answer: A", status=400, times=None)
    with serving(SimulatedServer(SimulatedModel(faults=(fault,)))) as server:
        config = make_config(server, 4)
        (tmp_path / "run.json").write_text(json.dumps(config.model_dump(mode="json")))
        assert rlaif("generate", "run.json").code == 0
        said = rlaif("evaluate", "shortcuts", "runs/one")
    assert said.complains(1, "4 of 28 questions failed", "asks the failed ones again")
    assert not Path("runs/one/shortcuts.json").exists()


def test_an_effect_needs_twenty_prompts_that_the_edit_moved() -> None:
    def measured(moved: int, still: int) -> Effect:
        shifts = [Shift(f"p{n}", "hedge", 1.0 + n % 3, {"hedge": 1.0}) for n in range(moved)]
        shifts += [Shift(f"q{n}", "hedge", 0.0, {"hedge": 1.0}) for n in range(still)]
        return effects_of(shifts, ("hedge",))[0]

    assert measured(20, 0).shown
    assert measured(19, 0).why_not_shown == "the edit moved 19 prompts, fewer than 20"
    assert measured(0, 30).why_not_shown == "the edit moved 0 prompts, fewer than 20"
    assert effects_of([], ("hedge",))[0].effect == Estimate(value=None)
