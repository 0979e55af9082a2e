"""How many requests stay open at a server: from its queue, its rate of replies, its refusals."""

import pytest

from rlaif.models.limiter import PriorityLimiter
from rlaif.models.openai import OpenAIBackend
from rlaif.models.saturation import FIRST, LEAST, MOST, Load, Saturation


def full(limit: int = FIRST) -> Saturation:
    slots = PriorityLimiter(limit)
    slots.held = limit
    return Saturation(slots)


def after(saturation: Saturation, *windows: tuple[Load | None, int], held: bool = True) -> list[int]:
    """Return the limit after each window of a second, given the server's load and the number of replies."""
    limits = []
    for second, (load, replies) in enumerate(windows):
        saturation.replies = replies
        saturation.adjust(load, 1.0, float(second))
        limits.append(saturation.slots.limit)
        if held:
            saturation.slots.held = saturation.slots.limit
    return limits


def test_more_requests_are_opened_until_some_wait_in_the_server() -> None:
    assert after(full(), (Load(64, 0), 9), (Load(128, 0), 9), (Load(200, 20), 9)) == [128, 256, 256]


def test_fewer_are_opened_where_a_quarter_of_the_requests_waits() -> None:
    assert after(full(256), (Load(100, 156), 9)) == [256 - 78]


def test_a_limit_that_is_not_reached_stays() -> None:
    idle = Saturation(PriorityLimiter(FIRST))
    assert after(idle, (Load(3, 0), 9), (None, 9), held=False) == [FIRST, FIRST]


def test_without_metrics_more_are_opened_while_replies_come_faster() -> None:
    limits = after(full(), (None, 100), (None, 190), (None, 350), (None, 360))
    assert limits == [128, 256, 512, 320]  # 512 were no better than 256, so a little more than 256


def test_no_further_try_soon_after_one_that_did_not_help() -> None:
    assert after(full(), (None, 100), (None, 101), (None, 300), (None, 900)) == [128, 80, 80, 80]


def test_a_server_that_refuses_gets_fewer_and_is_not_pressed_again_soon() -> None:
    saturation = full(100)
    saturation.refused = 1
    saturation.adjust(Load(50, 0), 1.0, 0.0)
    saturation.slots.held, saturation.refused = saturation.slots.limit, 0
    saturation.adjust(Load(50, 0), 1.0, 1.0)
    assert saturation.slots.limit == 70


@pytest.mark.parametrize(("load", "limit", "bound"), [(Load(1, 900), 10, LEAST), (Load(9, 0), 900, MOST)])
def test_the_limit_stays_within_bounds(load: Load, limit: int, bound: int) -> None:
    assert after(full(limit), (load, 9)) == [bound]


class Pages(OpenAIBackend):
    """A backend whose server has one page."""

    def __init__(self, text: str | None) -> None:
        self.url, self.text, self.asked = "http://127.0.0.1:1/v1", text, []

    async def text_at(self, url: str) -> str | None:
        self.asked.append(url)
        return self.text


async def test_the_requests_of_all_engines_of_a_vllm_server_are_added_up() -> None:
    states = {"running": (12.0, 3.0), "waiting": (1.0, 0.0)}
    lines = [
        f'vllm:num_requests_{state}{{engine="{engine}",model_name="m"}} {value}'
        for state, values in states.items()
        for engine, value in enumerate(values)
    ]
    backend = Pages("\n".join(["# HELP vllm:num_requests_running Number", *lines, ""]))
    assert await backend.load() == Load(15, 1)
    assert backend.asked == ["http://127.0.0.1:1/metrics"]


@pytest.mark.parametrize("text", [None, "", "process_cpu_seconds 3\n"])
async def test_a_server_without_such_metrics_is_asked_for_them_once(text: str | None) -> None:
    backend = Pages(text)
    assert [await backend.load(), await backend.load()] == [None, None]
    assert len(backend.asked) == 1
