import pytest

from zkinfer.service.errors import TooManyRequestsError
from zkinfer.service.lingering import Lingering


def test_one_more_than_allowed_is_refused_until_another_left():
    lingering = Lingering(1)
    with lingering.one():
        assert lingering.is_full
        with pytest.raises(TooManyRequestsError, match="keep a stream open or wait") as refused, lingering.one():
            pass
        assert refused.value.retry_after > 0
    assert not lingering.is_full


def test_place_is_free_again_after_an_error():
    lingering = Lingering(1)
    with pytest.raises(ValueError, match="mine"), lingering.one():
        raise ValueError("mine")
    assert not lingering.is_full
