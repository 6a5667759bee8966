"""Errors of the client; their root is in `zkinfer.circuits.errors`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.rpc import error_details_pb2, status_pb2

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RefusedError

if TYPE_CHECKING:
    import grpc


class ClientError(ZkinferError):
    """The server could not be reached, or did not do what was requested."""


class CallError(ClientError):
    """A call failed.

    Args:
        cause: the message of the server, or of the connection.
        cure: for connection errors only; the server's message includes its cure.
        code: the gRPC status code, such as `NOT_FOUND`.
        reason: the server's stable error name, such as `UNKNOWN_OPERATION`; empty if there is none.
        retry_after: seconds after which a retry may help, if the server says so.
        request_id: identifies the call in the server's log.
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
    """The proof failed, was cancelled, or its request expired; `reason` says which."""

    def __init__(self, cause: str, *, code: str, reason: str) -> None:
        super().__init__(cause)
        self.code = code
        self.reason = reason


class StillProvingError(ClientError):
    """The timeout has passed before the proof was done; call again to continue waiting."""


class UnprovenAnswerError(RefusedError):
    """The attestation is valid, but its answer differs from the server's."""


_DETAILS = "grpc-status-details-bin"
_WITHOUT_SERVER = {
    "UNAVAILABLE": ("The server cannot be reached", "Check the address, whether it runs, and whether it requires TLS."),
    "DEADLINE_EXCEEDED": ("The server did not respond in time", "Retry with a longer timeout."),
}


# gRPC refuses a message by its size, before zkinfer sees it.
_TOO_LARGE = re.compile(r"SERVER: .*larger than max \((\d+) vs\. (\d+)\)")


def _without_info(code: str, message: str) -> tuple[str, str]:
    """Cause and cure of an error that does not come from zkinfer's server."""
    if code in _WITHOUT_SERVER:
        cause, cure = _WITHOUT_SERVER[code]
        return f"{cause}: {message}.", cure
    if found := _TOO_LARGE.search(message):
        sent, limit = (int(number) for number in found.groups())
        return (
            f"The request has {sent:,} bytes; the server takes up to {limit:,}.",
            "Send less, or ask the server's operator for a larger limits.message_bytes.",
        )
    return message or f"The call ended with {code}.", ""


def call_error(err: grpc.RpcError) -> CallError:
    """The error of a failed call, with the details that the server sent."""
    failed: Any = err  # both kinds of channel raise an object that is also the call
    code, message = failed.code().name, failed.details() or ""
    status = _status(failed)
    info, retry, request = (
        _detail(status, kind)
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.RequestInfo)
    )
    cause, cure = (message, "") if info else _without_info(code, message)
    return CallError(
        cause or f"The call ended with {code}.",
        cure,
        code=code,
        reason=info.reason if info else "",
        retry_after=retry.retry_delay.ToMilliseconds() / 1000 if retry else None,
        request_id=request.request_id if request else "",
    )


def _status(failed: Any) -> Any:  # noqa: ANN401 - of grpc, untyped
    found = [value for key, value in failed.trailing_metadata() or () if key == _DETAILS]
    return status_pb2.Status.FromString(found[0]) if found else status_pb2.Status()


def _detail(status: Any, kind: type[Any]) -> Any:  # noqa: ANN401
    """The detail of this type; None if there is none."""
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None
