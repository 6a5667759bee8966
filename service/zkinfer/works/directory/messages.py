"""Questions to a directory, and answers as JSON documents, for programs that hold neither a database nor a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from zkinfer.v1 import works_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_RESULTS: Final = 10
MAX_RESULTS: Final = 100
MAX_CONTENT_BYTES: Final = 16 << 20
"""Of a file that is looked up."""


def lookup_request(
    kind: Literal["sha256", "iscc", "content"],
    value: str | bytes,
    *,
    distance: int | None = None,
    max_results: int = 0,
    subject: str = "",
    uses: Iterable[str] = (),
) -> works_pb2.LookupWorkRequest:
    """A question about a digest, a fingerprint or a file; see `LookupWorkRequest` for the arguments."""
    request = works_pb2.LookupWorkRequest(distance=distance, max_results=max_results, subject=subject, uses=uses)
    setattr(request, kind, value)
    return request


def document_of(message: Message) -> dict[str, Any]:
    """The JSON form of an answer, as over HTTP: fields that can be absent only if they are set, all others always."""
    return {
        field.name: _values(getattr(message, field.name)) if field.is_repeated else _value(getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _values(some: Iterable[Any]) -> list[Any]:
    return [_value(one) for one in some]


def _value(value: Any) -> Any:  # noqa: ANN401 - any field
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    return document_of(value) if isinstance(value, Message) else value
