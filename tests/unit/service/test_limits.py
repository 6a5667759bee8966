import pytest

from zkinfer.service.errors import TooManyRequestsError
from zkinfer.service.limits import Shares, too_many_calls, too_many_linger, too_many_watchers


def test_one_more_than_allowed_is_refused_until_another_left():
    lingering = Shares(1, too_many_linger)
    with lingering.one("ann"):
        assert lingering.is_full("ann")
        with pytest.raises(TooManyRequestsError, match="keep a stream open or wait") as refused, lingering.one("bob"):
            pass
        assert refused.value.retry_after > 0
    assert not lingering.is_full("ann")


def test_place_is_free_again_after_an_error():
    lingering = Shares(1, too_many_linger)
    with pytest.raises(ValueError, match="mine"), lingering.one("ann"):
        raise ValueError("mine")
    assert not lingering.is_full("ann")


def test_caller_who_takes_what_there_is_leaves_room_for_others():
    lingering, held = Shares(8, too_many_linger), []

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


@pytest.mark.parametrize("refusal", [too_many_calls, too_many_linger, too_many_watchers])
def test_refusal_says_what_was_too_much_and_when_to_come_again(refusal):
    with pytest.raises(TooManyRequestsError, match=r"calls as it may|stream open|watch the server") as refused:
        Shares(0, refusal).one("ann").__enter__()
    assert refused.value.retry_after > 0
