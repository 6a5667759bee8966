"""The client for threads."""

from __future__ import annotations

import time
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


class Client:
    """Calls a server. Threads may share it; close it, or use it in a `with` statement.

    Args:
        target: `host:port` or `unix:/path`.
        options: token, TLS and such; see `Connection`.
    """

    def __init__(self, target: str, **options: Unpack[Options]) -> None:
        self._connection = Connection(target=target, **options)
        self._channel = self._connection.channel()

    def infer(
        self,
        model: str,
        inputs: Arrays,
        *,
        version: str = "",
        context: Context | None = None,
        request_id: str | None = None,
        timeout: float | None = 60.0,
    ) -> Inference[Handle]:
        """Have an inference answered, and its proof begun.

        Args:
            model: name in the server's repository.
            inputs: arrays by name, all that the model takes.
            version: of the model; empty for the newest.
            context: what the proof is for; None for an offline one with a fresh request id.
            request_id: idempotency key: the same call with the same key and context is the same request, in another
                process and after days too. None takes the context's request id.
            timeout: seconds to go on trying while the server cannot be reached or is full; None for ever.

        Raises:
            CallError: the server refuses, or cannot be reached in time.
            DataError: an array that cannot be sent.
        """
        context, key = made_request(context, request_id)
        asked = self._run(asking(model, inputs, version=version, context=context, request_id=key, seconds=timeout))
        return Inference(asked.outputs, Handle(self, asked))

    def state(self, operation: str) -> Progress:
        """How far a proof is; raises CallError."""
        return self._run(looking(operation))

    def list(self, filter_: str = "", *, most: int = 100) -> list[Progress]:
        """The caller's proofs, newest first; raises CallError.

        Args:
            filter_: `state = QUEUED`, `done = true`, `model = "name"`, joined with AND; empty for all.
            most: of them.
        """
        return self._run(listing(filter_, most))

    def cancel(self, operation: str) -> None:
        """Cancel a proof; without effect on one that is done. Raises CallError."""
        self._run(cancelling(operation))

    def delete(self, operation: str) -> None:
        """Have a proof that is done forgotten, with its attestation; raises CallError."""
        self._run(deleting(operation))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, flow: Flow[ResultT]) -> ResultT:
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
                result = self._take(step)
            except CallError as err:
                error = err

    def _take(self, step: Step) -> Any:  # noqa: ANN401 - the flow knows
        if isinstance(step, Exchange):
            return self._exchange(step)
        if isinstance(step, Download):
            return self._download(step)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return step.do()

    def _exchange(self, step: Exchange) -> Any:  # noqa: ANN401
        call = self._channel.unary_unary(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.answer.FromString,
        )
        try:
            return call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    def _download(self, step: Download) -> None:
        call = self._channel.unary_stream(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.answer.FromString,
        )
        pieces = call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        try:
            for piece in pieces:
                step.take(piece)
        except grpc.RpcError as err:
            raise call_error(err) from err
        finally:
            pieces.cancel()


class Handle:
    """The proof of one answer, while it is made and after."""

    def __init__(self, client: Client, asked: Asked) -> None:
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

    def attestation(
        self, verifier: Verifier, policy: Policy, *, timeout: float | None = None, unsafe_skip_inputs: bool = False
    ) -> VerifiedAttestation:
        """Wait for the attestation and verify it here; nothing unverified is ever returned.

        Beside what verifier and policy demand, it must be about the inputs that were sent, the outputs that were
        answered and the context that was asked for. A connection that breaks meanwhile is made again.

        Args:
            verifier: with your own copy of the model.
            policy: what you require: best, that the model id is the one you know.
            timeout: seconds; None for as long as it takes.
            unsafe_skip_inputs: do not compare the inputs; for circuits that keep them private, which nobody can.

        Raises:
            ProofFailedError: there will be none.
            StillProvingError: not in time; ask again.
            RefusedError: it does not hold, or is about something else.
            CallError: the server refuses, or cannot be reached in time.
        """
        flow = attesting(self._asked, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs, seconds=timeout)
        return self._client._run(flow)

    def state(self) -> Progress:
        """How far it is; raises CallError."""
        return self._client.state(self.operation)

    def cancel(self) -> None:
        """Cancel it; without effect if it is done. Raises CallError."""
        self._client.cancel(self.operation)
