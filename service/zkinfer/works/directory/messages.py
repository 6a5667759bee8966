"""Questions to a directory and their limits, for programs that hold no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

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
