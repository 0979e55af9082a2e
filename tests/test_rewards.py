"""Rules as a reward: calibrated probabilities of single responses, for GRPO and over HTTP; never 0 for unknown."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web

import rlaif
from benchmarks.worlds import calibration_error
from rlaif.cli.serve_reward import make_app
from rlaif.errors import RlaifError
from rlaif.rewards import RewardFunction, Rewards, open_rewards
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.command import serving

RULES = """name: two
version: 1
description: Two rules.
principles:
  - {id: good, compare: "Which is better?", satisfies: that it is good, compare_only: true, weight: 3}
  - {id: short, check: {words: {max: 12}}}
"""
MODEL = SimulatedModel(yes_bias=1.5, noise=0.1)
GOOD, BAD = "Yes it is (quality +3.0000).", "No it is not (quality -3.0000)."


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(MODEL)) as running:
        yield running


@pytest.fixture
def rules(tmp_path: Path) -> str:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return str(tmp_path / "rules.yaml")


@pytest.fixture
def reward(rules: str, server: SimulatedServer, tmp_path: Path) -> Iterator[RewardFunction]:
    made = rlaif.reward(rules, server.url, cache=tmp_path / "r.sqlite")
    yield made
    made.close()


def test_a_reward_is_the_weighted_mean_of_probabilities_and_checks(reward: RewardFunction) -> None:
    long = f"{'word ' * 12}{GOOD}"
    found = reward(prompts=["Q?"] * 3, completions=[GOOD, BAD, long], completion_ids=[[1]] * 3)
    p = 1 / (1 + np.exp(-3))
    assert found == pytest.approx([(3 * p + 1) / 4, (3 * (1 - p) + 1) / 4, 3 * p / 4], abs=0.02)
    turns = reward([[{"role": "user", "content": "Q?"}]], [[{"role": "assistant", "content": GOOD}]])
    assert turns == pytest.approx(found[:1])
    assert reward.__name__ == "two"


def test_an_essential_item_of_a_rubric_caps_the_reward(reward: RewardFunction, server: SimulatedServer) -> None:
    rubric = [[{"text": "that it names the sea", "essential": True, "weight": 0.5}], ["that it is kind"], None]
    found = reward(["Q?"] * 3, [BAD] * 3, rubric=rubric)
    p = 1 / (1 + np.exp(3))
    assert found == pytest.approx([p, (3 * p + 1 + p) / 5, (3 * p + 1) / 4], abs=0.02)


def test_probabilities_of_single_responses_are_calibrated_whatever_the_bias_to_yes(
    reward: RewardFunction, rules: str
) -> None:
    drawn = np.random.default_rng(0).normal(0, 1.5, 300)
    texts = [f"Text (quality {quality:+.4f})." for quality in drawn]
    found = np.array(reward(["Q?"] * 300, texts), dtype=float)
    p = (4 * found - 1) / 3  # without the check, which all pass
    truth = 1 / (1 + np.exp(-drawn))
    confidence = np.maximum(p, 1 - p)
    assert calibration_error(confidence, np.where(p > 0.5, truth, 1 - truth)) < 0.02


@pytest.mark.parametrize(
    "broken",
    [SimulatedModel(label_mass=0.1), SimulatedModel(faults=(Fault(kind="judge", status=400, times=None),))],
    ids=["unreadable", "refused"],
)
def test_what_could_not_be_judged_has_no_reward(broken: SimulatedModel, rules: str, tmp_path: Path) -> None:
    with serving(SimulatedServer(broken)) as server:
        made = rlaif.reward(rules, {"url": server.url, "retries": 0}, cache=tmp_path / "broken.sqlite")
        assert made(["Q?"], [GOOD]) == [None]
        made.close()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"completions": ["a", "b"]}, "1 prompts, 2 completions"),
        ({"rubric": ["be good"]}, "row 1: a rubric must be a list"),
        (
            {"rubric": [[{"text": "x", "weigth": 2}]]},
            "row 1: item 1 of the rubric: weigth: unknown key `weigth`; did you mean `weight`",
        ),
    ],
)
def test_bad_rows_are_one_line(columns: dict[str, list[object]], says: str, reward: RewardFunction) -> None:
    with pytest.raises(RlaifError, match=re.escape(says)) as caught:
        reward(**({"prompts": ["Q?"], "completions": [GOOD]} | columns))
    assert "\n" not in str(caught.value)


@pytest.fixture
async def endpoint(rules: str, server: SimulatedServer, tmp_path: Path) -> AsyncIterator[str]:
    rewards: Rewards = open_rewards(rules, server.url, tmp_path / "http.sqlite")
    runner = web.AppRunner(make_app(rewards, "secret"))
    async with rewards:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


async def test_the_endpoint_says_what_the_function_says_and_why(endpoint: str) -> None:
    head = {"Authorization": "Bearer secret"}
    async with aiohttp.ClientSession(endpoint) as session:
        asked = {"prompts": ["Q?"], "completions": [GOOD]}
        async with session.post("/reward", json=asked, headers=head) as reply:
            found = await reply.json()
            assert (reply.status, found["rewards"]) == (200, [found["results"][0]["reward"]])
            assert found["results"][0]["by_rule"]["short"] == 1
        for body, status, says in [
            (json.dumps(asked | {"completions": []}), 400, "1 prompts, 0 completions"),
            (json.dumps({"prompts": ["Q?"]}), 400, "`completions` is missing"),
            (json.dumps(asked | {"promts": 1}), 400, "unknown key `promts`; did you mean `prompts`?"),
            ("{", 400, "not JSON"),
        ]:
            async with session.post("/reward", data=body, headers=head) as reply:
                assert reply.status == status
                assert says in (await reply.json())["error"]
        async with session.post("/reward", json=asked) as reply:
            assert reply.status == 401


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of TRL about the version of vLLM, and of its parts
def test_a_step_of_grpo_takes_it(reward: RewardFunction, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from tests.train.tiny import tiny_model

    model = tiny_model(tmp_path / "tiny")
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": f"Question {n}?"}]} for n in range(4)])
    args = GRPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=8,
        use_cpu=True,
        report_to=[],
        logging_steps=1,
    )
    trainer = GRPOTrainer(model=str(model), reward_funcs=[reward], args=args, train_dataset=rows)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert 0 <= logged["rewards/two/mean"] <= 1
