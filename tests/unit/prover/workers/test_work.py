"""What worker processes make of jobs."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.eventually import eventually
from tests.unit.prover.fake_worker import CRASH, MEMORY

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover.jobs import JobState
from zkinfer.verifier import AllOf, ModelIs, Trusted, UnsafeAcceptDevSetup, Verifier

LONG = 256 * 50


@pytest.fixture
def reason(office):
    """Why a job of this kind fails."""

    def find(first=0, **fields):
        job = office.ended(office.submit(first, **fields))
        assert job.state == JobState.FAILED
        return job.failure.reason

    return find


def test_attestation_is_verified_by_a_stranger(office, shop, tmp_path):
    job = office.ended(office.submit())
    assert (job.state, job.progress, job.failure) == ("SUCCEEDED", 1.0, None)
    data = office.artifacts.get(job.attestation, job.attestation_bytes)
    trusted = Trusted.of(
        [shop.model],
        shop.home.setups,
        tmp_path / "cache",
        engines={"fake/1": FakeEngine()},
        unsafe_accept_fake_engine=True,
    )
    policy = AllOf(ModelIs(shop.circuit.model_id), UnsafeAcceptDevSetup())
    inference = Verifier(trusted=trusted).verify(data, policy)
    assert inference.context == job.request.context
    assert inference.inputs["x"].tolist() == [[0, -1.25, 2.0]]


def test_jobs_are_all_done_by_both_workers(office):
    jobs = [office.ended(job) for job in [office.submit(64) for _ in range(8)]]
    assert {job.state for job in jobs} == {"SUCCEEDED"}
    assert len({job.worker for job in jobs}) == 2


def test_inputs_are_gone_when_the_job_is_done(office):
    job = office.ended(office.submit(7))
    assert eventually(lambda: not office.artifacts.has(job.request.inputs))


def test_running_job_that_is_cancelled_is_stopped(office):
    job = office.submit(LONG)
    office.begun(job)
    office.store.cancel(job.id)
    assert office.ended(job).state == "CANCELLED"


def test_running_job_is_stopped_at_its_deadline(office):
    job = office.ended(office.submit(LONG, deadline=datetime.now(UTC) + timedelta(seconds=1.5)))
    assert (job.state, job.failure.reason) == ("EXPIRED", "EXPIRED")


def test_progress_grows_with_the_predicted_time(office):
    job = office.submit(LONG, seconds=2.0)
    assert office.until(job, lambda found: found.progress > 0.2).progress <= 0.95
    office.store.cancel(job.id)
    office.ended(job)


# --- what fails


def test_engine_that_crashes_is_tried_five_times(office):
    job = office.ended(office.submit(CRASH))
    assert (job.failure.reason, job.attempt) == ("ATTEMPTS_EXHAUSTED", 5)
    assert "stopped unexpectedly (status -6)" in job.failure.cause


def test_engine_without_memory_is_not_tried_again(office):
    job = office.ended(office.submit(MEMORY))
    assert (job.failure.reason, job.attempt) == ("OUT_OF_MEMORY", 1)
    assert job.failure.cure == "Use a larger machine."


def test_input_beyond_the_range_is_not_tried_again(office):
    data = json.dumps([[0, 1 << 40, 0]]).encode()
    job = office.ended(office.submit(inputs=office.artifacts.put(data)))
    assert (job.failure.reason, job.attempt) == ("RANGE", 1)


def test_answer_that_differs_from_the_proof_is_noticed(reason):
    assert reason(outputs=sha256(b"another answer")) == "OUTPUTS_DIFFER"


@pytest.mark.parametrize(
    "fields",
    [{"model": "gone"}, {"version": "9"}, {"model": ".."}, {"version": "../1"}, {"circuit": sha256(b"another")}],
    ids=str,
)
def test_circuit_that_is_not_the_one_that_answered_is_refused(reason, fields):
    assert reason(**fields) == "CIRCUIT_GONE"


@pytest.mark.parametrize("data", [b"{}", b"[[1.5]]", b"[1]", b"\xff"])
def test_malformed_inputs_are_refused(office, reason, data):
    assert reason(inputs=office.artifacts.put(data)) == "INPUTS_DAMAGED"


def test_inputs_that_were_changed_on_the_disk_are_refused(desk):
    job = desk.submit()
    (desk.artifacts.root / job.request.inputs.hex).write_bytes(b"[[0,0,0]]")
    desk.pool()
    assert desk.ended(job).failure.reason == "INPUTS_DAMAGED"
