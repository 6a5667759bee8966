"""gRPC's errors as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.rpc import error_details_pb2, status_pb2

from zkinfer.client.errors import CallError

if TYPE_CHECKING:
    import grpc

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
