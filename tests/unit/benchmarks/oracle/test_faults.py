"""The schedule of faults."""

from itertools import islice

import pytest
from benchmarks.oracle.faults import AT_ONCE, Kind, episodes
from benchmarks.oracle.operators import CONFIRMATIONS
from benchmarks.oracle.sources import DECEITFUL, Mode

MANY = 2000


def first_episodes(seed, count=MANY):
    return [*islice(episodes(seed, 3, 2, 15.0), count)]


def test_same_seed_gives_the_same_episodes():
    assert first_episodes(1, 20) == first_episodes(1, 20)
    assert first_episodes(1, 20) != first_episodes(2, 20)


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_happens_soon(seed):
    faults = [one for episode in first_episodes(seed, 30) for one in episode]
    assert {one.kind for one in faults} == set(Kind)
    assert {one.mode for one in faults} == {None, *Mode}


def test_reorganisations_have_each_depth_that_is_not_final():
    faults = [one for episode in first_episodes(1) for one in episode]
    assert {one.depth for one in faults} == {*range(CONFIRMATIONS)}


@pytest.mark.parametrize("seed", [1, 2])
def test_at_most_one_operator_is_deceived_at_a_time(seed):
    for episode in first_episodes(seed):
        assert 1 <= len(episode) <= AT_ONCE
        assert sum(one.mode in DECEITFUL for one in episode) <= 1


def test_no_process_suffers_two_faults_of_one_kind_at_once():
    for episode in first_episodes(3):
        keys = [(one.kind, one.target) for one in episode]
        assert len(set(keys)) == len(keys)


def test_faults_of_an_episode_are_in_the_order_of_their_begin():
    assert all(episode == sorted(episode, key=lambda one: one.after) for episode in first_episodes(4))
