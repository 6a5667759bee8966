"""What a client tells its caller; see `zkinfer.circuits.errors` for the tree that these hang from."""

from __future__ import annotations

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RefusedError


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
