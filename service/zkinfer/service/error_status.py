"""Errors as a caller over gRPC sees them: a `google.rpc.Status` with details, and a sentence that stands alone.

Many clients keep only code and sentence, so the sentence has it all. What may name files of this machine or hold
what a model computed is replaced by a sentence that does not; the log has the rest under the request's id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RequestInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from zkinfer.circuits import errors as domain
from zkinfer.prover import errors as prover
from zkinfer.service import errors as service
from zkinfer.service.logs import described, log
from zkinfer.verifier.errors import EmptyPolicyError, KeyFileError, PolicyFileError, RefusedError

if TYPE_CHECKING:
    from google.protobuf.message import Message

DOMAIN = "zkinfer"
_MAX_SENTENCE = 1500  # details and sentence travel in headers, of which clients take about 8 kB
_HIDDEN = "Its operator finds the reason in the server's log"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one class of errors, and what hangs below it, is told to a caller.

    Args:
        code: of `google.rpc.Code`.
        instead: a sentence in place of the error's own, which may name files; empty for its own.
        field: of the request, where the error does not say one.
        retry_after: seconds, where trying again helps and the error does not say when.
    """

    code: code_pb2.Code
    instead: str = ""
    field: str = ""
    retry_after: float | None = None


_RULES: dict[type[Exception], Rule] = {
    domain.ZkinferError: Rule(code_pb2.INTERNAL, f"The server failed. {_HIDDEN}."),
    domain.InputError: Rule(code_pb2.INVALID_ARGUMENT),
    domain.ModelError: Rule(code_pb2.FAILED_PRECONDITION, f"The server cannot use this model. {_HIDDEN}."),
    domain.SetupError: Rule(code_pb2.FAILED_PRECONDITION, f"The server lacks the trusted setup. {_HIDDEN}."),
    domain.CircuitError: Rule(code_pb2.FAILED_PRECONDITION, f"The server cannot use this circuit. {_HIDDEN}."),
    domain.EngineError: Rule(code_pb2.INTERNAL, f"The proving engine failed. {_HIDDEN}."),
    domain.EngineCrashedError: Rule(code_pb2.UNAVAILABLE, "The engine's process died. Try again.", retry_after=1.0),
    domain.EngineMemoryError: Rule(
        code_pb2.RESOURCE_EXHAUSTED, "The engine ran out of memory on this server.", retry_after=30.0
    ),
    domain.RangeError: Rule(code_pb2.INVALID_ARGUMENT, field="inputs"),
    domain.StoppedError: Rule(code_pb2.CANCELLED),
    prover.JobError: Rule(code_pb2.FAILED_PRECONDITION),
    prover.UnknownJobError: Rule(code_pb2.NOT_FOUND),
    prover.RequestConflictError: Rule(code_pb2.ALREADY_EXISTS, field="request_id"),
    prover.DeadlinePassedError: Rule(code_pb2.INVALID_ARGUMENT, field="context.expiry"),
    prover.LeaseLostError: Rule(code_pb2.ABORTED),
    prover.QueueFullError: Rule(code_pb2.RESOURCE_EXHAUSTED),
    domain.TooCostlyError: Rule(code_pb2.FAILED_PRECONDITION),
    prover.StoreError: Rule(
        code_pb2.UNAVAILABLE, f"The server cannot keep jobs at the moment. {_HIDDEN}.", retry_after=5.0
    ),
    prover.ArtifactDamagedError: Rule(code_pb2.DATA_LOSS, f"What the server kept was damaged. {_HIDDEN}."),
    prover.RepositoryError: Rule(
        code_pb2.UNAVAILABLE, f"The server cannot read its models. {_HIDDEN}.", retry_after=5.0
    ),
    prover.ModelNotFoundError: Rule(code_pb2.NOT_FOUND),
    prover.ModelUnavailableError: Rule(code_pb2.UNAVAILABLE),
    prover.BusyError: Rule(code_pb2.RESOURCE_EXHAUSTED),
    KeyFileError: Rule(code_pb2.INTERNAL, f"The server failed. {_HIDDEN}."),
    PolicyFileError: Rule(code_pb2.INVALID_ARGUMENT, field="policy"),
    RefusedError: Rule(code_pb2.INVALID_ARGUMENT, field="attestation"),
    EmptyPolicyError: Rule(code_pb2.INVALID_ARGUMENT, field="policy"),
    service.TokenFileError: Rule(
        code_pb2.UNAVAILABLE, f"The server cannot read its tokens. {_HIDDEN}.", retry_after=5.0
    ),
    service.ServiceError: Rule(code_pb2.INTERNAL),
    service.UnauthenticatedError: Rule(code_pb2.UNAUTHENTICATED),
    service.ForbiddenError: Rule(code_pb2.PERMISSION_DENIED),
    service.UnknownMethodError: Rule(code_pb2.UNIMPLEMENTED),
    service.UnknownOperationError: Rule(code_pb2.NOT_FOUND),
    service.NotReadyError: Rule(code_pb2.FAILED_PRECONDITION),
    service.ProofPendingError: Rule(code_pb2.DEADLINE_EXCEEDED),
    service.LateRequestError: Rule(code_pb2.DEADLINE_EXCEEDED, retry_after=1.0),
    service.TooManyRequestsError: Rule(code_pb2.RESOURCE_EXHAUSTED),
}
_OURS = (code_pb2.INTERNAL, code_pb2.UNAVAILABLE, code_pb2.FAILED_PRECONDITION, code_pb2.DATA_LOSS)
_UNFORESEEN = Rule(code_pb2.INTERNAL, f"The server failed. {_HIDDEN}.")
_FAILURES = {
    "RANGE": Rule(code_pb2.INVALID_ARGUMENT),
    "OUT_OF_MEMORY": Rule(code_pb2.RESOURCE_EXHAUSTED),
    "TIMEOUT": Rule(code_pb2.DEADLINE_EXCEEDED),
    "EXPIRED": Rule(code_pb2.DEADLINE_EXCEEDED),
    "CANCELLED": Rule(code_pb2.CANCELLED),
    "OUTPUTS_DIFFER": Rule(code_pb2.DATA_LOSS),
    "CIRCUIT_GONE": Rule(
        code_pb2.FAILED_PRECONDITION, "The circuit that answered is no longer served. Ask for a new answer."
    ),
    "ATTEMPTS_EXHAUSTED": Rule(
        code_pb2.INTERNAL, "The proof was begun as often as it may be, and never finished. Ask again later."
    ),
}
_NO_PROOF = Rule(code_pb2.INTERNAL, f"The proof could not be made. {_HIDDEN}.")


