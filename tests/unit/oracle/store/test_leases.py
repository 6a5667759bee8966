import socket
import subprocess
import sys

import psutil
import pytest
from sqlalchemy import select

from zkinfer.oracle.store.leases import Leases
from zkinfer.oracle.store.tables import leases


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
    one.hold("another feed", 10)
    one.release()
    assert other.hold("feed", 10)


def test_lease_is_renewed_only_after_a_third_of_its_time(two, store):
    clock, one, _ = two
    beats = []
    for _ in range(8):
        one.hold("feed", 9)
        with store._database.reading() as connection:
            beats.append(connection.scalar(select(leases.c.beat)))
        clock.now += 1
    assert beats == [0, 0, 0, 1, 1, 1, 2, 2]


def test_lease_of_a_killed_process_of_this_host_is_free_at_once(store):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = int(psutil.Process(child.pid).create_time())
    killed = Leases(store._database, holder=f"{socket.gethostname()} {child.pid} {began} x")
    other = Leases(store._database)
    assert killed.hold("feed", 10)
    assert not other.hold("feed", 10)
    child.kill()
    child.communicate()
    assert other.hold("feed", 10)


def test_lease_of_a_process_of_another_host_is_kept(store):
    elsewhere = Leases(store._database, holder="elsewhere 999999999 1 x")
    assert elsewhere.hold("feed", 10)
    assert not Leases(store._database).hold("feed", 10)


def test_lease_is_held_until_its_holder_gives_it_up(two):
    _, one, other = two
    assert not other.is_held("feed")
    one.hold("feed", 10)
    assert other.is_held("feed")
    one.release()
    assert not other.is_held("feed")


def test_lease_of_a_process_that_was_killed_is_not_held(store):
    gone = f"{socket.gethostname()[:64]} {psutil.Process().pid} 7 00"
    Leases(store._database, Clock(), gone).hold("feed", 10)
    assert not Leases(store._database, Clock()).is_held("feed")
