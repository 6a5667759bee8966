"""The client of a server's directory of works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, Unpack

import grpc

from zkinfer.client.connection import Connection
from zkinfer.client.errors import call_error
from zkinfer.v1 import works_pb2
from zkinfer.v1.works_pb2_grpc import WorksStub

if TYPE_CHECKING:
    from types import TracebackType

    from zkinfer.client.connection import Options

TIMEOUT: Final = 60.0


class WorksClient:
    """What a server knows of registered works: its word, and that of the chain that it followed. Close it, or use it in
    a `with` statement.

    Every method raises CallError if the server rejects the call or does not answer in time.

    Args:
        target: `host:port` or `unix:/path`.
        options: token, TLS and others; see `Connection`.
    """

    def __init__(self, target: str, **options: Unpack[Options]) -> None:
        self._connection = Connection(target=target, **options)
        self._channel = self._connection.channel()
        self._stub = WorksStub(self._channel)

    def work(self, work: str) -> works_pb2.Work:
        """One registered work, by its id: 0x and 64 hex digits."""
        request = works_pb2.GetWorkRequest(work=work)
        try:
            return self._stub.GetWork(request, timeout=TIMEOUT, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    def lookup(self, request: works_pb2.LookupWorkRequest) -> works_pb2.LookupWorkResponse:
        """The works that a digest, a fingerprint or a file finds, best first."""
        try:
            return self._stub.LookupWork(request, timeout=TIMEOUT, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    def authorisation(self, request: works_pb2.CheckAuthorisationRequest) -> works_pb2.Authorisation:
        """Whether a licence covers a use of a work now."""
        try:
            return self._stub.CheckAuthorisation(request, timeout=TIMEOUT, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
