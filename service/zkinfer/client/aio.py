"""The client for an event loop; see `zkinfer.client.sync` for what each call does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import grpc

from zkinfer.client.connection import Connection
from zkinfer.client.errors import CallError, call_error
from zkinfer.client.protocol import asking, attesting, cancelling, deleting, listing, looking
from zkinfer.client.steps import Download, Exchange, Pause
from zkinfer.client.values import Inference, made_request

if TYPE_CHECKING:
    from types import TracebackType

    from zkinfer.circuits.context import Context
    from zkinfer.client.connection import Options
    from zkinfer.client.steps import Flow, Step
    from zkinfer.client.values import Arrays, Asked, Progress, VerifiedAttestation
    from zkinfer.verifier import Policy, Verifier

ResultT = TypeVar("ResultT")


class AsyncClient:
    """Calls a server from one event loop, in which it must be made; otherwise as `Client`."""

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
    ) -> Inference[AsyncHandle]:
        """Have an inference answered, and its proof begun; see `Client.infer`."""
        context, key = made_request(context, request_id)
        flow = asking(model, inputs, version=version, context=context, request_id=key, seconds=timeout)
        asked = await self._run(flow)
        return Inference(asked.outputs, AsyncHandle(self, asked))

    async def state(self, operation: str) -> Progress:
        """How far a proof is; raises CallError."""
        return await self._run(looking(operation))

    async def list(self, filter_: str = "", *, most: int = 100) -> list[Progress]:
        """The caller's proofs, newest first; see `Client.list`."""
        return await self._run(listing(filter_, most))

    async def cancel(self, operation: str) -> None:
        """Cancel a proof; without effect on one that is done. Raises CallError."""
        await self._run(cancelling(operation))

    async def delete(self, operation: str) -> None:
        """Have a proof that is done forgotten, with its attestation; raises CallError."""
        await self._run(deleting(operation))

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
        """Take each step of a flow and tell it what came of it."""
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
                result = await self._take(step)
            except CallError as err:
                error = err

    async def _take(self, step: Step) -> Any:  # noqa: ANN401 - the flow knows
        if isinstance(step, Exchange):
            return await self._exchange(step)
        if isinstance(step, Download):
            return await self._download(step)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(step.do)

    async def _exchange(self, step: Exchange) -> Any:  # noqa: ANN401
        call = self._channel.unary_unary(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.answer.FromString,
        )
        try:
            return await call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    async def _download(self, step: Download) -> None:
        call = self._channel.unary_stream(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.answer.FromString,
        )
        pieces = call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        try:
            async for piece in pieces:
                step.take(piece)
        except grpc.RpcError as err:
            raise call_error(err) from err
        finally:
            pieces.cancel()


class AsyncHandle:
    """The proof of one answer, while it is made and after; see `Handle`."""

    def __init__(self, client: AsyncClient, asked: Asked) -> None:
        self._client = client
        self._asked = asked

    @property
    def operation(self) -> str:
        """Its name on the server: `operations/proofs/...`."""
        return self._asked.operation

    @property
    def context(self) -> Context:
        """What the proof is for."""
        return self._asked.context

    async def attestation(
        self,
        verifier: Verifier,
        policy: Policy,
        *,
        timeout: float | None = None,
        unsafe_skip_inputs: bool = False,
    ) -> VerifiedAttestation:
        """Wait for the attestation and verify it here, in a thread; see `Handle.attestation`."""
        flow = attesting(self._asked, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs, seconds=timeout)
        return await self._client._run(flow)

    async def state(self) -> Progress:
        """How far it is; raises CallError."""
        return await self._client.state(self.operation)

    async def cancel(self) -> None:
        """Cancel it; without effect if it is done. Raises CallError."""
        await self._client.cancel(self.operation)
