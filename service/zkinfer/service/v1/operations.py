"""google.longrunning.Operations over the job store. Callers see only their own jobs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from google.longrunning.operations_pb2_grpc import OperationsServicer as Base
from google.longrunning.operations_proto_pb2 import ListOperationsResponse, Operation
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp

from zkinfer.circuits.errors import InputError
from zkinfer.prover.errors import UnknownJobError
from zkinfer.prover.jobs import JobState
from zkinfer.service.error_status import failure_status
from zkinfer.service.errors import UnknownOperationError, in_field
from zkinfer.service.identity import caller
from zkinfer.v1 import values_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.longrunning import operations_proto_pb2 as operations_pb2
    from google.rpc.status_pb2 import Status
    from grpc import aio

    from zkinfer.circuits.statement import Context
    from zkinfer.prover.jobs import Job, JobStore
    from zkinfer.service.background import JobWatcher
    from zkinfer.service.limits import ConcurrencyLimiter


_PREFIX = "operations/proofs/"


def name_of(job_id: str) -> str:
    """The name of the operation of a job."""
    return _PREFIX + job_id


def job_id_of(name: str) -> str:
    """The job id of an operation name; raises UnknownOperationError for a malformed name."""
    job_id = name.removeprefix(_PREFIX)
    if job_id == name or not job_id.isalnum() or len(job_id) > 64:
        raise UnknownOperationError(name)
    return job_id


@dataclass(frozen=True, slots=True)
class EndTimeEstimator:
    """Estimates when jobs end, from their predicted durations; `workers` prove at a time.

    The estimate assumes that the jobs ahead in the queue take as long as this one.
    """

    workers: int = 1
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def end(self, job: Job, position: int | None) -> datetime | None:
        """The estimated end; None for a finished job, or if nothing is known."""
        seconds = job.request.seconds
        if job.state.final or seconds <= 0 or (job.state == JobState.QUEUED and position is None):
            return None
        now = self.clock()
        if job.state == JobState.QUEUED:
            rounds = (position or 0) // max(1, self.workers) + 1
            return max(now, job.not_before or now) + timedelta(seconds=seconds * rounds)
        return max(now, (job.started_at or now) + timedelta(seconds=seconds))


def operation_of(job: Job, estimates: EndTimeEstimator, position: int | None = None) -> Operation:
    """The operation of a job; `position` in the queue, if known."""
    operation = Operation(name=name_of(job.id), done=job.state.final)
    operation.metadata.Pack(metadata_of(job, estimates, position))
    if job.state == JobState.SUCCEEDED:
        operation.response.Pack(_proof(job))
    elif job.state.final:
        operation.error.CopyFrom(error_of(job))
    return operation


def metadata_of(job: Job, estimates: EndTimeEstimator, position: int | None = None) -> values_pb2.ProofMetadata:
    """The metadata of an operation: state, progress and times."""
    request = job.request
    return values_pb2.ProofMetadata(
        model=request.model,
        version=request.version,
        model_id=request.model_id,
        circuit_digest=str(request.circuit),
        outputs_digest=str(request.outputs),
        context=context_message(request.context),
        request_id=request.request_id or "",
        state=values_pb2.ProofState.Value(f"PROOF_STATE_{job.state}"),
        progress=job.progress,
        queue_position=position if job.state == JobState.QUEUED else None,
        attempt=job.attempt,
        cancel_requested=job.cancel_requested,
        create_time=timestamp(job.created_at),
        start_time=timestamp(job.started_at),
        end_time=timestamp(job.finished_at),
        estimated_end_time=timestamp(estimates.end(job, position)),
        expire_time=timestamp(request.deadline),
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A time as a message; None stays absent."""
    if moment is None:
        return None
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def _proof(job: Job) -> values_pb2.Proof:
    return values_pb2.Proof(
        operation=name_of(job.id),
        attestation_digest=str(job.attestation),
        attestation_size=job.attestation_bytes,
        model_id=job.request.model_id,
    )


def error_of(job: Job) -> Status:
    """The error of a final job without an attestation."""
    if job.state == JobState.CANCELLED:
        return failure_status("CANCELLED", "The proof was cancelled.", "")
    if job.state == JobState.EXPIRED:
        return failure_status("EXPIRED", "The request expired before its proof was made.", "Retry with a later expiry.")
    failure = job.failure
    if failure is None:
        return failure_status("UNKNOWN", "", "")
    return failure_status(failure.reason, failure.cause, failure.cure)


_MARGIN = 0.2  # seconds before the caller's deadline, to respond before the call is cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsServicer(Base):  # type: ignore[misc] # generated without types
    """Get, wait for, list, cancel and delete operations.

    Args:
        store: of jobs.
        watcher: of the same store.
        waiting: limits the calls that wait; beyond the limit, calls return immediately.
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
        """Cancel an operation: immediately if queued, soon if running, without effect if done."""
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
        """The caller's job of that name; raises UnknownOperationError if it does not exist or belongs to another."""
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


def context_message(context: Context) -> values_pb2.Context:
    """The message with all five fields."""
    return values_pb2.Context(
        chain_id=str(context.chain_id),
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
        expiry=context.expiry,
    )
