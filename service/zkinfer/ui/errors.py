"""Errors of the page; their root is in `zkinfer.circuits.errors`."""

from __future__ import annotations

from zkinfer.circuits.errors import ZkinferError


class ServerError(ZkinferError):
    """The server that the page browses could not be reached, refused, or gave no usable answer.

    Args:
        cause: of the server if it refused, else of the connection.
        cure: what to do.
        status: of the page that says so: 404 if the server does not have what was asked, 504 if it took too long.
    """

    def __init__(self, cause: str, cure: str = "", *, status: int = 502) -> None:
        super().__init__(cause, cure)
        self.status = status
