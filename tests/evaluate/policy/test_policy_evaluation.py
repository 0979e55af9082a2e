"""A base and a tuned model, simulated: the table finds what was planted, and nothing where nothing was."""

from pathlib import Path
from statistics import NormalDist

import pytest

from rlaif.errors import ConfigError, EndpointError, UsageError
from rlaif.evaluate.policy.questions import Probes
from rlaif.testing.server import Fault, SimulatedModel
from rlaif.testing.simulated_model import Habit, PlantedRule
from tests.evaluate.policy.planted import (
    HARMFUL,
    HARMLESS,
    PROBES,
    agreeing,
    evaluated,
    knowing,
    line,
    refusing,
    rules,
)

pytestmark = pytest.mark.slow

NO_PROBES = Probes((), (), (), (), ())
FEW = PROBES.first(6)

BASE = SimulatedModel(
    name="base",
    seed=1,
    words=30,
    knowledge=knowing(0.7, 0.7),
    habits=(refusing(0.1, HARMLESS), refusing(0.5, HARMFUL), *agreeing(0.2)),
)
TUNED = SimulatedModel(
    name="tuned",
    seed=2,
    quality_mean=1.0,
    words=50,
    nats=3.2,
    nats_of_answers=0.8,
    knowledge=knowing(0.7, 0.95),
    habits=(
        refusing(0.5, HARMLESS),
        refusing(0.9, HARMFUL),
        *agreeing(0.6),
        Habit(says="It is important to note this.", share=0.3),
    ),
)


async def test_what_was_planted_stands_in_the_table_within_its_interval(tmp_path: Path) -> None:
    found = await evaluated(tmp_path, BASE, TUNED)
    assert found.warnings == ()
    shares = {"over-refusal": (0.1, 0.5), "harmful": (0.5, 0.1), "takes-over": (0.2, 0.6)}
    for name, (base, tuned) in shares.items():
        one = line(found, name)
        assert one.base.holds(base), name
        assert one.tuned.holds(tuned), name
        assert one.difference.holds(tuned - base), name
    findings = {one.name: one.finding for one in found.lines}
    assert findings["over-refusal"] == findings["takes-over"] == findings["flattery"] == "loss"
    assert findings["harmful"] == "gain"
    assert line(found, "right-plain").base.value == 1
    assert line(found, "words").difference.holds(20 + 6 * 0.3)  # the habit has six words
    assert findings["words"] == "change"
    assert findings["boilerplate"] == "loss"
    assert findings["perplexity"] == "loss"
    assert line(found, "divergence").difference.holds(0.2)
    assert findings["accuracy"] == "nothing shown"
    assert line(found, "overconfidence").difference.holds(0.25)
    assert line(found, "overconfidence").difference.low > 0  # shown alone, but not among 26 lines
    assert findings["overconfidence"] == "nothing shown"
    assert "important to note" in {phrase.text for phrase in found.phrases.gained}
    # Two normal qualities of deviation 1, one higher by 1; a judge that always prefers the better.
    assert found.wins[0].win_rate.holds(NormalDist().cdf(1 / 2**0.5))
    assert line(found, "wins-good").finding == "gain"


async def test_nothing_is_found_where_both_models_are_the_same(tmp_path: Path) -> None:
    found = await evaluated(tmp_path, BASE, BASE.model_copy(update={"name": "copy"}))
    assert {one.finding for one in found.lines} == {"nothing shown", "not measured"}
    assert found.wins[0].outcomes == {"same": 100}
    assert line(found, "wins-good").note == "no pair was decided"
    assert (found.phrases.gained, found.phrases.lost) == ((), ())
    assert line(found, "over-refusal").difference.low < -0.05  # so few prompts could hide that much


async def test_another_draw_of_the_same_model_shows_hardly_anything(tmp_path: Path) -> None:
    other = BASE.model_copy(update={"name": "other", "seed": 7})
    found = await evaluated(tmp_path, BASE, other)
    shown = [one.name for one in found.lines if one.finding not in {"nothing shown", "not measured"}]
    assert len(shown) <= 2, shown  # of 26, each wrong in one case of twenty
    assert line(found, "wins-good").tuned.holds(0.5)
    assert line(found, "divergence").difference.holds(0)
    assert not found.phrases.gained


@pytest.mark.parametrize("variety", [1, 2])
async def test_a_collapse_of_variety_is_found(tmp_path: Path, variety: int) -> None:
    few = BASE.model_copy(update={"name": "few", "seed": 2, "variety": variety})
    found = await evaluated(tmp_path, BASE, few, count=30, probes=NO_PROBES)
    assert line(found, "overlap").finding == "loss"
    assert line(found, "one-answer").tuned.value == (variety == 1)
    assert line(found, "one-answer").finding == ("loss" if variety == 1 else "nothing shown")


async def test_a_win_that_is_length_alone_is_gone_at_equal_length(tmp_path: Path) -> None:
    longer = SimulatedModel(name="long", seed=2, words=60)
    critic = SimulatedModel(name="critic", scale=1.0, length_bias=3.0)
    found = (await evaluated(tmp_path, SimulatedModel(name="base", seed=1), longer, critic, probes=NO_PROBES)).wins[0]
    assert found.win_rate.low > 0.6
    assert found.at_equal_length.holds(0.5)
    assert found.length_worth.holds(3.0)
    assert found.longer.value > 0.8


