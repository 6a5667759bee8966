import asyncio
from contextlib import suppress
from random import Random
from types import SimpleNamespace

import pytest

from zkinfer.circuits import Home
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.service.errors import TooManyRequestsError
from zkinfer.service.limits import (
    ConcurrencyLimiter,
    CostEstimator,
    MemoryBudget,
    too_many_calls,
    too_many_health_watchers,
    too_many_streams,
    too_many_waiting,
)


def test_call_beyond_the_limit_is_refused_until_a_slot_is_free():
    waiting = ConcurrencyLimiter(1, too_many_waiting)
    with waiting.slot("ann"):
        assert waiting.is_full("ann")
        with pytest.raises(TooManyRequestsError, match="keep a stream open or wait") as refused, waiting.slot("bob"):
            pass
        assert refused.value.retry_after > 0
    assert not waiting.is_full("ann")


def test_slot_is_released_after_an_error():
    waiting = ConcurrencyLimiter(1, too_many_waiting)
    with pytest.raises(ValueError, match="mine"), waiting.slot("ann"):
        raise ValueError("mine")
    assert not waiting.is_full("ann")


def test_greedy_caller_leaves_room_for_others():
    waiting, held = ConcurrencyLimiter(8, too_many_waiting), []

    def taken(caller):
        count = 0
        while not waiting.is_full(caller):
            held.append(waiting.slot(caller))
            held[-1].__enter__()
            count += 1
        return count

    assert [taken(caller) for caller in ("ann", "bob", "eve", "dan")] == [4, 2, 1, 1]
    for one in held:
        one.__exit__(None, None, None)
    assert taken("ann") == 4


@pytest.mark.parametrize("refusal", [too_many_calls, too_many_waiting, too_many_streams, too_many_health_watchers])
def test_refusal_names_the_limit_and_a_retry_delay(refusal):
    with pytest.raises(TooManyRequestsError, match=r"calls are being|stream open|streams are|watch the") as refused:
        ConcurrencyLimiter(0, refusal).slot("ann").__enter__()
    assert refused.value.retry_after > 0


# --- memory


async def half_of(budget, caller):
    """All shares that a caller alone gets of a budget of 100."""
    held = [await budget.acquire(caller, 25) for _ in range(2)]
    assert budget.must_wait(caller)
    return held


async def waiting_for(budget, caller, units):
    """A request that waits for its share."""
    task = asyncio.create_task(budget.acquire(caller, units))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_caller_alone_gets_half_and_the_next_one_half_of_the_rest():
    budget = MemoryBudget(100)
    held = await half_of(budget, "ann")
    held.append(await budget.acquire("bob", 25))
    assert budget.must_wait("bob")
    assert not budget.must_wait("eve", 12)
    assert budget.must_wait("eve", 14)
    for one in held:
        one.release()
    await half_of(budget, "bob")


async def test_request_waits_until_a_share_is_returned():
    budget = MemoryBudget(100)
    first, second = await half_of(budget, "ann")
    waiting = await waiting_for(budget, "ann", 20)
    first.release()
    (await waiting).release()
    second.release()
    assert budget.busiest is None


async def test_share_is_returned_once():
    budget = MemoryBudget(100)
    first, _ = await half_of(budget, "ann")
    first.release()
    first.release()
    await budget.acquire("ann", 25)
    assert budget.must_wait("ann")


async def test_request_beyond_a_quarter_counts_as_a_quarter_and_gets_its_turn():
    budget = MemoryBudget(100)
    with await budget.acquire("ann", 1000):
        assert not budget.must_wait("ann", 25)
        assert not budget.must_wait("bob", 1000)


@pytest.mark.parametrize(("newest_first", "order"), [(False, [1, 2]), (True, [2, 1])])
async def test_requests_of_a_caller_are_admitted_in_order(newest_first, order):
    budget, admitted = MemoryBudget(100, newest_first=newest_first), []

    async def take(number):
        with await budget.acquire("ann", 25):
            admitted.append(number)

    first, _ = await half_of(budget, "ann")
    tasks = [asyncio.create_task(take(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(*tasks)
    assert admitted == order


async def test_caller_who_waits_delays_no_other_caller():
    budget = MemoryBudget(100)
    await half_of(budget, "ann")
    waiting = await waiting_for(budget, "ann", 25)
    async with asyncio.timeout(1):
        (await budget.acquire("bob", 20)).release()
    waiting.cancel()


async def test_request_that_stops_waiting_lets_those_behind_it_pass():
    budget = MemoryBudget(100)
    held = [await budget.acquire("ann", 20) for _ in range(2)]
    large, small = await waiting_for(budget, "ann", 25), await waiting_for(budget, "ann", 10)
    large.cancel()
    async with asyncio.timeout(1):
        (await small).release()
    assert len(held) == 2


async def test_request_that_is_cancelled_as_it_is_admitted_takes_nothing():
    budget = MemoryBudget(100)
    held = await half_of(budget, "ann")
    waiting = await waiting_for(budget, "ann", 25)
    for one in held:
        one.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.busiest is None


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_callers_do_no_share_is_lost(seed):
    budget, random = MemoryBudget(100), Random(seed)

    async def work():
        with suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(0, 0.02)):
                with await budget.acquire(random.choice("abc"), random.randrange(1, 80)):
                    await asyncio.sleep(random.uniform(0, 0.01))

    await asyncio.gather(*(work() for _ in range(200)))
    assert budget.busiest is None
    await half_of(budget, "a")


# --- cost estimates


@pytest.fixture
def model(tiny):
    return SimpleNamespace(engine=FakeEngine(), circuit=tiny.circuit)


def test_estimate_on_an_unmeasured_machine_is_marked(model, tmp_path):
    assert not CostEstimator(Home(tmp_path / "home")).of(model).measured


def test_measurement_writable_by_others_is_ignored_without_an_error(model, tmp_path):
    home = Home(tmp_path / "home")
    home.speeds.mkdir(parents=True)
    home.speeds.chmod(0o777)
    assert not CostEstimator(home).of(model).measured
