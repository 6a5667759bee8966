from types import SimpleNamespace

import pytest

from zkinfer.circuits import Home
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.service.errors import TooManyRequestsError
from zkinfer.service.limits import (
    ConcurrencyLimiter,
    CostEstimator,
    too_many_calls,
    too_many_health_watchers,
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


@pytest.mark.parametrize("refusal", [too_many_calls, too_many_waiting, too_many_health_watchers])
def test_refusal_names_the_limit_and_a_retry_delay(refusal):
    with pytest.raises(TooManyRequestsError, match=r"calls are being served|stream open|watch the server") as refused:
        ConcurrencyLimiter(0, refusal).slot("ann").__enter__()
    assert refused.value.retry_after > 0


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
