"""zkinfer.v1.Works: what the server's directory knows of registered works."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from zkinfer.service.errors import TooManyRequestsError, UnknownMethodError
from zkinfer.service.identity import caller
from zkinfer.v1.works_pb2_grpc import WorksServicer as Base

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from grpc import aio

    from zkinfer.service.limits import ConcurrencyLimiter
    from zkinfer.v1 import works_pb2
    from zkinfer.works.directory.lookup import BoundManifest, Directory

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorksServicer(Base):
    """See proto/zkinfer/v1/works.proto.

    Every method raises UnknownMethodError if the server has no directory, and as `Directory` does.

    Args:
        directory: of the works; None if the server has none.
        files: limits the files that are looked at, each of which takes a child process and a second.
        threads: wait for those processes, one for each file, so that files take no thread from other answers.
    """

    directory: Directory | None
    files: ConcurrencyLimiter
    threads: Executor

    async def GetWork(
        self, request: works_pb2.GetWorkRequest, context: aio.ServicerContext[object, object]
    ) -> works_pb2.Work:
        """One work."""
        return await asyncio.to_thread(self.require_known().work, request.work)

    async def LookupWork(
        self, request: works_pb2.LookupWorkRequest, context: aio.ServicerContext[object, object]
    ) -> works_pb2.LookupWorkResponse:
        """The works that a digest, a fingerprint or a file finds."""
        known = self.require_known()
        if request.WhichOneof("query") != "content":
            return await asyncio.to_thread(known.lookup, request)
        return await self._looked_at(lambda: known.lookup(request))

    async def CheckAuthorisation(
        self, request: works_pb2.CheckAuthorisationRequest, context: aio.ServicerContext[object, object]
    ) -> works_pb2.Authorisation:
        """Whether somebody may use a work now."""
        return await asyncio.to_thread(self.require_known().authorisation, request)

    async def manifest(self, manifest_id: str) -> bytes:
        """A C2PA manifest store."""
        return await asyncio.to_thread(self.require_known().manifest, manifest_id)

    async def manifests_by_iscc(self, iscc: str, most: int) -> list[BoundManifest]:
        """The manifests of works with a similar fingerprint, best first."""
        return await asyncio.to_thread(self.require_known().manifests_by_iscc, iscc, most)

    async def manifests_by_content(self, content: bytes, most: int) -> list[BoundManifest]:
        """The manifests of works that a file finds, best first."""
        known = self.require_known()
        return await self._looked_at(lambda: known.manifests_by_content(content, most))

    def require_known(self) -> Directory:
        """The directory; raises UnknownMethodError if the server has none."""
        if self.directory is None:
            raise UnknownMethodError("This server knows no works.", "Start it with `zkinfer serve --works DB`.")
        return self.directory

    async def _looked_at(self, look: Callable[[], ResultT]) -> ResultT:
        """What a look at a file gives. Its slot is held until it ends, also if the caller leaves before."""
        slot = ExitStack()
        slot.enter_context(self.files.slot(caller().name))
        looking = asyncio.get_running_loop().run_in_executor(self.threads, look)
        looking.add_done_callback(lambda _: slot.close())
        return await asyncio.shield(looking)


def too_many_files() -> TooManyRequestsError:
    """The error for files beyond the limit."""
    return TooManyRequestsError(
        "Too many files are being looked up, of all callers or of this one.",
        "Retry in a moment, or look up the SHA-256 or the ISCC.",
    )
