import weakref

import pytest
from google.rpc import code_pb2, error_details_pb2

from zkinfer.circuits import errors as domain
from zkinfer.circuits.errors import (
    DataError,
    EngineCrashedError,
    EngineError,
    InputError,
    RangeError,
    TooCostlyError,
    ZkinferError,
)
from zkinfer.prover import errors as prover
from zkinfer.prover.errors import QuotaExceededError, StoreError
from zkinfer.prover.jobs.finish import EXHAUSTED, WORKER_DIED
from zkinfer.prover.workers.job_loop import _FAILURES
from zkinfer.service import errors as service
from zkinfer.service.error_status import failure_status, forget_frames, reason_of, status_of
from zkinfer.service.errors import BadFieldError, UnknownOperationError, in_field
from zkinfer.verifier import errors as verifier
from zkinfer.verifier.errors import InvalidProofError, PolicyRefusedError, Step

SECRET = "/home/operator/repository/secret/model.onnx"
KINDS = [
    value
    for module in (domain, service, verifier)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, ZkinferError)
]


def made(kind):
    arguments = {BadFieldError: ("inputs", "It is wrong."), UnknownOperationError: ("operations/proofs/1",)}
    return kind(*arguments.get(kind, ("It is wrong.", "Put it right.")))


def details(status):
    found = {}
    for detail in status.details:
        kind = detail.type_url.rpartition(".")[2]
        assert kind not in found
        found[kind] = getattr(error_details_pb2, kind)()
        assert detail.Unpack(found[kind])
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_a_reason_and_a_sentence(kind):
    status = status_of(made(kind), "r1")
    info = details(status)["ErrorInfo"]
    assert status.code not in (code_pb2.OK, code_pb2.UNKNOWN)
    assert status.message.endswith(".")
    assert info.domain == "zkinfer"
    assert info.reason == info.reason.upper()
    assert details(status)["RequestInfo"].request_id == "r1"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DataError, "INVALID_ARGUMENT"),
        (RangeError, "INVALID_ARGUMENT"),
        (InvalidProofError, "INVALID_ARGUMENT"),
        (prover.RequestConflictError, "ALREADY_EXISTS"),
        (prover.QueueFullError, "RESOURCE_EXHAUSTED"),
        (QuotaExceededError, "RESOURCE_EXHAUSTED"),
        (service.TooManyRequestsError, "RESOURCE_EXHAUSTED"),
        (prover.UnknownJobError, "NOT_FOUND"),
        (UnknownOperationError, "NOT_FOUND"),
        (service.UnauthenticatedError, "UNAUTHENTICATED"),
        (service.ForbiddenError, "PERMISSION_DENIED"),
        (prover.JobStateError, "FAILED_PRECONDITION"),
        (TooCostlyError, "FAILED_PRECONDITION"),
        (EngineCrashedError, "UNAVAILABLE"),
        (StoreError, "UNAVAILABLE"),
        (EngineError, "INTERNAL"),
        (ZkinferError, "INTERNAL"),
    ],
)
def test_error_is_mapped_to_its_status_code(kind, code):
    assert code_pb2.Code.Name(status_of(made(kind)).code) == code


@pytest.mark.parametrize(
    "err",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        OSError(2, "No such file", SECRET),
        StoreError(f"{SECRET} is full."),
        prover.ArtifactDamagedError(f"{SECRET} was changed."),
        domain.CircuitError(f"{SECRET} is no circuit."),
        domain.SetupError(f"{SECRET} is damaged."),
        EngineError(f"It cannot read {SECRET}."),
        domain.ModelError(f"{SECRET} is empty."),
        service.TokenFileError(f"{SECRET} cannot be read."),
        verifier.KeyFileError(f"{SECRET} cannot be read."),
    ],
    ids=lambda err: type(err).__name__,
)
def test_error_that_may_name_files_is_not_disclosed(err):
    status = status_of(err, "r1")
    assert SECRET.encode() not in status.SerializeToString()
    assert "log" in status.message
    assert "r1" in status.message


def test_field_violation_names_the_path_of_the_field():
    with pytest.raises(BadFieldError) as caught, in_field("request"), in_field("inputs[0]"):
        raise DataError("It is too long.", "Cut it.")
    status = status_of(caught.value)
    [violation] = details(status)["BadRequest"].field_violations
    assert (violation.field, violation.reason) == ("request.inputs[0]", "DATA")
    assert status.message == "request.inputs[0]: It is too long. Cut it."
    assert details(status)["ErrorInfo"].reason == "DATA"


def test_error_unrelated_to_input_has_no_field_violation():
    with pytest.raises(EngineError), in_field("inputs"):
        raise EngineError("It broke.")


def test_full_queue_has_a_retry_delay():
    found = details(status_of(prover.QueueFullError("It is full.", "", retry_after=2.5)))
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == 2500


def test_exceeded_quota_names_its_owner():
    found = details(status_of(QuotaExceededError("You have 3 jobs.", "Wait.", retry_after=1)))
    assert found["QuotaFailure"].violations[0].subject == "identity"


def test_unknown_operation_names_the_resource():
    found = details(status_of(UnknownOperationError("operations/proofs/x")))
    assert found["ResourceInfo"].resource_name == "operations/proofs/x"


def test_refused_attestation_names_the_step():
    err = PolicyRefusedError("The signer is another.")
    err.step = Step(11, "the policy is met", "failed")
    assert details(status_of(err))["ErrorInfo"].metadata == {"step": "11", "title": "the policy is met"}


def test_long_message_is_truncated():
    assert len(status_of(InputError("x" * 10_000)).message) <= 1500


def test_reason_is_the_name_of_the_class():
    assert reason_of(InvalidProofError("")) == "INVALID_PROOF"
    assert reason_of(RuntimeError()) == "INTERNAL"


def test_failure_of_a_known_reason_is_disclosed():
    status = failure_status("RANGE", "A value leaves the range.", "Check the input.")
    assert (status.code, status.message) == (code_pb2.INVALID_ARGUMENT, "A value leaves the range. Check the input.")


@pytest.mark.parametrize("reason", sorted({reason for _, reason, _ in _FAILURES} | {EXHAUSTED, WORKER_DIED.reason}))
def test_failure_that_may_name_files_is_not_disclosed(reason):
    kinds = {"RANGE", "OUT_OF_MEMORY", "TIMEOUT", "OUTPUTS_DIFFER"}  # messages written by us only
    status = failure_status(reason, f"{SECRET} is damaged.", "")
    assert (SECRET in status.message) == (reason in kinds)
    assert details(status)["ErrorInfo"].reason == reason
    assert status.message.endswith(".")


def test_error_that_was_answered_keeps_nothing_of_the_request():
    class Large:
        pass

    def handle():
        large = Large()
        kept.append(weakref.ref(large))
        try:
            refuse()
        except InputError as err:
            raise StoreError("Nothing was stored.") from err

    def refuse():
        raise InputError("It is too large.")

    kept = []
    with pytest.raises(StoreError) as caught:
        handle()
    assert kept[0]() is not None
    forget_frames(caught.value)
    assert kept[0]() is None
    forget_frames(None)
