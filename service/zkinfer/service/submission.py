"""Taking on: an answer now and, unless none is wanted, a job that will prove it, which is on the disk by then."""

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

from zkinfer.circuits.context import NOBODY, Context
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import TooCostlyError
from zkinfer.circuits.tensor_files import conform
from zkinfer.prover.errors import QueueFullError, QuotaExceededError, StoreError
from zkinfer.prover.jobs import JobRequest
from zkinfer.prover.quantised_inputs import integers_of, integers_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from zkinfer.circuits.digest import Digest
    from zkinfer.prover.inference import Answer, Answers, Arrays
    from zkinfer.prover.jobs import Job, JobStore, QueueLimits, Submission
    from zkinfer.prover.quantised_inputs import Inputs
    from zkinfer.prover.repository import ModelRepository, ModelVersion
    from zkinfer.service.estimates import Predictions
    from zkinfer.service.identity import Identity

Mode = Literal["none", "async", "sync"]
AnswerT = TypeVar("AnswerT")
ArgumentsT = TypeVarTuple("ArgumentsT")
_WORD = re.compile(r"0x[0-9a-f]{64}")
_FEW_ELEMENTS = 1 << 12
_LAST_SECOND = 253_402_300_799  # of the year 9999: later than that is never
_THREADS = 8
_WARY_SECONDS = 5.0
_NO_OUTPUTS = sha256(b"")


class ProofRequest(BaseModel):
    """Whether a proof of an answer is wanted, and what it is for; see `zkinfer.circuits.context.Context`.

    `request_id` is the caller's name for the request: the same one twice gives the same job. Written as 0x and 64 hex
    digits, it is also the context's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mode: Mode = "async"
    request_id: str | None = None
    chain_id: int = 0
    consumer: str = NOBODY
    requester: str = NOBODY
    expiry: int = 0
    floats: bool = False

    @property
    def names_word(self) -> bool:
        """Whether the context's request id is the caller's."""
        return self.request_id is not None and _WORD.fullmatch(self.request_id) is not None

    def context(self) -> Context:
        """What the proof is for, with a fresh random request id where the caller gave none."""
        word = self.request_id if self.names_word else Context.offline().request_id
        fields = {"chainId": self.chain_id, "consumer": self.consumer, "requester": self.requester}
        return Context.model_validate(fields | {"requestId": word, "expiry": self.expiry})

    @property
    def deadline(self) -> datetime | None:
        """When the proof is worthless; None where the request does not expire."""
        if not 0 < self.expiry <= _LAST_SECOND:
            return None
        return datetime.fromtimestamp(self.expiry, UTC)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was taken on: the answer, the float model's beside it if asked for, and the job if one is wanted.

    `inputs_digest` names the integers of the inputs.
    """

    answer: Answer
    inputs_digest: Digest
    floats: Arrays | None
    job: Job | None


@dataclass(frozen=True)
class _Prepared:
    """The inputs as the circuit takes them and, made when it is asked for, as a job keeps them."""

    integers: list[list[int]]

    @classmethod
    def of(cls, model: ModelVersion, inputs: Inputs) -> _Prepared:
        return cls(integers_of(inputs, model.circuit.manifest.program.inputs))

    @classmethod
    def whole(cls, model: ModelVersion, inputs: Inputs) -> _Prepared:
        prepared = cls.of(model, inputs)
        prepared.digest  # noqa: B018 - made now, and kept
        return prepared

    @cached_property
    def data(self) -> bytes:
        return integers_to_bytes(self.integers)

    @cached_property
    def digest(self) -> Digest:
        return sha256(self.data)


