from pathlib import Path

import pytest

from zkinfer.circuits.errors import TooCostlyError
from zkinfer.service.capacity import Capacity, limits_for, patience_of
from zkinfer.service.identity import Identity, Rights
from zkinfer.service.settings import Proving, Queue, Settings

CAPACITY = Capacity(workers=1, memory_bytes=1 << 30)
ALICE = Identity(name="alice")


def settings(queue=None, proving=None):
    return Settings(repository=Path("models"), queue=queue or Queue(), proving=proving or Proving())


@pytest.mark.parametrize(
    ("queue", "proving", "seconds"), [(None, 3600.0, 3600.0), (60.0, 3600.0, 60.0), (7200.0, 3600.0, 3600.0)]
)
def test_proof_that_would_be_stopped_is_not_taken_on(queue, proving, seconds):
    found = settings(Queue(proof_seconds=queue), Proving(job_seconds=proving))
    assert limits_for(ALICE, found, CAPACITY).seconds == seconds


def test_job_that_is_predicted_to_exceed_the_limit_is_refused(desk):
    limits = limits_for(ALICE, settings(proving=Proving(job_seconds=5.0)), CAPACITY)
    assert desk.submit(seconds=4.9, limits=limits)
    with pytest.raises(TooCostlyError, match=r"would take about .*; 5 s are allowed here"):
        desk.submit(seconds=5.1, limits=limits)


def test_patience_is_as_the_settings_say():
    patience = patience_of(settings(Queue(attempts=2, begun=7, keep_days=1.0)))
    assert (patience.failures, patience.attempts, patience.finished) == (2, 7, 86_400.0)


def test_rights_of_a_caller_go_before_the_queues():
    assert limits_for(Identity(name="bob", rights=Rights(unfinished_jobs=3)), settings(), CAPACITY).per_owner == 3
    assert limits_for(ALICE, settings(Queue(per_owner=5)), CAPACITY).per_owner == 5
