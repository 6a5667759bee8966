"""The gRPC status of each error: a `google.rpc.Status` with details and a complete message.

Many clients show only code and message, so the message is complete without the details. Messages that could name files
of this machine or contain computed values are replaced; the log has the original under the request id.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RequestInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from zkinfer.circuits import errors as domain
from zkinfer.prover import errors as prover
from zkinfer.service import errors as service
from zkinfer.service.logs import error_fields, log
from zkinfer.verifier.errors import EmptyPolicyError, KeyFileError, PolicyFileError, RefusedError, TrustRootError
from zkinfer.works import errors as works

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "zkinfer"
_MAX_MESSAGE = 1500  # details and message travel in headers, which clients limit to about 8 kB
_SEE_LOG = "The reason is in the server's log"


@dataclass(frozen=True, slots=True)
class StatusRule:
    """The status of one class of errors and its subclasses.

    Args:
        code: of `google.rpc.Code`.
        message: replaces the error's own message, which may name files; empty to keep it.
        field: of the request, if the error names none.
        retry_after: seconds, if a retry may help and the error does not say when.
    """

    code: code_pb2.Code
    message: str = ""
    field: str = ""
    retry_after: float | None = None


_RULES: dict[type[Exception], StatusRule] = {
    domain.ZkinferError: StatusRule(code_pb2.INTERNAL, f"The server failed. {_SEE_LOG}."),
    domain.InputError: StatusRule(code_pb2.INVALID_ARGUMENT),
    domain.ModelError: StatusRule(code_pb2.FAILED_PRECONDITION, f"The server cannot use this model. {_SEE_LOG}."),
    domain.SetupError: StatusRule(
        code_pb2.FAILED_PRECONDITION, f"The trusted setup is missing on the server. {_SEE_LOG}."
    ),
    domain.CircuitError: StatusRule(code_pb2.FAILED_PRECONDITION, f"The server cannot use this circuit. {_SEE_LOG}."),
    domain.EngineError: StatusRule(code_pb2.INTERNAL, f"The proving engine failed. {_SEE_LOG}."),
    domain.EngineCrashedError: StatusRule(code_pb2.UNAVAILABLE, "The engine's process died. Retry.", retry_after=1.0),
    domain.EngineMemoryError: StatusRule(
        code_pb2.RESOURCE_EXHAUSTED, "The engine ran out of memory on this server.", retry_after=30.0
    ),
    domain.RangeError: StatusRule(code_pb2.INVALID_ARGUMENT, field="inputs"),
    domain.StoppedError: StatusRule(code_pb2.CANCELLED),
    prover.JobError: StatusRule(code_pb2.FAILED_PRECONDITION),
    prover.UnknownJobError: StatusRule(code_pb2.NOT_FOUND),
    prover.RequestConflictError: StatusRule(code_pb2.ALREADY_EXISTS, field="request_id"),
    prover.DeadlinePassedError: StatusRule(code_pb2.INVALID_ARGUMENT, field="context.expiry"),
    prover.LeaseLostError: StatusRule(code_pb2.ABORTED),
    prover.QueueFullError: StatusRule(code_pb2.RESOURCE_EXHAUSTED),
    domain.TooCostlyError: StatusRule(code_pb2.FAILED_PRECONDITION),
    prover.StoreError: StatusRule(
        code_pb2.UNAVAILABLE, f"The server cannot store jobs at the moment. {_SEE_LOG}.", retry_after=5.0
    ),
    prover.ArtifactDamagedError: StatusRule(code_pb2.DATA_LOSS, f"The stored data is damaged. {_SEE_LOG}."),
    prover.RepositoryError: StatusRule(
        code_pb2.UNAVAILABLE, f"The server cannot read its models. {_SEE_LOG}.", retry_after=5.0
    ),
    prover.ModelNotFoundError: StatusRule(code_pb2.NOT_FOUND),
    prover.ModelUnavailableError: StatusRule(code_pb2.UNAVAILABLE),
    prover.BusyError: StatusRule(code_pb2.RESOURCE_EXHAUSTED),
    works.DirectoryError: StatusRule(
        code_pb2.UNAVAILABLE, f"The server's directory of works cannot be used. {_SEE_LOG}.", retry_after=5.0
    ),
    works.NotIndexedError: StatusRule(code_pb2.NOT_FOUND),
    works.CredentialsError: StatusRule(code_pb2.INVALID_ARGUMENT),
    KeyFileError: StatusRule(code_pb2.INTERNAL, f"The server failed. {_SEE_LOG}."),
    TrustRootError: StatusRule(
        code_pb2.UNAVAILABLE, f"The server cannot use its trust root. {_SEE_LOG}.", retry_after=5.0
    ),
    PolicyFileError: StatusRule(code_pb2.INVALID_ARGUMENT, field="policy"),
    RefusedError: StatusRule(code_pb2.INVALID_ARGUMENT, field="attestation"),
    EmptyPolicyError: StatusRule(code_pb2.INVALID_ARGUMENT, field="policy"),
    service.TokenFileError: StatusRule(
        code_pb2.UNAVAILABLE, f"The server cannot read its tokens. {_SEE_LOG}.", retry_after=5.0
    ),
    service.ServiceError: StatusRule(code_pb2.INTERNAL),
    service.UnauthenticatedError: StatusRule(code_pb2.UNAUTHENTICATED),
    service.ForbiddenError: StatusRule(code_pb2.PERMISSION_DENIED),
    service.UnknownMethodError: StatusRule(code_pb2.UNIMPLEMENTED),
    service.RequestTooLargeError: StatusRule(code_pb2.RESOURCE_EXHAUSTED),
    service.UntrustedSourceError: StatusRule(code_pb2.PERMISSION_DENIED),
    service.UnknownOperationError: StatusRule(code_pb2.NOT_FOUND),
    service.NotReadyError: StatusRule(code_pb2.FAILED_PRECONDITION),
    service.ProofPendingError: StatusRule(code_pb2.DEADLINE_EXCEEDED),
    service.LateRequestError: StatusRule(code_pb2.DEADLINE_EXCEEDED, retry_after=1.0),
    service.SlowVerificationError: StatusRule(code_pb2.RESOURCE_EXHAUSTED),
    service.TooManyRequestsError: StatusRule(code_pb2.RESOURCE_EXHAUSTED),
}
_SERVER_FAULTS = (code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.FAILED_PRECONDITION, code_pb2.DATA_LOSS)
_UNEXPECTED = StatusRule(code_pb2.INTERNAL, f"The server failed. {_SEE_LOG}.")
_FAILURES = {
    "RANGE": StatusRule(code_pb2.INVALID_ARGUMENT),
    "OUT_OF_MEMORY": StatusRule(code_pb2.RESOURCE_EXHAUSTED),
    "TIMEOUT": StatusRule(code_pb2.DEADLINE_EXCEEDED),
    "EXPIRED": StatusRule(code_pb2.DEADLINE_EXCEEDED),
    "CANCELLED": StatusRule(code_pb2.CANCELLED),
    "OUTPUTS_DIFFER": StatusRule(code_pb2.DATA_LOSS),
    "CIRCUIT_GONE": StatusRule(
        code_pb2.FAILED_PRECONDITION, "The circuit that answered is no longer served. Request a new inference."
    ),
    "ATTEMPTS_EXHAUSTED": StatusRule(
        code_pb2.INTERNAL, "The proof was started as often as allowed and never finished. Retry later."
    ),
}
_NO_PROOF = StatusRule(code_pb2.INTERNAL, f"The proof could not be made. {_SEE_LOG}.")


class ProofFailedError(service.ServiceError):
    """The proof that the caller waits for failed; `status` is the operation's error."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def status_of(err: BaseException, request_id: str = "") -> Status:
    """The status that a caller gets for an error: code, message and details."""
    if isinstance(err, ProofFailedError):
        return err.status
    rule = rule_of(err)
    status = Status(code=rule.code, message=_message(err, rule, request_id))
    for detail in _details(err, rule, request_id):
        status.details.add().Pack(detail)
    return status


