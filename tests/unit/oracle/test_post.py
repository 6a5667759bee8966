import pytest
from tests.vectors.make_feeds import OBSERVED_AT, SPECS, payload

from zkinfer.contracts.errors import RevertedError
from zkinfer.oracle.post import PATIENCE, post

PAYLOAD = payload(SPECS[1], (0, 1))


class Ticking:
    """A chain whose hub refuses reports from its future; each pause is a second."""

    def __init__(self, behind):
        self.now, self.asked = OBSERVED_AT - behind, 0

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def verify(self, one):
        assert one == PAYLOAD
        self.asked += 1
        if self.now < OBSERVED_AT:
            raise RevertedError("FromTheFuture")
        return "receipt"


@pytest.mark.parametrize("behind", [0, 1, 12])
def test_report_is_posted_when_the_chains_clock_reaches_it(behind):
    chain = Ticking(behind)
    assert post(chain, chain, PAYLOAD, sleep=chain.sleep) == "receipt"
    assert chain.asked == behind + 1


def test_report_far_in_the_future_is_refused():
    chain = Ticking(PATIENCE + 5)
    with pytest.raises(RevertedError, match="FromTheFuture"):
        post(chain, chain, PAYLOAD, sleep=chain.sleep)


def test_report_that_is_refused_for_another_reason_is_not_repeated():
    chain = Ticking(-1)

    def refuse(_):
        chain.asked += 1
        raise RevertedError("TooOld")

    chain.verify = refuse
    with pytest.raises(RevertedError, match="TooOld"):
        post(chain, chain, PAYLOAD, sleep=chain.sleep)
    assert chain.asked == 1
