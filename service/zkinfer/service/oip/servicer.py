"""inference.GRPCInferenceService: immediate answers, with proofs on request."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import DataError, ZkinferError
from zkinfer.oip import messages
from zkinfer.prover.repository import ModelState
from zkinfer.service.error_status import forget_frames, log_error, status_of
from zkinfer.service.errors import in_field
from zkinfer.service.identity import caller, reauthenticate
from zkinfer.service.oip.metadata import Statistics, Timings, model_config, model_metadata, server_metadata
from zkinfer.service.oip.parameters import proof_request, request_id_in
from zkinfer.service.oip.streams import requests_until, serve_concurrently
from zkinfer.service.oip.tensors import (
    ATTESTATION,
    FLOAT_SUFFIX,
    add_attestation,
    add_output,
    add_outputs,
    arrays_of,
    wanted_outputs,
)
from zkinfer.service.request_reader import current_request
from zkinfer.service.v1.operations import name_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Iterator

    from grpc import aio

    from zkinfer.oip.messages import (
        ModelConfigRequest,
        ModelConfigResponse,
        ModelInferRequest,
        ModelInferResponse,
        ModelMetadataRequest,
        ModelMetadataResponse,
        ModelReadyRequest,
        ModelReadyResponse,
        ModelStatisticsRequest,
        ModelStatisticsResponse,
        ModelStreamInferResponse,
        RepositoryIndexRequest,
        RepositoryIndexResponse,
        ServerLiveRequest,
        ServerLiveResponse,
        ServerMetadataRequest,
        ServerMetadataResponse,
        ServerReadyRequest,
        ServerReadyResponse,
    )
    from zkinfer.prover.jobs import Job
    from zkinfer.prover.repository import ModelRepository, ModelVersion
    from zkinfer.service.limits import ConcurrencyLimiter, MemoryBudget, Share
    from zkinfer.service.metrics import Metrics
    from zkinfer.service.oip.streams import AttestationWaiter
    from zkinfer.service.oip.tensors import Array
    from zkinfer.service.request_reader import Received, RequestStream
    from zkinfer.service.submission import Accepted, Mode, ProofRequest, Submitter

    Context = aio.ServicerContext[Any, Any]

_FINAL = "triton_final_response"
_MAX_CONCURRENT = 64
_MAX_ID = 1024
_MARGIN = 0.2  # seconds before the caller's deadline, to respond before the call is cut off


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was read, and when that began."""

    id: str
    model: ModelVersion
    output_names: list[str]
    proof: ProofRequest
    inputs: dict[str, Array]
    began: float

    @property
    def waits_for_proof(self) -> bool:
        """Whether the first response must include the attestation."""
        return self.proof.mode == "sync" or ATTESTATION in self.output_names


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answered request: the response so far, the job that proves it, and whether the response must wait for it."""

    response: ModelInferResponse
    job: Job | None
    waits_for_proof: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceServicer:
    """The calls of proto/zkinfer/oip/inference.proto.

    Args:
        repository: of models.
        submitter: answers requests and submits jobs.
        attestations: waits for attestations.
        metrics: count answers.
        draining: set when the server drains; it is then not ready and reads no more requests from streams.
        waiting: limits the calls that wait for an attestation.
        streamed: slots of the requests of streams that wait for an attestation; further ones wait for a slot.
        default_mode: the proof mode of a model version's requests that name none. One that asks for the attestation
            as an output gets a proof in any case.
        longest_wait: seconds that a call may wait for an attestation; None for until its deadline.
    """

    repository: ModelRepository
    submitter: Submitter
    attestations: AttestationWaiter
    metrics: Metrics
    draining: asyncio.Event
    waiting: ConcurrencyLimiter
    streamed: MemoryBudget
    default_mode: Callable[[ModelVersion], Mode]
    longest_wait: float | None = None
    statistics: Statistics = field(default_factory=Statistics)

    async def ServerLive(self, request: ServerLiveRequest, context: Context) -> ServerLiveResponse:
        """Always true."""
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(self, request: ServerReadyRequest, context: Context) -> ServerReadyResponse:
        """Whether the server accepts calls."""
        return messages.ServerReadyResponse(ready=not self.draining.is_set())

    async def ModelReady(self, request: ModelReadyRequest, context: Context) -> ModelReadyResponse:
        """Whether a version is ready; false if it does not exist or the caller may not use it."""
        states = {(entry.name, entry.version): entry.state for entry in self.repository.index()}
        if request.version:
            found = states.get((request.name, request.version)) == ModelState.READY
        else:
            found = bool(self.repository.versions(request.name))
        return messages.ModelReadyResponse(ready=found and caller().rights.may_use(request.name))

    async def ServerMetadata(self, request: ServerMetadataRequest, context: Context) -> ServerMetadataResponse:
        """Name, version, extensions."""
        return server_metadata()

    async def ModelMetadata(self, request: ModelMetadataRequest, context: Context) -> ModelMetadataResponse:
        """Inputs and outputs."""
        model = self._model(request.name, request.version)
        return model_metadata(model, self.repository.versions(model.name))

    async def ModelConfig(self, request: ModelConfigRequest, context: Context) -> ModelConfigResponse:
        """Triton's model configuration, and the model's identity."""
        model = self._model(request.name, request.version)
        return messages.ModelConfigResponse(config=model_config(model, self.default_mode(model)))

    async def ModelStatistics(self, request: ModelStatisticsRequest, context: Context) -> ModelStatisticsResponse:
        """Statistics of one version, all versions of a model, or all models that the caller may use."""
        if request.name and request.version:
            found = [self._model(request.name, request.version)]
        elif request.name:
            found = list(self.repository.versions(self._model(request.name, "").name))
        else:
            names = sorted({entry.name for entry in self.repository.index() if caller().rights.may_use(entry.name)})
            found = [model for name in names for model in self.repository.versions(name)]
        return messages.ModelStatisticsResponse(model_stats=[self.statistics.of(model) for model in found])

    async def RepositoryIndex(self, request: RepositoryIndexRequest, context: Context) -> RepositoryIndexResponse:
        """All versions that the caller may use, with the reason if unavailable."""
        entries = [entry for entry in self.repository.index() if caller().rights.may_use(entry.name)]
        kind = messages.RepositoryIndexResponse.ModelIndex
        listed = [
            kind(name=entry.name, version=entry.version, state=str(entry.state), reason=entry.reason)
            for entry in entries
            if entry.state == ModelState.READY or not request.ready
        ]
        return messages.RepositoryIndexResponse(models=listed)

    async def ModelInfer(self, request: ModelInferRequest, context: Context) -> ModelInferResponse:
        """The answer, with the attestation if requested."""
        with ExitStack() as slots:
            asked = await self._read(request)
            if asked.waits_for_proof:
                slots.enter_context(self.waiting.slot(caller().name))
            answered = await self._answer(asked)
            del request, asked  # before the call waits for the proof, maybe for minutes
            current_request().drop()
            if answered.waits_for_proof:
                left: float | None = context.time_remaining()  # None without a deadline, whatever its stub says
                seconds = None if left is None else max(0.0, left - _MARGIN)
                current_request().hold_until_sent(await self._attest(answered.response, answered, seconds))
        return answered.response

    async def ModelStreamInfer(
        self, requests: RequestStream, context: Context
    ) -> AsyncGenerator[ModelStreamInferResponse]:
        """For each request, one response with the tensors and a later one with the attestation, both with its id."""
        accepted_requests = requests_until(self.draining, requests.received())
        async for response in serve_concurrently(
            accepted_requests, self._stream_responses, max_concurrent=_MAX_CONCURRENT
        ):
            yield response

    async def _stream_responses(self, received: Received) -> AsyncGenerator[ModelStreamInferResponse]:
        """The responses to one request; an error ends the request, not the stream."""
        failed = _failed_response(received.message)
        try:
            reauthenticate()
            with ExitStack() as slots:
                answered = await self._answer_streamed(received, slots)
                async for response in self._responses(answered):
                    yield messages.ModelStreamInferResponse(infer_response=response)
        except ZkinferError as err:
            log_error(err, where="in a stream")
            forget_frames(err)
            yield messages.ModelStreamInferResponse(error_message=status_of(err).message, infer_response=failed)

    async def _answer_streamed(self, received: Received, slots: ExitStack) -> _Answered:
        """Answer a request of a stream and drop it. One that wants a proof takes a slot first, until its last response.

        It waits for the slot, and with it the rest of its stream.
        """
        with received:
            asked = await self._read(received.message)
            if asked.proof.mode != "none":
                slots.enter_context(await self.streamed.acquire(caller().name))
            return await self._answer(asked)

    async def _responses(self, answered: _Answered) -> AsyncGenerator[ModelInferResponse]:
        response = answered.response
        if answered.job is not None and not answered.waits_for_proof:
            response.parameters[_FINAL].bool_param = False
            yield response
            proof_response = messages.ModelInferResponse(
                model_name=response.model_name, model_version=response.model_version, id=response.id
            )
            proof_response.parameters.MergeFrom(response.parameters)
            response = proof_response
        with nullcontext() if answered.job is None else await self._attest(response, answered, None):
            response.parameters[_FINAL].bool_param = True
            yield response

    async def _attest(self, response: ModelInferResponse, answered: _Answered, seconds: float | None) -> Share:
        """Wait for the attestation and add it to a response; returns its memory."""
        assert answered.job is not None  # noqa: S101 - for the type checker: `_infer` checked it
        waits = [wait for wait in (seconds, self.longest_wait) if wait is not None]
        attestation, share = await self.attestations.attestation(answered.job, min(waits, default=None))
        add_attestation(response, attestation)
        response.parameters["zkinfer_state"].string_param = "SUCCEEDED"
        return share

    async def _read(self, request: ModelInferRequest) -> _Asked:
        """Read a request and find its model."""
        caller().require_model(request.model_name)
        model = await self.submitter.model_for(
            caller(), self.repository, request.model_name, request.model_version, request_id_in(request.parameters)
        )
        began, program = time.perf_counter(), model.circuit.manifest.program
        with self._failures_of(model, began):
            with in_field("id"):
                if len(request.id) > _MAX_ID:
                    raise DataError(f"An id must have at most {_MAX_ID} characters.")
            output_names = wanted_outputs(request, program.outputs)
            default = self.default_mode(model)
            if default == "none" and ATTESTATION in output_names:
                default = "sync"
            proof = proof_request(request.parameters, default)
            if ATTESTATION in output_names and proof.mode == "none":
                with in_field("outputs"):
                    raise DataError(
                        f"{ATTESTATION} is requested, but zkinfer_proof_mode is none.", "Remove one of them."
                    )
            return _Asked(request.id, model, output_names, proof, arrays_of(request, program.inputs), began)

    async def _answer(self, asked: _Asked) -> _Answered:
        """Answer a request, and submit the job that proves the answer if a proof is requested."""
        model = asked.model
        with self._failures_of(model, asked.began):
            read = time.perf_counter()
            accepted = await self.submitter.submit(caller(), model, asked.inputs, asked.proof)
            submitted = time.perf_counter()
            response = _response(asked, accepted)
        done = time.perf_counter()
        answer = accepted.answer
        self.metrics.answered(model.name, model.version, submitted - read)
        times = (read - asked.began, answer.queue_seconds, answer.compute_seconds, done - submitted, done - asked.began)
        self.statistics.succeeded(model, Timings(*times))
        return _Answered(response, accepted.job, asked.waits_for_proof)

    @contextmanager
    def _failures_of(self, model: ModelVersion, began: float) -> Iterator[None]:
        """Count a refusal or failure in the block in the model's statistics."""
        try:
            yield
        except ZkinferError:
            self.statistics.failed(model, time.perf_counter() - began)
            raise

    def _model(self, name: str, version: str) -> ModelVersion:
        """A model that the caller may use; raises ForbiddenError before revealing whether the model exists."""
        caller().require_model(name)
        return self.repository.find(name, version)


