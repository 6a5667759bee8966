"""Jobs worked off by worker processes, and the reasons with which they fail."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.eventually import eventually
from tests.unit.prover.fake_worker import CRASH, MEMORY

from zkinfer.circuits import errors
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import errors as prover_errors
from zkinfer.prover.jobs import JobState
from zkinfer.prover.workers.job_loop import _FAILURES, classify
from zkinfer.verifier import AllOf, ModelIs, SignatureError, Trusted, UnsafeAcceptDevSetup, Verifier

LONG = 256 * 50


@pytest.fixture
def reason(shared_backend):
    """Submit a job that fails, and return the reason."""

    def find(first=0, **fields):
        job = shared_backend.ended(shared_backend.submit(first, **fields))
        assert job.state == JobState.FAILED
        return job.failure.reason

    return find


def test_attestation_is_verified_independently(shared_backend, tiny, tmp_path):
    job = shared_backend.ended(shared_backend.submit())
    assert (job.state, job.progress, job.failure) == ("SUCCEEDED", 1.0, None)
    data = shared_backend.artifacts.get(job.attestation, job.attestation_bytes)
    trusted = Trusted.of(
        [tiny.model],
        tiny.home.setups,
        tmp_path / "cache",
        engines={"fake/1": FakeEngine()},
        unsafe_accept_fake_engine=True,
    )
    policy = AllOf(ModelIs(tiny.circuit.model_id), UnsafeAcceptDevSetup())
    inference = Verifier(trusted=trusted).verify(data, policy)
    assert inference.context == job.request.context
    assert inference.inputs["x"].tolist() == [[0, -1.25, 2.0]]


def test_jobs_are_shared_by_both_workers(shared_backend):
    jobs = [shared_backend.ended(job) for job in [shared_backend.submit(64) for _ in range(8)]]
    assert {job.state for job in jobs} == {"SUCCEEDED"}
    assert len({job.worker for job in jobs}) == 2


def test_inputs_are_removed_after_the_job(shared_backend):
    job = shared_backend.ended(shared_backend.submit(7))
    assert eventually(lambda: not shared_backend.artifacts.has(job.request.inputs))


def test_cancelled_running_job_is_stopped(shared_backend):
    job = shared_backend.submit(LONG)
    shared_backend.begun(job)
    shared_backend.store.cancel(job.id)
    assert shared_backend.ended(job).state == "CANCELLED"


def test_running_job_is_stopped_at_its_deadline(shared_backend):
    job = shared_backend.ended(shared_backend.submit(LONG, deadline=datetime.now(UTC) + timedelta(seconds=1.5)))
    assert (job.state, job.failure.reason) == ("EXPIRED", "EXPIRED")


def test_progress_grows_with_the_predicted_time(shared_backend):
    job = shared_backend.submit(LONG, seconds=2.0)
    assert shared_backend.until(job, lambda found: found.progress > 0.2).progress <= 0.95
    shared_backend.store.cancel(job.id)
    shared_backend.ended(job)


# --- what fails


def test_crashing_engine_is_tried_five_times(shared_backend):
    job = shared_backend.ended(shared_backend.submit(CRASH))
    assert (job.failure.reason, job.attempt) == ("ATTEMPTS_EXHAUSTED", 5)
    assert "stopped unexpectedly (status -6)" in job.failure.cause


def test_engine_out_of_memory_is_not_retried(shared_backend):
    job = shared_backend.ended(shared_backend.submit(MEMORY))
    assert (job.failure.reason, job.attempt) == ("OUT_OF_MEMORY", 1)
    assert job.failure.cure == "Use a larger machine."


def test_input_beyond_the_range_is_not_retried(shared_backend):
    data = json.dumps([[0, 1 << 40, 0]]).encode()
    job = shared_backend.ended(shared_backend.submit(inputs=shared_backend.artifacts.put(data)))
    assert (job.failure.reason, job.attempt) == ("RANGE", 1)


def test_answer_that_differs_from_the_proof_is_detected(reason):
    assert reason(outputs=sha256(b"another answer")) == "OUTPUTS_DIFFER"


@pytest.mark.parametrize(
    "fields",
    [{"model": "gone"}, {"version": "9"}, {"model": ".."}, {"version": "../1"}, {"circuit": sha256(b"another")}],
    ids=str,
)
def test_circuit_other_than_the_one_that_answered_is_refused(reason, fields):
    assert reason(**fields) == "CIRCUIT_GONE"


@pytest.mark.parametrize("data", [b"{}", b"[[1.5]]", b"[1]", b"\xff"])
def test_malformed_inputs_are_refused(shared_backend, reason, data):
    assert reason(inputs=shared_backend.artifacts.put(data)) == "INPUTS_DAMAGED"


def test_inputs_modified_on_disk_are_refused(backend):
    job = backend.submit()
    (backend.artifacts.root / job.request.inputs.hex).write_bytes(b"[[0,0,0]]")
    backend.pool()
    assert backend.ended(job).failure.reason == "INPUTS_DAMAGED"


# --- reasons


@pytest.mark.parametrize(
    ("kind", "reason", "again"),
    [
        (errors.RangeError, "RANGE", False),
        (errors.EngineMemoryError, "OUT_OF_MEMORY", False),
        (errors.EngineTimeoutError, "TIMEOUT", False),
        (errors.EngineCrashedError, "ENGINE_CRASHED", True),
        (errors.AnswerMismatchError, "OUTPUTS_DIFFER", False),
        (errors.ProofRejectedError, "ENGINE", False),
        (errors.SetupError, "SETUP", False),
        (errors.CircuitError, "CIRCUIT_GONE", False),
        (prover_errors.ArtifactMissingError, "INPUTS_GONE", False),
        (prover_errors.StoreError, "STORE", True),
        (SignatureError, "NOT_VERIFIED", False),
        (errors.InputError, "OTHER", False),
    ],
)
def test_error_is_mapped_to_its_reason(kind, reason, again):
    failure, retry = classify(kind("Because.", "Do this."))
    assert (failure.reason, failure.cause, failure.cure, retry) == (reason, "Because.", "Do this.", again)


def test_reasons_are_machine_readable_words():
    assert all(reason.replace("_", "").isupper() for _, reason, _ in _FAILURES)
