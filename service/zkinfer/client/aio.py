"""The asyncio client; see `zkinfer.client.sync` for the documentation of each call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import grpc

from zkinfer.client.connection import Connection
from zkinfer.client.errors import CallError, call_error
from zkinfer.client.protocol import (
    cancel_operation,
    create_proof,
    delete_operation,
    download,
    get_operation,
    list_models,
    list_operations,
    refuse_unacceptable,
    verified_attestation,
)
from zkinfer.client.steps import Backoff, Pause, StreamCall, UnaryCall
from zkinfer.client.values import Inference, complete_request

if TYPE_CHECKING:
    from types import TracebackType

    from zkinfer.circuits.statement import Context
    from zkinfer.client.connection import Options
    from zkinfer.client.models import ServedModel
    from zkinfer.client.steps import Flow, Step
    from zkinfer.client.values import AnsweredRequest, Arrays, Expectation, Progress, VerifiedAttestation
    from zkinfer.verifier import Policy, Verifier

ResultT = TypeVar("ResultT")


class AsyncClient:
    """A client for the event loop in which it is created; otherwise like `Client`."""

    def __init__(self, target: str, **options: Unpack[Options]) -> None:
        self._connection = Connection(target=target, **options)
        self._channel = self._connection.aio_channel()

    async def infer(
        self,
        model: str,
        inputs: Arrays,
        *,
        version: str = "",
        context: Context | None = None,
        request_id: str | None = None,
        timeout: float | None = 60.0,
        expect: Expectation | None = None,
    ) -> Inference[AsyncHandle]:
        """Request an inference and its proof; see `Client.infer`."""
        context, key = complete_request(context, request_id)
        if expect is not None:
            await self._run(refuse_unacceptable(model, version, *expect, seconds=timeout))
        flow = create_proof(model, inputs, version=version, context=context, request_id=key, seconds=timeout)
        answered = await self._run(flow)
        return Inference(answered.outputs, AsyncHandle(self, answered))

    async def state(self, operation: str) -> Progress:
        """The current state of a proof; raises CallError."""
        return await self._run(get_operation(operation))

    async def list(self, filter_: str = "", *, most: int = 100) -> list[Progress]:
        """The caller's proofs, newest first; see `Client.list`."""
        return await self._run(list_operations(filter_, most))

    async def models(self, *, timeout: float | None = 60.0) -> tuple[ServedModel, ...]:
        """The server's models; see `Client.models`."""
        return await self._run(list_models(timeout))

    async def unverified_attestation(self, operation: str, *, timeout: float | None = 60.0) -> bytes:
        """The bytes of a finished proof's attestation; see `Client.unverified_attestation`."""
        return await self._run(download(operation, Backoff(timeout)))

    async def cancel(self, operation: str) -> None:
        """Cancel a proof; no effect if it is done. Raises CallError."""
        await self._run(cancel_operation(operation))

    async def delete(self, operation: str) -> None:
        """Delete a finished proof and its attestation; raises CallError."""
        await self._run(delete_operation(operation))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[ResultT]) -> ResultT:
        """Execute the steps of a flow and send it their results."""
        result: Any = None
        error: CallError | None = None
        while True:
            try:
                step = flow.send(result) if error is None else flow.throw(error)
            except StopIteration as done:
                value: ResultT = done.value
                return value
            result = error = None
            try:
                result = await self._execute(step)
            except CallError as err:
                error = err

    async def _execute(self, step: Step) -> Any:  # noqa: ANN401 - depends on the step
        if isinstance(step, UnaryCall):
            return await self._unary_call(step)
        if isinstance(step, StreamCall):
            return await self._stream_call(step)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(step.run)

    async def _unary_call(self, step: UnaryCall) -> Any:  # noqa: ANN401
        call = self._channel.unary_unary(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.response_type.FromString,
        )
        try:
            return await call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    async def _stream_call(self, step: StreamCall) -> None:
        call = self._channel.unary_stream(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.response_type.FromString,
        )
        chunks = call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        try:
            async for chunk in chunks:
                step.on_response(chunk)
        except grpc.RpcError as err:
            raise call_error(err) from err
        finally:
            chunks.cancel()


class AsyncHandle:
    """The proof of one answer; see `Handle`."""

    def __init__(self, client: AsyncClient, answered: AnsweredRequest) -> None:
        self._client = client
        self._answered = answered

    @property
    def operation(self) -> str:
        """The name of the operation: `operations/proofs/...`."""
        return self._answered.operation

    @property
    def context(self) -> Context:
        """The context of the proof."""
        return self._answered.context

    async def attestation(
        self,
        verifier: Verifier,
        policy: Policy,
        *,
        timeout: float | None = None,
        unsafe_skip_inputs: bool = False,
    ) -> VerifiedAttestation:
        """Wait for the attestation and verify it in a thread; see `Handle.attestation`."""
        flow = verified_attestation(
            self._answered, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs, seconds=timeout
        )
        return await self._client._run(flow)

    async def state(self) -> Progress:
        """The current state; raises CallError."""
        return await self._client.state(self.operation)

    async def cancel(self) -> None:
        """Cancel the proof; no effect if it is done. Raises CallError."""
        await self._client.cancel(self.operation)
