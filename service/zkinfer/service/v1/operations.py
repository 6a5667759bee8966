"""google.longrunning.Operations over the job store. Callers see only their own jobs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from google.longrunning.operations_pb2_grpc import OperationsServicer as Base
from google.longrunning.operations_proto_pb2 import ListOperationsResponse, Operation
from google.protobuf.empty_pb2 import Empty

from zkinfer.circuits.errors import InputError
from zkinfer.prover.errors import UnknownJobError
from zkinfer.prover.jobs import JobState
from zkinfer.service.errors import UnknownOperationError, in_field
from zkinfer.service.identity import caller
from zkinfer.service.v1.operation_messages import EndTimeEstimator, job_id_of, operation_of

if TYPE_CHECKING:
    from google.longrunning import operations_proto_pb2 as operations_pb2
    from grpc import aio

    from zkinfer.prover.jobs import Job, JobStore
    from zkinfer.service.job_events import JobWatcher
    from zkinfer.service.limits import ConcurrencyLimiter

_MARGIN = 0.2  # seconds before the caller's deadline, to respond before the call is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsServicer(Base):  # type: ignore[misc] # generated without types
    """Get, wait for, list, cancel and delete operations.

    Args:
        store: of jobs.
        watcher: of the same store.
        waiting: limits the calls that wait; beyond the limit, calls return at once.
        estimates: of when jobs end.
        longest_wait: seconds that one call may wait.
        page_size: most operations in one page.
    """

    store: JobStore
    watcher: JobWatcher
    waiting: ConcurrencyLimiter
    estimates: EndTimeEstimator = field(default_factory=EndTimeEstimator)
    longest_wait: float = 60.0
    page_size: int = 100

    async def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Operation:
        """The current state of an operation."""
        return await self.operation(await self.own_job(request.name))

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Operation:
        """The operation once it is done, or its current state after the timeout."""
        job = await self.own_job(request.name)
        wanted = request.timeout.ToMilliseconds() / 1000 if request.HasField("timeout") else self.longest_wait
        left: float | None = context.time_remaining()  # None without a deadline, whatever its stub says
        seconds = min(wanted, self.longest_wait, *([] if left is None else [left - _MARGIN]))
        if self.waiting.is_full(caller().name):
            return await self.operation(job)
        with self.waiting.slot(caller().name):
            return await self.operation(await self.watcher.wait_final(job.id, max(0.0, seconds)))

    async def ListOperations(
        self, request: operations_pb2.ListOperationsRequest, context: aio.ServicerContext[object, object]
    ) -> ListOperationsResponse:
        """The caller's operations, newest first."""
        with in_field("name"):
            if request.name not in ("", "operations", "operations/proofs"):
                raise UnknownOperationError(request.name)
        with in_field("filter"):
            wanted = read_filter(request.filter)
        size = min(request.page_size, self.page_size) if request.page_size > 0 else self.page_size
        listed = partial(self.store.page, owner=caller().name, states=wanted.states, model=wanted.model)
        with in_field("page_token"):
            page = await asyncio.to_thread(listed, size=size, token=request.page_token)
        shown = [operation_of(job, self.estimates) for job in page.jobs]
        return ListOperationsResponse(operations=shown, next_page_token=page.next_token or "")

    async def CancelOperation(
        self, request: operations_pb2.CancelOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Empty:
        """Cancel an operation: at once if queued, soon if running, without effect if done."""
        job = await self.own_job(request.name)
        await asyncio.to_thread(self.store.cancel, job.id)
        return Empty()

    async def DeleteOperation(
        self, request: operations_pb2.DeleteOperationRequest, context: aio.ServicerContext[object, object]
    ) -> Empty:
        """Delete a finished operation and its attestation."""
        job = await self.own_job(request.name)
        await asyncio.to_thread(self.store.delete, job.id)
        return Empty()

    async def own_job(self, name: str) -> Job:
        """The caller's job of that name; raises UnknownOperationError if it does not exist or is another caller's."""
        try:
            job = await asyncio.to_thread(self.store.get, job_id_of(name))
        except UnknownJobError as err:
            raise UnknownOperationError(name) from err
        if job.request.owner != caller().name:
            raise UnknownOperationError(name)
        return job

    async def operation(self, job: Job) -> Operation:
        """A job as an operation, with its position in the queue."""
        position = await asyncio.to_thread(self.store.position, job) if job.state == JobState.QUEUED else None
        return operation_of(job, self.estimates, position)


_TERM = re.compile(r'\s*(?P<name>[a-z]+)\s*=\s*(?:"(?P<quoted>[^"\\\x00]*)"|(?P<bare>[A-Za-z0-9_.-]+))\s*')
_MAX_FILTER = 512
_FILTER_HELP = 'Join terms with AND: state = QUEUED, done = true, model = "name".'


@dataclass(frozen=True, slots=True)
class Filter:
    """The jobs to list; empty for all."""

    states: tuple[JobState, ...] = ()
    model: str | None = None


def read_filter(text: str) -> Filter:
    """Parse a filter; raises InputError if it is malformed."""
    if len(text) > _MAX_FILTER:
        raise InputError(f"The filter has more than {_MAX_FILTER} characters.", _FILTER_HELP)
    if not text.strip():
        return Filter()
    terms: dict[str, str] = {}
    for part in re.split(r"\bAND\b", text):
        match = _TERM.fullmatch(part)
        if match is None or match["name"] not in ("state", "done", "model") or match["name"] in terms:
            raise InputError(f"{part.strip()!r:.80} is not a term of a filter, or is repeated.", _FILTER_HELP)
        terms[match["name"]] = match["quoted"] if match["bare"] is None else match["bare"]
    return Filter(_states(terms), terms.get("model"))


def _states(terms: dict[str, str]) -> tuple[JobState, ...]:
    wanted = set(JobState)
    if "done" in terms:
        if terms["done"] not in ("true", "false"):
            raise InputError(f"done is true or false, not {terms['done']!r:.40}.", _FILTER_HELP)
        wanted = {state for state in wanted if state.final == (terms["done"] == "true")}
    if "state" in terms:
        if terms["state"] not in set(JobState):
            raise InputError(f"{terms['state']!r:.40} is not a state.", f"The states are {', '.join(JobState)}.")
        wanted &= {JobState(terms["state"])}
    if not wanted:
        raise InputError("No state satisfies both terms.", _FILTER_HELP)
    return tuple(state for state in JobState if state in wanted) if len(wanted) < len(JobState) else ()
