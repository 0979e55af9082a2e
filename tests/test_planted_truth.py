"""A planted truth is found: p_chosen is calibrated and blind to position; asked in one order only, it is neither."""

import numpy as np
import pytest

from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.stats.log_odds import sigmoid
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

MODEL = SimulatedModel(position_bias=2.0, noise=0.5)
PROMPTS = {"both": 2600, "one": 600}


async def judged(make_config: MakeConfig, orders: str) -> tuple[Run, np.ndarray, np.ndarray, np.ndarray]:
    """Return the run and, over its pairs, p_chosen, the planted probability, and whether `a` was chosen."""
    async with SimulatedServer(MODEL) as server:
        config = make_config(
            server,
            PROMPTS[orders],
            revision={"rounds": 0},
            judging={"principles": 1, "min_margin": 0.0, "orders": orders},
            policy={"url": server.url, "concurrency": 128},
        )
        run = await generate_async(config)
        rows = []
        for trace, conclusion in run.conclusions():
            for pair in conclusion.pairs:
                chosen, rejected = (server.model.quality(trace.response(r).text) for r in (pair.chosen, pair.rejected))
                rows.append((pair.p_chosen, sigmoid(chosen - rejected), pair.chosen == trace.matchups[0].a))
    p, truth, chose_a = np.array(rows).T
    return run, p, truth, chose_a


def calibration_error(p: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Mean distance of p from the planted probability over bins of p, weighted by their size."""
    place = np.clip(((p - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    return sum((place == b).mean() * abs(p[place == b].mean() - truth[place == b].mean()) for b in set(place))


@pytest.mark.slow
@pytest.mark.parametrize("orders", ["both", "one"])
async def test_p_chosen_is_calibrated_and_blind_to_position_only_when_both_orders_are_asked(
    make_config: MakeConfig, orders: str
) -> None:
    run, p, truth, chose_a = await judged(make_config, orders)
    if orders == "both":
        assert len(p) >= 2000
        assert calibration_error(p, truth) < 0.03
        assert abs(chose_a.mean() - 0.5) < 3 * 0.5 / np.sqrt(len(p))
        assert run.position_bias.overall == pytest.approx(2.0, abs=0.05)
    else:
        assert calibration_error(p, truth) > 0.1
        assert chose_a.mean() > 0.8
