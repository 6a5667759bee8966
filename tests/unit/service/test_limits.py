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


def test_one_more_than_allowed_is_refused_until_another_left():
    waiting = ConcurrencyLimiter(1, too_many_waiting)
    with waiting.slot("ann"):
        assert waiting.is_full("ann")
        with pytest.raises(TooManyRequestsError, match="keep a stream open or wait") as refused, waiting.slot("bob"):
            pass
        assert refused.value.retry_after > 0
    assert not waiting.is_full("ann")


def test_place_is_free_again_after_an_error():
    waiting = ConcurrencyLimiter(1, too_many_waiting)
    with pytest.raises(ValueError, match="mine"), waiting.slot("ann"):
        raise ValueError("mine")
    assert not waiting.is_full("ann")


def test_caller_who_takes_what_there_is_leaves_room_for_others():
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
def test_refusal_says_what_was_too_much_and_when_to_come_again(refusal):
    with pytest.raises(TooManyRequestsError, match=r"calls are being served|stream open|watch the server") as refused:
        ConcurrencyLimiter(0, refusal).slot("ann").__enter__()
    assert refused.value.retry_after > 0


@pytest.fixture
def model(made):
    return SimpleNamespace(engine=FakeEngine(), circuit=made.circuit)


def test_machine_that_was_not_measured_is_said_to_be(model, tmp_path):
    assert not CostEstimator(Home(tmp_path / "home")).of(model).measured


def test_measurement_that_others_could_have_written_is_none_and_no_fault_of_a_caller(model, tmp_path):
    home = Home(tmp_path / "home")
    home.speeds.mkdir(parents=True)
    home.speeds.chmod(0o777)
    assert not CostEstimator(home).of(model).measured
