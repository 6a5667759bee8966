"""Errors over HTTP: problem documents (RFC 9457), with the causes and cures of the gRPC statuses.

`detail` is the status's complete message, and `error` repeats it, because clients of the Open Inference Protocol show
that member and nothing else.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo

from zkinfer.service.error_status import status_of
from zkinfer.service.errors import BadFieldError, RequestTooLargeError

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status

CONTENT_TYPE = "application/problem+json"
_STATUSES = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.NOT_FOUND: 404,
    code_pb2.UNIMPLEMENTED: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.ABORTED: 409,
    code_pb2.CANCELLED: 409,
    code_pb2.FAILED_PRECONDITION: 409,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DEADLINE_EXCEEDED: 504,
}
_BY_REASON = {"LATE_REQUEST": 408, "REQUEST_TOO_LARGE": 413}


def http_status(status: Status) -> int:
    """The HTTP status of an error: by its reason, else by its code; 500 for the server's own faults."""
    info = _detail(status, ErrorInfo())
    return _BY_REASON.get(info.reason) or _STATUSES.get(status.code, 500)


def problem_of(status: Status, number: int) -> dict[str, Any]:
    """The problem document of an error.

    Args:
        status: of gRPC, with its details.
        number: the HTTP status.
    """
    info, fields = _detail(status, ErrorInfo()), _detail(status, BadRequest())
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(number).phrase,
        "status": number,
        "detail": status.message,
        "error": status.message,
        "code": code_pb2.Code.Name(status.code),
        "reason": info.reason,
    }
    if fields.field_violations:
        document["field"] = fields.field_violations[0].field
    if "step" in info.metadata:
        document["step"] = int(info.metadata["step"])
    if (seconds := retry_seconds(status)) is not None:
        document["retry_after"] = seconds
    if known := _detail(status, RequestInfo()).request_id:
        document["request_id"] = known
    return document


def headers_of(status: Status, number: int, allowed: tuple[str, ...] = ()) -> dict[str, str]:
    """The headers that go with a problem document."""
    headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    if number == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    if allowed:
        headers["allow"] = ", ".join(allowed)
    if (seconds := retry_seconds(status)) is not None:
        headers["retry-after"] = str(math.ceil(seconds))
    return headers


def retry_seconds(status: Status) -> float | None:
    """Seconds after which a retry may help; None if it would not."""
    info = _detail(status, RetryInfo())
    return float(info.retry_delay.ToMilliseconds() / 1000) if info.HasField("retry_delay") else None


def headers_too_large() -> RequestTooLargeError:
    """The error for a head over the limit."""
    return RequestTooLargeError("The headers are too large.", "Send fewer or shorter ones.")


def unreadable_request(number: int) -> tuple[int, bytes]:
    """Status and problem document for what cannot be read as a request of HTTP.

    Args:
        number: the status that the parser suggests.
    """
    too_large = number == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    err = headers_too_large() if too_large else BadFieldError("request", "It is not a request of HTTP/1.1.")
    number = number if too_large else int(HTTPStatus.BAD_REQUEST)
    return number, json.dumps(problem_of(status_of(err), number)).encode()


def _detail(status: Status, kind: Any) -> Any:  # noqa: ANN401 - a message type, and a message of it
    """The detail of a type; empty if there is none."""
    for detail in status.details:
        if detail.Unpack(kind):
            break
    return kind
