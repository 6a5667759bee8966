"""What a client tells its caller; see `zkinfer.circuits.errors` for the tree that these hang from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.rpc import error_details_pb2, status_pb2

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RefusedError

if TYPE_CHECKING:
    import grpc


class ClientError(ZkinferError):
    """A server could not be used, or did not do what was asked."""


class CallError(ClientError):
    """A call ended without an answer.

    Args:
        cause: what the server says, or the connection.
        cure: where the server could not say one.
        code: of gRPC, `NOT_FOUND`.
        reason: the server's stable name of the error, `UNKNOWN_OPERATION`; empty where it gave none.
        retry_after: seconds in which trying again may help, if the server says so.
        request_id: by which the server's log knows the call.
    """

    def __init__(
        self,
        cause: str,
        cure: str = "",
        *,
        code: str,
        reason: str = "",
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(cause, cure)
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        self.request_id = request_id


class ProofFailedError(ClientError):
    """There will be no proof: it failed, was cancelled, or its request expired; `reason` says which."""

    def __init__(self, cause: str, *, code: str, reason: str) -> None:
        super().__init__(cause)
        self.code = code
        self.reason = reason


class StillProvingError(ClientError):
    """The time that the caller gave is over and the proof is not there yet; asking again goes on waiting."""


class UnprovenAnswerError(RefusedError):
    """The attestation holds, but is about another answer than the one that was given."""


_DETAILS = "grpc-status-details-bin"
_WITHOUT_SERVER = {
    "UNAVAILABLE": ("The server cannot be reached", "Check the address, whether it runs, and whether it wants TLS."),
    "DEADLINE_EXCEEDED": ("The server did not answer in time", "Try again, with more time."),
}


def call_error(err: grpc.RpcError) -> CallError:
    """What a failed call means, with the details that the server gave."""
    failed: Any = err  # both kinds of channel raise what is an error and a call in one
    code, said = failed.code().name, failed.details() or ""
    status = _status(failed)
    info, retry, request = (
        _detail(status, kind)
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.RequestInfo)
    )
    known = _WITHOUT_SERVER.get(code) if info is None else None
    return CallError(
        f"{known[0]}: {said}." if known else said or f"The call ended with {code}.",
        known[1] if known else "",
        code=code,
        reason=info.reason if info else "",
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry else None,
        request_id=request.request_id if request else "",
    )


def _status(failed: Any) -> Any:  # noqa: ANN401 - of grpc, untyped
    found = [value for key, value in failed.trailing_metadata() or () if key == _DETAILS]
    return status_pb2.Status.FromString(found[0]) if found else status_pb2.Status()


def _detail(status: Any, kind: type[Any]) -> Any:  # noqa: ANN401
    """The detail of a kind; None where there is none."""
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None