class ProofFailedError(service.ServiceError):
    """The proof that the caller waits for will not be; `status` says why, as the operation's error does."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def status_of(err: BaseException, request_id: str = "") -> Status:
    """What a caller is told of an error: code, sentence, and the details that fit."""
    if isinstance(err, ProofFailedError):
        return err.status
    rule = rule_of(err)
    status = Status(code=rule.code, message=_sentence(err, rule, request_id))
    for detail in _details(err, rule, request_id):
        status.details.add().Pack(detail)
    return status


def note(err: BaseException, **facts: str) -> None:
    """Put an error that a caller was told into the log.

    What the caller did wrong is theirs, and may quote what they sent; what is wrong here is told in full.
    """
    if rule_of(err).code in _OURS:
        log.error("failed", **facts, **described(err))
    else:
        log.info("refused", **facts, error=type(err).__name__)


def failure_status(reason: str, cause: str, cure: str) -> Status:
    """Why a job failed, as an operation's error. Sentences that may name files of this machine are replaced."""
    rule = _FAILURES.get(reason, _NO_PROOF)
    sentence = rule.instead or f"{cause} {cure}".strip()
    status = Status(code=rule.code, message=sentence[:_MAX_SENTENCE])
    status.details.add().Pack(ErrorInfo(reason=reason, domain=DOMAIN))
    return status


def rule_of(err: BaseException) -> Rule:
    """The rule of the nearest class that has one."""
    kinds = err.kind.__mro__ if isinstance(err, service.BadFieldError) else type(err).__mro__
    return next((_RULES[kind] for kind in kinds if kind in _RULES), _UNFORESEEN)


def reason_of(err: BaseException) -> str:
    """The stable name of an error: its class in UPPER_SNAKE; `INTERNAL` for what is none of zkinfer's."""
    if not isinstance(err, domain.ZkinferError):
        return "INTERNAL"
    kind = err.kind if isinstance(err, service.BadFieldError) else type(err)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


def _sentence(err: BaseException, rule: Rule, request_id: str) -> str:
    if rule.instead or not isinstance(err, domain.ZkinferError):
        known = f" (request {request_id})" if request_id else ""
        return rule.instead.removesuffix(".") + known + "."
    at = f"{err.field}: " if isinstance(err, service.BadFieldError) else ""
    return (at + str(err))[:_MAX_SENTENCE]


def _details(err: BaseException, rule: Rule, request_id: str) -> list[Message]:
    details: list[Message] = [ErrorInfo(reason=reason_of(err), domain=DOMAIN, metadata=_metadata(err))]
    if field := getattr(err, "field", rule.field):
        violation = BadRequest.FieldViolation(field=field, description=_sentence(err, rule, ""), reason=reason_of(err))
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
    """The step of the verification that refused an attestation."""
    if isinstance(err, RefusedError) and err.step is not None:
        return {"step": str(err.step.number), "title": err.step.title}
    return {}


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration
