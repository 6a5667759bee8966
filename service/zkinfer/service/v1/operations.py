"""google.longrunning.Operations over the store of jobs. Everybody sees their own jobs, and no others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from google.longrunning.operations_pb2_grpc import OperationsServicer as Base
from google.longrunning.operations_proto_pb2 import ListOperationsResponse, Operation
from google.protobuf.empty_pb2 import Empty

from zkinfer.prover.errors import UnknownJobError
from zkinfer.prover.jobs import JobState
from zkinfer.service.errors import UnknownOperationError, blaming
from zkinfer.service.identity import caller
from zkinfer.service.v1.filters import read_filter
from zkinfer.service.v1.operation_messages import Estimates, job_id_of, operation_of

if TYPE_CHECKING:
    from google.longrunning import operations_proto_pb2 as operations_pb2
    from grpc import aio

    from zkinfer.prover.jobs import Job, JobStore
    from zkinfer.service.job_events import Watch
    from zkinfer.service.limits import Shares

_MARGIN = 0.2  # seconds before the caller's deadline, to answer rather than to be cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsServicer(Base):  # type: ignore[misc] # generated without types
    """Get, await, list, cancel and delete.

    Args:
        store: of jobs.
        watch: of the same store.
        lingering: callers who wait; where there are too many, one more is answered at once.
        estimates: of when jobs end.
        longest_wait: seconds that one call may wait.
        page_size: most operations of one page.
    """

    store: JobStore
    watch: Watch
    lingering: Shares
    estimates: Estimates = field(default_factory=Estimates)
    longest_wait: float = 60.0
    page_size: int = 100

    async def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Operation:
        """How an operation is now."""
        return await self.shown(await self.own_job(request.name))

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Operation:
        """How an operation is as soon as it is done, or when the time is over: ask again then."""
        job = await self.own_job(request.name)
        wanted = request.timeout.ToMilliseconds() / 1000 if request.HasField("timeout") else self.longest_wait
        left: float | None = context.time_remaining()  # None without a deadline, whatever its stub says
        seconds = min(wanted, self.longest_wait, *([] if left is None else [left - _MARGIN]))
        if self.lingering.is_full(caller().name):
            return await self.shown(job)
        with self.lingering.one(caller().name):
            return await self.shown(await self.watch.final(job.id, max(0.0, seconds)))

    async def ListOperations(
        self, request: operations_pb2.ListOperationsRequest, context: aio.ServicerContext[object, object]
    ) -> ListOperationsResponse:
        """The caller's operations, newest first."""
        with blaming("name"):
            if request.name not in ("", "operations", "operations/proofs"):
                raise UnknownOperationError(request.name)
        with blaming("filter"):
            wanted = read_filter(request.filter)
        size = min(request.page_size, self.page_size) if request.page_size > 0 else self.page_size
        listed = partial(self.store.page, owner=caller().name, states=wanted.states, model=wanted.model)
        with blaming("page_token"):
            page = await asyncio.to_thread(listed, size=size, token=request.page_token)
        shown = [operation_of(job, self.estimates) for job in page.jobs]
        return ListOperationsResponse(operations=shown, next_page_token=page.next_token or "")

    async def CancelOperation(
        self, request: operations_pb2.CancelOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Empty:
        """Cancel: at once while it waits, soon while it is worked on, without effect when it is done."""
        job = await self.own_job(request.name)
        await asyncio.to_thread(self.store.cancel, job.id)
        return Empty()

    async def DeleteOperation(
        self, request: operations_pb2.DeleteOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Empty:
        """Forget an operation that is done, and its attestation."""
        job = await self.own_job(request.name)
        await asyncio.to_thread(self.store.delete, job.id)
        return Empty()

    async def own_job(self, name: str) -> Job:
        """The caller's job of that name; raises UnknownOperationError for another's as for one that never was."""
        try:
            job = await asyncio.to_thread(self.store.get, job_id_of(name))
        except UnknownJobError as err:
            raise UnknownOperationError(name) from err
        if job.request.owner != caller().name:
            raise UnknownOperationError(name)
        return job

    async def shown(self, job: Job) -> Operation:
        """A job as an operation, with its place in the queue."""
        position = await asyncio.to_thread(self.store.position, job) if job.state == JobState.QUEUED else None
        return operation_of(job, self.estimates, position)