def log_error(err: BaseException, **facts: str) -> None:
    """Log an error that a caller was sent.

    Server faults are logged in full; of caller errors only the class, because the message may quote the request.
    """
    if rule_of(err).code in _SERVER_FAULTS:
        log.error("failed", **facts, **error_fields(err))
    else:
        log.info("refused", **facts, error=type(err).__name__)


def forget_frames(err: BaseException | None) -> None:
    """Clear the local variables that an error and its causes keep alive, such as a large request.

    Errors that pass through tasks and exit stacks belong to reference cycles, which are collected much later.
    """
    while err is not None:
        traceback.clear_frames(err.__traceback__)
        err = err.__cause__ or err.__context__


def failure_status(reason: str, cause: str, cure: str) -> Status:
    """The error of an operation whose job failed. Messages that may name files of this machine are replaced."""
    rule = _FAILURES.get(reason, _NO_PROOF)
    message = rule.message or f"{cause} {cure}".strip()
    status = Status(code=rule.code, message=message[:_MAX_MESSAGE])
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN))
    return status


def rule_of(err: BaseException) -> StatusRule:
    """The rule of the nearest base class that has one."""
    kinds = err.kind.__mro__ if isinstance(err, service.BadFieldError) else type(err).__mro__
    return next((_RULES[kind] for kind in kinds if kind in _RULES), _UNEXPECTED)


def reason_of(err: BaseException) -> str:
    """The stable name of an error: its class in UPPER_SNAKE; `INTERNAL` for errors from outside zkinfer."""
    if not isinstance(err, domain.ZkinferError):
        return "INTERNAL"
    kind = err.kind if isinstance(err, service.BadFieldError) else type(err)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


def _message(err: BaseException, rule: StatusRule, request_id: str) -> str:
    if rule.message or not isinstance(err, domain.ZkinferError):
        known = f" (request {request_id})" if request_id else ""
        return rule.message.removesuffix(".") + known + "."
    at = f"{err.field}: " if isinstance(err, service.BadFieldError) else ""
    return (at + str(err))[:_MAX_MESSAGE]


def _details(err: BaseException, rule: StatusRule, request_id: str) -> list[Message]:
    details: list[Message] = [ErrorInfo(reason=reason_of(err), domain=DOMAIN, metadata=_metadata(err))]
    if field := getattr(err, "field", rule.field):
        violation = BadRequest.FieldViolation(field=field, description=_message(err, rule, ""), reason=reason_of(err))
        details.append(BadRequest(field_violations=[violation]))
    if (seconds := getattr(err, "retry_after", rule.retry_after)) is not None:
        details.append(RetryInfo(retry_delay=_duration(seconds)))
    if isinstance(err, prover.QuotaExceededError):
        violated = QuotaFailure.Violation(subject="identity", description=err.cause)
        details.append(QuotaFailure(violations=[violated]))
    if isinstance(err, service.UnknownOperationError):
        resource = ResourceInfo(resource_type="google.longrunning.Operation", resource_name=err.name[:200])
        details.append(resource)
    if request_id:
        details.append(RequestInfo(request_id=request_id))
    return details


def _metadata(err: BaseException) -> dict[str, str]:
    """The verification step that rejected an attestation."""
    if isinstance(err, RefusedError) and err.step is not None:
        return {"step": str(err.step.number), "title": err.step.title}
    return {}


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
