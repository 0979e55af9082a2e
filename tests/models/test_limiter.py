import asyncio

import pytest

from rlaif.models.limiter import PriorityLimiter


async def hold(limiter: PriorityLimiter, priority: int, name: str, seen: list[str]) -> None:
    async with limiter.slot(priority):
        seen.append(name)
        await asyncio.sleep(0)


async def test_no_more_than_the_slots_are_held_at_once():
    limiter, held, most = PriorityLimiter(3), 0, 0

    async def work() -> None:
        nonlocal held, most
        async with limiter.slot(0):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0.001)
            held -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (held, most) == (0, 3)


async def test_older_work_goes_first_and_equals_in_order_of_arrival():
    limiter, seen = PriorityLimiter(1), []
    async with limiter.slot(0):
        tasks = [
            asyncio.create_task(hold(limiter, priority, name, seen))
            for priority, name in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (0, "first")]
        ]
        await asyncio.sleep(0)
        assert seen == []
    await asyncio.gather(*tasks)
    assert seen == ["first", "a", "b", "c", "d"]


async def test_a_failing_block_gives_its_slot_back():
    limiter, seen = PriorityLimiter(1), []
    with pytest.raises(ValueError, match="no"):
        async with limiter.slot(0):
            raise ValueError("no")
    await asyncio.wait_for(hold(limiter, 0, "next", seen), 1)
    assert seen == ["next"]


@pytest.mark.parametrize("just_as_its_turn_comes", [False, True])
async def test_a_waiter_that_is_cancelled_hands_its_slot_on(just_as_its_turn_comes: bool):
    limiter, seen = PriorityLimiter(1), []
    async with limiter.slot(0):
        gone = asyncio.create_task(hold(limiter, 0, "gone", seen))
        stays = asyncio.create_task(hold(limiter, 1, "stays", seen))
        await asyncio.sleep(0)
        if not just_as_its_turn_comes:
            gone.cancel()
            await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 1)
    assert seen == ["stays"]
    await asyncio.wait_for(hold(limiter, 0, "later", seen), 1)
    assert seen == ["stays", "later"]


async def test_cancelling_at_random_loses_no_slot():
    limiter, seen = PriorityLimiter(2), []
    tasks = [asyncio.create_task(hold(limiter, n % 5, str(n), seen)) for n in range(60)]
    for n, task in enumerate(tasks):
        if n % 3 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(1), limiter.slot(0), limiter.slot(0):
        seen.append("both")
    assert seen[-1] == "both"


async def test_a_larger_limit_admits_waiting_tasks_and_a_smaller_one_takes_no_slot_away():
    limiter, seen = PriorityLimiter(1), []
    async with limiter.slot(0):
        task = asyncio.create_task(hold(limiter, 0, "waiting", seen))
        await asyncio.sleep(0)
        limiter.set_limit(2)
        await task
        assert seen == ["waiting"]
        limiter.set_limit(0)
        assert limiter.held == 1
    limiter.set_limit(1)
    await asyncio.wait_for(hold(limiter, 0, "after", seen), 1)
    assert (seen, limiter.held) == (["waiting", "after"], 0)
