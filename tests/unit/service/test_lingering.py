import pytest

from zkinfer.service.errors import TooManyRequestsError
from zkinfer.service.lingering import Lingering


def test_one_more_than_allowed_is_refused_until_another_left():
    lingering = Lingering(1)
    with lingering.one("ann"):
        assert lingering.is_full("ann")
        with pytest.raises(TooManyRequestsError, match="keep a stream open or wait") as refused, lingering.one("bob"):
            pass
        assert refused.value.retry_after > 0
    assert not lingering.is_full("ann")


def test_place_is_free_again_after_an_error():
    lingering = Lingering(1)
    with pytest.raises(ValueError, match="mine"), lingering.one("ann"):
        raise ValueError("mine")
    assert not lingering.is_full("ann")


def test_caller_who_takes_what_there_is_leaves_room_for_others():
    lingering, held = Lingering(8), []

    def taken(caller):
        count = 0
        while not lingering.is_full(caller):
            held.append(lingering.one(caller))
            held[-1].__enter__()
            count += 1
        return count

    assert [taken(caller) for caller in ("ann", "bob", "eve", "dan")] == [4, 2, 1, 1]
    for one in held:
        one.__exit__(None, None, None)
    assert taken("ann") == 4