class Intake:
    """Answers, and takes jobs on. Belongs to one event loop.

    Args:
        answers: sessions with the engines.
        store: of jobs.
        predictions: of what proofs take here.
        limits: what is taken on of an identity.
    """

    def __init__(
        self, *, answers: Answers, store: JobStore, predictions: Predictions, limits: Callable[[Identity], QueueLimits]
    ) -> None:
        self._answers = answers
        self._store = store
        self._predictions = predictions
        self._limits = limits
        self._wary_until = 0.0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="intake")

    def close(self) -> None:
        """Wait for what is being written."""
        self._threads.shutdown()

    async def model_for(
        self, identity: Identity, repository: ModelRepository, name: str, version: str, request_id: str | None
    ) -> ModelVersion:
        """The version that a request means.

        The newest where none is named; but for a request that was made before, the one that answered it then, so that
        it is the same request after a newer version has come.

        Raises:
            ModelNotFoundError, ModelUnavailableError: see `ModelRepository.find`.
            StoreError: the store cannot be asked.
        """
        found = repository.find(name, version)
        if version or not request_id or len(repository.versions(name)) == 1:
            return found
        job = await self._in_thread(self._store.of_request, identity.name, request_id)
        if job is None or job.request.model != name:
            return found
        same = (one for one in repository.versions(name) if one.digest == job.request.circuit)
        return next((one for one in same if one.version == job.request.version), found)

    async def accept(self, identity: Identity, model: ModelVersion, inputs: Inputs, request: ProofRequest) -> Accepted:
        """Answer; the job, if one is wanted, is on the disk when this returns, and outlives the call.

        Args:
            identity: who asks; the job is theirs.
            model: of the repository.
            inputs: arrays by name.
            request: whether a proof is wanted, and for what.

        Raises:
            ForbiddenError: the identity may not use the model.
            DataError, RangeError: the inputs do not fit the model, or leave its range.
            BusyError, QueueFullError, QuotaExceededError: too much waits already.
            RequestConflictError: the request id stands for something else.
            TooCostlyError, DeadlinePassedError: nobody would prove it.
            EngineError, ModelUnavailableError, StoreError: it cannot be done here and now.
        """
        identity.require_model(model.name)
        prepared = await self._prepared(model, inputs)
        if request.mode == "none":
            return await self._unproven(model, inputs, prepared, request)
        if time.monotonic() < self._wary_until:
            await self._in_thread(self._refuse, identity, model, prepared, request)
        with self._spooled(prepared) as writing:  # while the answer is computed
            answer, floats, _ = await asyncio.gather(
                self._answering(model, prepared), self._floats(model, inputs, request), asyncio.wrap_future(writing)
            )
            submission = await self._in_thread(self._submit, identity, model, prepared, request, answer)
        structlog.contextvars.bind_contextvars(job=submission.job.id)
        return Accepted(answer, prepared.digest, floats, submission.job)

    async def _unproven(
        self, model: ModelVersion, inputs: Inputs, prepared: _Prepared, request: ProofRequest
    ) -> Accepted:
        """Without detours: most callers want the answer and nothing else."""
        answering = self._answering(model, prepared)
        digest = prepared.digest  # while the engine computes
        if not request.floats:
            return Accepted(await answering, digest, None, None)
        answer, floats = await asyncio.gather(answering, self._floats(model, inputs, request))
        return Accepted(answer, digest, floats, None)

    def _answering(self, model: ModelVersion, prepared: _Prepared) -> asyncio.Future[Answer]:
        """Begun when this returns."""
        return asyncio.wrap_future(self._answers.forward(model, prepared.integers))

    @contextmanager
    def _spooled(self, prepared: _Prepared) -> Iterator[Future[Digest]]:
        """Inputs on their way to the disk. They are removed where no job comes of it: refused, failed, caller gone."""
        writing = self._threads.submit(lambda: self._store.artifacts.put(prepared.data))
        with ExitStack() as undoing:
            undoing.callback(self._unspool_later, writing)
            yield writing
            undoing.pop_all()

    def _unspool_later(self, writing: Future[Digest]) -> None:
        with suppress(RuntimeError):  # the server ends; the next one finds them
            self._threads.submit(self._unspool, writing)

    def _unspool(self, writing: Future[Digest]) -> None:
        with suppress(StoreError):  # nothing was written; or it is found later, as that of a server that was killed
            self._store.discard(writing.result())

    async def _prepared(self, model: ModelVersion, inputs: Inputs) -> _Prepared:
        """Small inputs at once: a change of threads takes longer. Large ones with all that takes time."""
        if sum(array.size for array in inputs.values()) <= _FEW_ELEMENTS:
            return _Prepared.of(model, inputs)
        return await self._in_thread(_Prepared.whole, model, inputs)

    async def _floats(self, model: ModelVersion, inputs: Inputs, request: ProofRequest) -> Arrays | None:
        """The float model's answer, if it is wanted."""
        if not request.floats:
            return None
        specs = model.circuit.manifest.program.inputs
        conformed = {spec.name: conform(inputs[spec.name], spec) for spec in specs}
        return await asyncio.wrap_future(self._answers.floats(model, conformed))

    def _refuse(self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest) -> None:
        """Raise before anything is computed, where `_submit` would raise afterwards."""
        with self._wary():
            wanted = self._job_request(identity, model, prepared, request, _NO_OUTPUTS)
            self._store.refuse(wanted, self._limits(identity))

    def _submit(
        self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest, answer: Answer
    ) -> Submission:
        with self._wary():
            wanted = self._job_request(identity, model, prepared, request, answer.outputs_digest)
            # The last job with the same inputs may have ended since they were written, and taken them along.
            return self._store.submit(wanted, self._limits(identity), inputs=prepared.data)

    @contextmanager
    def _wary(self) -> Iterator[None]:
        """Where one request is refused, more will be: those of the next seconds are looked at before they are answered.

        A flood then costs no passes of the engine, and whoever asks where there is room does not wait for two looks.
        """
        try:
            yield
        except (QueueFullError, QuotaExceededError, TooCostlyError):
            self._wary_until = time.monotonic() + _WARY_SECONDS
            raise

    def _job_request(
        self, identity: Identity, model: ModelVersion, prepared: _Prepared, request: ProofRequest, outputs: Digest
    ) -> JobRequest:
        prediction = self._predictions.of(model)
        return JobRequest(
            owner=identity.name,
            model=model.name,
            version=model.version,
            circuit=model.digest,
            model_id=model.model_id,
            inputs=prepared.digest,
            outputs=outputs,
            context=request.context(),
            random_request_id=not request.names_word,
            request_id=request.request_id,
            memory_bytes=prediction.memory_bytes,
            seconds=prediction.seconds,
            deadline=request.deadline,
        )

    async def _in_thread(self, call: Callable[[*ArgumentsT], AnswerT], *arguments: *ArgumentsT) -> AnswerT:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
