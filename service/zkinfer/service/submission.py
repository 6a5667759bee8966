"""Submission of requests: compute the answer now and, if a proof is requested, store a durable job that proves it."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar, TypeVarTuple

import structlog
from pydantic import BaseModel, ConfigDict

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import TooCostlyError
from zkinfer.circuits.statement import ZERO_ADDRESS, Context
from zkinfer.circuits.tensor_files import conform
from zkinfer.prover.errors import QueueFullError, QuotaExceededError, StoreError
from zkinfer.prover.jobs import JobRequest
from zkinfer.prover.quantised_inputs import integers_of, integers_to_bytes, refuse_out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.inference import Answer, Arrays, InferencePools
    from zkinfer.prover.jobs import Job, JobStore, QueueLimits, Submission
    from zkinfer.prover.quantised_inputs import Inputs
    from zkinfer.prover.repository import ModelRepository, ModelVersion
    from zkinfer.service.identity import Identity
    from zkinfer.service.limits import CostEstimator, MemoryBudget

Mode = Literal["none", "async", "sync"]
AnswerT = TypeVar("AnswerT")
ArgumentsT = TypeVarTuple("ArgumentsT")
_BYTES32 = re.compile(r"0x[0-9a-f]{64}")
_FEW_ELEMENTS = 1 << 12
_MAX_EXPIRY = 253_402_300_799  # end of the year 9999; a later expiry means none
_THREADS = 8
_PRECHECK_SECONDS = 5.0
_NO_OUTPUTS = sha256(b"")
_REQUEST_BYTES, _ELEMENT_BYTES = 4096, 80


class ProofRequest(BaseModel):
    """Whether a proof is requested, and its context; see `zkinfer.circuits.statement.Context`.

    `request_id` is the caller's idempotency key: the same key gives the same job. If it is 0x and 64 hex digits, it is
    also the context's request id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mode: Mode = "async"
    request_id: str | None = None
    chain_id: int = 0
    consumer: str = ZERO_ADDRESS
    requester: str = ZERO_ADDRESS
    expiry: int = 0
    floats: bool = False

    @property
    def fixes_request_id(self) -> bool:
        """Whether the caller determines the context's request id."""
        return self.request_id is not None and _BYTES32.fullmatch(self.request_id) is not None

    def context(self) -> Context:
        """The context of the proof, with a random request id unless the caller gave one."""
        request_id = self.request_id if self.fixes_request_id else Context.offline().request_id
        fields = {"chainId": self.chain_id, "consumer": self.consumer, "requester": self.requester}
        return Context.model_validate(fields | {"requestId": request_id, "expiry": self.expiry})

    @property
    def deadline(self) -> datetime | None:
        """When the request expires; None for never."""
        if not 0 < self.expiry <= _MAX_EXPIRY:
            return None
        return datetime.fromtimestamp(self.expiry, UTC)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted request.

    Args:
        answer: of the circuit.
        inputs_digest: of the integers of the inputs.
        floats: the float model's answer, if requested.
        job: proves the answer; None if no proof was requested.
    """

    answer: Answer
    inputs_digest: Digest
    floats: Arrays | None
    job: Job | None


@dataclass(frozen=True)
class _Prepared:
    """The quantised inputs; their serialised form is made on first use."""

    integers: list[list[int]]

    @classmethod
    def of(cls, model: ModelVersion, inputs: Inputs) -> _Prepared:
        program = model.circuit.manifest.program
        integers = integers_of(inputs, program.inputs)
        refuse_out_of_range(integers, program)
        return cls(integers)

    @classmethod
    def with_digest(cls, model: ModelVersion, inputs: Inputs) -> _Prepared:
        prepared = cls.of(model, inputs)
        prepared.digest  # noqa: B018 - computed now and cached
        return prepared

    @cached_property
    def data(self) -> bytes:
        return integers_to_bytes(self.integers)

    @cached_property
    def digest(self) -> Digest:
        return sha256(self.data)


class Submitter:
    """Answers requests and submits proof jobs. Belongs to one event loop.

    Args:
        answers: pools of engine sessions.
        store: of jobs.
        estimator: of the cost of proofs.
        limits: the queue limits of an identity.
        memory: for the requests that are being answered, shared between callers.
    """

    def __init__(
        self,
        *,
        answers: InferencePools,
        store: JobStore,
        estimator: CostEstimator,
        limits: Callable[[Identity], QueueLimits],
        memory: MemoryBudget,
    ) -> None:
        self._answers = answers
        self._store = store
        self._estimator = estimator
        self._limits = limits
        self._memory = memory
        self._precheck_until = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="submission")

    def close(self) -> None:
        """Wait for pending writes."""
        self._threads.shutdown()

    async def model_for(
        self, identity: Identity, repository: ModelRepository, name: str, version: str, request_id: str | None
    ) -> ModelVersion:
        """The model version for a request: the newest unless one is named.

        A repeated request gets the version that answered it before, so that it stays idempotent after a newer version
        was added.

        Raises:
            ModelNotFoundError, ModelUnavailableError: as `ModelRepository.find`.
            StoreError: the store cannot be read.
        """
        found = repository.find(name, version)
        if version or not request_id or len(repository.versions(name)) == 1:
            return found
        job = await self._in_thread(self._store.find_by_request_id, identity.name, request_id)
        if job is None or job.request.model != name:
            return found
        same = (one for one in repository.versions(name) if one.digest == job.request.circuit)
        return next((one for one in same if one.version == job.request.version), found)

    async def submit(self, identity: Identity, model: ModelVersion, inputs: Inputs, request: ProofRequest) -> Accepted:
        """Answer a request; its job, if any, is durable when this returns and outlives the call.

        A caller whose requests take too much memory at a time waits.

        Args:
            identity: the caller, who owns the job.
            model: of the repository.
            inputs: arrays by name.
            request: whether a proof is requested, and its context.

        Raises:
            ForbiddenError: the identity may not use the model.
            DataError, RangeError: the inputs do not fit the model, or exceed its range.
            BusyError, QueueFullError, QuotaExceededError: a queue or quota is full.
            RequestConflictError: the request id was used for another request.
            TooCostlyError, DeadlinePassedError: the proof is predicted to exceed a limit, or has expired.
            EngineError, ModelUnavailableError, StoreError: the server cannot serve the request.
        """
        identity.require_model(model.name)
        with await self._memory.acquire(identity.name, _memory_of(model)):
            return await self._submit(identity, model, inputs, request)

    async def _submit(self, identity: Identity, model: ModelVersion, inputs: Inputs, request: ProofRequest) -> Accepted:
        prepared = await self._prepared(model, inputs)
        if request.mode == "none":
            return await self._unproven(model, inputs, prepared, request)
        if time.monotonic() < self._precheck_until:
            await self._in_thread(self._precheck, identity, model, prepared, request)
        with self._spooled_inputs(prepared) as writing:  # written while the answer is computed
            answer, floats, _ = await asyncio.gather(
                self._answering(model, prepared), self._floats(model, inputs, request), asyncio.wrap_future(writing)
            )
            submission = await self._in_thread(self._store_job, identity, model, prepared, request, answer)
        structlog.contextvars.bind_contextvars(job=submission.job.id)
        return Accepted(answer, prepared.digest, floats, submission.job)

    async def _unproven(
        self, model: ModelVersion, inputs: Inputs, prepared: _Prepared, request: ProofRequest
    ) -> Accepted:
        """The fast path: an answer without a proof."""
        answering = self._answering(model, prepared)
        digest = prepared.digest  # while the engine computes
        if not request.floats:
            return Accepted(await answering, digest, None, None)
        answer, floats = await asyncio.gather(answering, self._floats(model, inputs, request))
        return Accepted(answer, digest, floats, None)

    def _answering(self, model: ModelVersion, prepared: _Prepared) -> asyncio.Future[Answer]:
        """Start the forward pass; returns without waiting for it."""
        return asyncio.wrap_future(self._answers.forward(model, prepared.integers))

    @contextmanager
    def _spooled_inputs(self, prepared: _Prepared) -> Iterator[Future[Digest]]:
        """Write the inputs to disk; they are removed if no job results: rejected, failed or cancelled."""
        writing = self._threads.submit(lambda: self._store.artifacts.put(prepared.data))
        with ExitStack() as undoing:
            undoing.callback(self._unspool_later, writing)
            yield writing
            undoing.pop_all()

    def _unspool_later(self, writing: Future[Digest]) -> None:
        with suppress(RuntimeError):  # the server is shutting down; the next one removes them
            self._threads.submit(self._unspool, writing)

    def _unspool(self, writing: Future[Digest]) -> None:
        with suppress(StoreError):  # nothing was written, or the reaper removes it later
            self._store.discard(writing.result())

    async def _prepared(self, model: ModelVersion, inputs: Inputs) -> _Prepared:
        """Quantise the inputs: large ones in a thread, small ones here, because a thread switch takes longer."""
        if sum(array.size for array in inputs.values()) <= _FEW_ELEMENTS:
            return _Prepared.of(model, inputs)
        return await self._in_thread(_Prepared.with_digest, model, inputs)

    async def _floats(self, model: ModelVersion, inputs: Inputs, request: ProofRequest) -> Arrays | None:
        """The float model's answer, if requested."""
        if not request.floats:
            return None
        specs = model.circuit.manifest.program.inputs
        conformed = {spec.name: conform(inputs[spec.name], spec) for spec in specs}
        return await asyncio.wrap_future(self._answers.floats(model, conformed))

    def _precheck(self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest) -> None:
        """Raise before the answer is computed, if `_store_job` would raise afterwards."""
        with self._start_precheck_on_rejection():
            job_request = self._job_request(identity, model, prepared, request, _NO_OUTPUTS)
            self._store.precheck(job_request, self._limits(identity))

    def _store_job(
        self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest, answer: Answer
    ) -> Submission:
        with self._start_precheck_on_rejection():
            job_request = self._job_request(identity, model, prepared, request, answer.outputs_digest)
            # A job with the same inputs may have finished since they were written, and removed them.
            return self._store.submit(job_request, self._limits(identity), inputs=prepared.data)

    @contextmanager
    def _start_precheck_on_rejection(self) -> Iterator[None]:
        """After a rejection, check the requests of the next seconds before they are answered.

        So a flood of requests costs no forward passes, and requests are checked only once while there is room.
        """
        try:
            yield
        except (QueueFullError, QuotaExceededError, TooCostlyError):
            self._precheck_until = time.monotonic() + _PRECHECK_SECONDS
            raise

    def _job_request(
        self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest, outputs: Digest
    ) -> JobRequest:
        prediction = self._estimator.of(model)
        return JobRequest(
            owner=identity.name,
            model=model.name,
            version=model.version,
            circuit=model.digest,
            model_id=model.model_id,
            inputs=prepared.digest,
            outputs=outputs,
            context=request.context(),
            random_request_id=not request.fixes_request_id,
            request_id=request.request_id,
            memory_bytes=prediction.memory_bytes,
            seconds=prediction.seconds,
            deadline=request.deadline,
        )

    async def _in_thread(self, call: Callable[[*ArgumentsT], AnswerT], *arguments: *ArgumentsT) -> AnswerT:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


def _memory_of(model: ModelVersion) -> int:
    """Bytes that a request takes while it is answered: the integers of its tensors, as objects and as text."""
    program = model.circuit.manifest.program
    return _REQUEST_BYTES + _ELEMENT_BYTES * sum(spec.size for spec in (*program.inputs, *program.outputs))
