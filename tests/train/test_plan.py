"""What is chosen from a device, a size and the data, and what it is said to take."""

from types import SimpleNamespace
from typing import Any

from rlaif.train.config import DpoConfig
from rlaif.train.plan import Load, Plan, Settled, make_plan

GIB = 2**30
SMALL = SimpleNamespace(parameters=135_000_000, adapters=5_000_000, layers=30, hidden=576, intermediate=1536)
SEVEN = SimpleNamespace(parameters=7_000_000_000, adapters=40_000_000, layers=32, hidden=4096, intermediate=11008)
LOAD = Load(train=320, test=40, tokens=600.0, longest=512)


def device(memory: int, *, count: int = 1, bf16: bool = True) -> Any:
    return SimpleNamespace(kind="cuda", name="a GPU", memory=memory, count=count, bf16=bf16)


def plan(gpu: Any, size: Any, **settings: Any) -> Plan:
    return make_plan(DpoConfig(data="d", model="m", out="o", **settings), "dpo", gpu, size, LOAD)


def test_all_weights_where_they_fit_and_adapters_elsewhere() -> None:
    assert plan(device(24 * GIB), SMALL).method == "full"
    assert plan(device(24 * GIB), SEVEN).method == "lora"
    assert plan(device(160 * GIB), SEVEN).method == "full"
    assert plan(device(24 * GIB), SEVEN, method="full").fits is False


def test_a_step_sees_as_many_examples_as_asked_for_whatever_the_memory() -> None:
    for memory in (4, 8, 24, 80):
        for count in (1, 2, 4):
            for batch in (16, 12, 20):
                made = plan(device(memory * GIB, count=count), SMALL, batch_size=batch)
                assert made.at_a_time * made.passes * count == batch


def test_what_was_settled_holds_when_it_goes_on_with_less_memory() -> None:
    config = DpoConfig(data="d", model="m", out="o")
    begun = Settled("full", at_a_time=8, checkpointing=False)
    made = make_plan(config, "dpo", device(4 * GIB), SMALL, LOAD, begun)
    assert (made.method, made.at_a_time, made.checkpointing, made.passes) == ("full", 8, False, 2)
    assert plan(device(4 * GIB), SMALL).at_a_time < 8 or plan(device(4 * GIB), SMALL).checkpointing


def test_activations_are_computed_again_only_where_there_is_no_room_for_them() -> None:
    assert not plan(device(80 * GIB), SMALL).checkpointing
    assert plan(device(4 * GIB), SMALL).memory <= 0.85 * 4 * GIB


def test_larger_models_learn_more_slowly_and_adapters_faster() -> None:
    rates = [plan(device(200 * GIB), size).learning_rate for size in (SMALL, SEVEN)]
    assert rates[0] > rates[1]
    assert plan(device(200 * GIB), SEVEN, method="lora").learning_rate > rates[1]
    assert plan(device(200 * GIB), SEVEN, learning_rate=3e-7).learning_rate == 3e-7


def test_what_trl_is_told_holds() -> None:
    made = plan(device(80 * GIB), SMALL, trl={"per_device_train_batch_size": 2, "max_steps": 7})
    assert (made.at_a_time, made.passes, made.steps) == (2, 8, 7)


def test_memory_of_full_training_is_sixteen_bytes_a_weight_and_more() -> None:
    made = plan(device(200 * GIB, bf16=False), SMALL, method="full")
    assert 16 * SMALL.parameters < made.memory < 16 * SMALL.parameters + 60 * GIB