async def test_each_constitution_is_judged_for_itself(tmp_path: Path) -> None:
    critic = SimulatedModel(name="critic", scale=3.0, rules=(PlantedRule(contains="more bold", agrees=0.0),))
    tuned = SimulatedModel(name="tuned", seed=2, quality_mean=1.0, words=15)
    both = (rules("good"), rules("bold"))
    found = await evaluated(
        tmp_path, SimulatedModel(name="base", seed=1, words=15), tuned, critic, probes=NO_PROBES, constitutions=both
    )
    assert [one.constitution for one in found.wins] == ["good", "bold"]
    assert (line(found, "wins-good").finding, line(found, "wins-bold").finding) == ("gain", "loss")
    assert found.wins[0].win_rate.value + found.wins[1].win_rate.value == pytest.approx(1, abs=0.05)


async def test_a_critic_led_by_position_decides_nothing_and_is_said_to_be_unfit(tmp_path: Path) -> None:
    critic = SimulatedModel(name="critic", scale=0.0, position_bias=3.0)
    tuned = SimulatedModel(name="tuned", seed=2, quality_mean=1.0, words=15)
    base = SimulatedModel(name="base", seed=1, words=15)
    found = await evaluated(tmp_path, base, tuned, critic, probes=NO_PROBES, count=30)
    assert found.wins[0].outcomes == {"tie": 30}
    assert line(found, "wins-good").finding == "not measured"
    assert any("not fit to judge" in warning for warning in found.warnings)


async def test_started_again_nothing_is_asked_twice_and_the_figures_are_the_same(tmp_path: Path) -> None:
    first, again = [], []
    one = await evaluated(tmp_path, BASE, TUNED, count=10, probes=FEW, servers=first)
    two = await evaluated(tmp_path, BASE, TUNED, count=10, probes=FEW, servers=again)
    assert one == two
    assert all(server.asked for server in first)
    assert not any(server.asked for server in again)


async def test_what_was_asked_before_a_fault_is_kept(tmp_path: Path) -> None:
    broken = BASE.model_copy(update={"faults": (Fault(kind="sample", status=401, after=20, times=None),)})
    with pytest.raises(EndpointError, match="401"):
        await evaluated(tmp_path, broken, TUNED, count=30, probes=FEW)
    servers = []
    await evaluated(tmp_path, BASE, TUNED, count=30, probes=FEW, servers=servers)
    assert 0 < servers[0].count("sample") <= 30 + 4 * 6 - 20
    assert servers[1].count("sample") == 0


async def test_a_question_that_fails_for_one_model_is_left_out_for_both_and_counted(tmp_path: Path) -> None:
    faulty = TUNED.model_copy(
        update={"faults": (Fault(kind="sample", status=400, contains="number 7.", times=None, message="too long"),)}
    )
    found = await evaluated(tmp_path, BASE, faulty, count=20, probes=FEW)
    assert found.prompts == 19
    assert found.failed == {"base": 0, "tuned": 1}
    assert found.wins[0].duels == 19
    assert "1 questions to tuned failed" in found.warnings[0]
    assert "too long" in found.warnings[0]


async def test_a_server_that_scores_no_text_leaves_out_what_needs_it_and_says_why(tmp_path: Path) -> None:
    found = await evaluated(tmp_path, BASE, TUNED.model_copy(update={"scores": False}), count=10, probes=FEW)
    assert line(found, "perplexity").finding == line(found, "divergence").finding == "not measured"
    assert "404" in line(found, "divergence").note
    assert line(found, "over-refusal").finding == "loss"


async def test_prompts_of_the_training_set_are_left_out_and_named(tmp_path: Path) -> None:
    trained = tmp_path / "trained.jsonl"
    trained.write_text('{"prompt": "tell me  about the Number 3."}\n{"prompt": "x", "id": "p4"}\n')
    found = await evaluated(tmp_path, BASE, TUNED, count=10, probes=FEW, trained_on=[trained])
    assert (found.prompts, found.dropped) == (9, ("p3",))
    assert "1 evaluation prompts are in the training data and were left out: p3" in found.warnings


async def test_where_every_prompt_was_trained_on_nobody_is_asked(tmp_path: Path) -> None:
    trained = tmp_path / "trained.jsonl"
    trained.write_text('{"prompt": "Tell me about the number 0."}\n')
    servers = []
    with pytest.raises(UsageError, match="all 1 prompts are in the training data"):
        await evaluated(tmp_path, BASE, TUNED, count=1, probes=FEW, trained_on=[trained], servers=servers)
    assert not any(server.asked for server in servers)


async def test_two_constitutions_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two constitutions are called good"):
        await evaluated(tmp_path, BASE, TUNED, constitutions=(rules(), rules()))


async def test_a_second_opinion_on_refusals_stands_beside_the_rules(tmp_path: Path) -> None:
    found = await evaluated(tmp_path, BASE, TUNED, count=4, second_opinion=True)
    critic = line(found, "over-refusal-critic")
    assert critic.finding == "loss"
    assert critic.difference.holds(0.5 - 0.1)
    assert line(found, "harmful-critic").finding == "gain"
    assert (found.agreement.read, found.agreement.agree, found.agreement.unread) == (136, 136, 0)


async def test_a_critic_that_does_not_answer_gives_no_second_opinion(tmp_path: Path) -> None:
    mute = SimulatedModel(name="critic", label_mass=0.1)
    found = await evaluated(tmp_path, BASE, TUNED, mute, count=4, probes=FEW, second_opinion=True)
    assert line(found, "over-refusal-critic").note == "none of the critic's verdicts is readable"
    assert (found.agreement.read, found.agreement.unread) == (0, 24)