def _failed_response(request: ModelInferRequest) -> ModelInferResponse:
    """The response that stands beside the error of a request of a stream, made while the request is there."""
    failed = messages.ModelInferResponse(model_name=request.model_name[:_MAX_ID], id=request.id[:_MAX_ID])
    failed.parameters[_FINAL].bool_param = True
    return failed


def _response(asked: _Asked, accepted: Accepted) -> ModelInferResponse:
    model = asked.model
    response = messages.ModelInferResponse(model_name=model.name, model_version=model.version, id=asked.id)
    parameters = {
        "zkinfer_model_id": model.model_id,
        "zkinfer_circuit": str(model.digest),
        "zkinfer_verifying_key": model.circuit.manifest.identity.verifying_key,
        "zkinfer_inputs": str(accepted.inputs_digest),
        "zkinfer_outputs": str(accepted.answer.outputs_digest),
    }
    if accepted.job is not None:
        parameters |= {
            "zkinfer_operation": name_of(accepted.job.id),
            "zkinfer_state": str(accepted.job.state),
            "zkinfer_context_request_id": accepted.job.request.context.request_id,
        }
    for name, value in parameters.items():
        response.parameters[name].string_param = value
    add_outputs(response, accepted.answer.outputs, asked.output_names)
    for name, array in (accepted.floats or {}).items():
        add_output(response, name + FLOAT_SUFFIX, array)
    return response
