import pytest

from zkinfer.oracle.store.leases import Leases


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def two(store):
    clock = Clock()
    return clock, Leases(store._database, clock), Leases(store._database, clock)


def test_first_daemon_holds_and_the_second_does_not(two):
    _, one, other = two
    assert one.hold("feed", 10)
    assert not other.hold("feed", 10)
    assert one.hold("feed", 10)
    assert other.hold("another feed", 10)


def test_lease_without_a_beat_passes_to_the_other(two):
    clock, one, other = two
    one.hold("feed", 10)
    assert not other.hold("feed", 10)
    clock.now = 10.5
    assert other.hold("feed", 10)
    assert not one.hold("feed", 10)


def test_lease_with_beats_stays_for_ever(two):
    clock, one, other = two
    for _ in range(5):
        clock.now += 9
        assert one.hold("feed", 10)
        assert not other.hold("feed", 10)


def test_released_lease_is_free_at_once(two):
    _, one, other = two
    one.hold("feed", 10)
    one.release()
    assert other.hold("feed", 10)
