"""The blocking client."""

from __future__ import annotations

import time
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


class Client:
    """A client of one server, safe to share between threads; close it, or use it in a `with` statement.

    Args:
        target: `host:port` or `unix:/path`.
        options: token, TLS and others; see `Connection`.
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
        expect: Expectation | None = None,
    ) -> Inference[Handle]:
        """Request an inference and its proof.

        Args:
            model: name in the server's repository.
            inputs: arrays for all inputs of the model, by name.
            version: of the model; empty for the newest.
            context: of the proof; None for an offline context with a random request id.
            request_id: idempotency key: calls with the same key and context are the same request, even from another
                process or days later. None uses the context's request id.
            timeout: seconds for retries while the server is unreachable or full; None for no limit.
            expect: verifier and policy of the attestation to come: a model whose proofs they can never accept, such as
                one under `insecure-dev` or of another engine, is refused before anything is computed.

        Raises:
            RefusedError: no proof of this model can meet `expect`.
            CallError: the server rejects the call, or cannot be reached in time.
            DataError: an array cannot be sent.
        """
        context, key = complete_request(context, request_id)
        if expect is not None:
            self._run(refuse_unacceptable(model, version, *expect, seconds=timeout))
        answered = self._run(
            create_proof(model, inputs, version=version, context=context, request_id=key, seconds=timeout)
        )
        return Inference(answered.outputs, Handle(self, answered))

    def state(self, operation: str) -> Progress:
        """The current state of a proof; raises CallError."""
        return self._run(get_operation(operation))

    def list(self, filter_: str = "", *, most: int = 100) -> list[Progress]:
        """The caller's proofs, newest first; raises CallError.

        Args:
            filter_: `state = QUEUED`, `done = true`, `model = "name"`, joined with AND; empty for all.
            most: maximum number of proofs.
        """
        return self._run(list_operations(filter_, most))

    def models(self, *, timeout: float | None = 60.0) -> tuple[ServedModel, ...]:
        """The models that the caller may use, by name and version, as the server states them; raises CallError.

        Args:
            timeout: seconds for retries while the server is unreachable; None for no limit.
        """
        return self._run(list_models(timeout))

    def unverified_attestation(self, operation: str, *, timeout: float | None = 60.0) -> bytes:
        """The bytes of a finished proof's attestation. They are a claim: give them to a `Verifier` before any use.

        `Handle.attestation` downloads and verifies; this is for an auditor who did not request the inference.

        Args:
            operation: its name, `operations/proofs/...`.
            timeout: seconds for retries while the server is unreachable; None for no limit.

        Raises:
            CallError: there is no such proof, it is not done, or the server cannot be reached in time.
            ClientError: the download is damaged or too large.
        """
        return self._run(download(operation, Backoff(timeout)))

    def cancel(self, operation: str) -> None:
        """Cancel a proof; no effect if it is done. Raises CallError."""
        self._run(cancel_operation(operation))

    def delete(self, operation: str) -> None:
        """Delete a finished proof and its attestation; raises CallError."""
        self._run(delete_operation(operation))

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
                result = self._execute(step)
            except CallError as err:
                error = err

    def _execute(self, step: Step) -> Any:  # noqa: ANN401 - depends on the step
        if isinstance(step, UnaryCall):
            return self._unary_call(step)
        if isinstance(step, StreamCall):
            return self._stream_call(step)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return step.run()

    def _unary_call(self, step: UnaryCall) -> Any:  # noqa: ANN401
        call = self._channel.unary_unary(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.response_type.FromString,
        )
        try:
            return call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        except grpc.RpcError as err:
            raise call_error(err) from err

    def _stream_call(self, step: StreamCall) -> None:
        call = self._channel.unary_stream(
            step.method,
            request_serializer=type(step.request).SerializeToString,
            response_deserializer=step.response_type.FromString,
        )
        chunks = call(step.request, timeout=step.timeout, metadata=self._connection.metadata)
        try:
            for chunk in chunks:
                step.on_response(chunk)
        except grpc.RpcError as err:
            raise call_error(err) from err
        finally:
            chunks.cancel()


class Handle:
    """The proof of one answer."""

    def __init__(self, client: Client, answered: AnsweredRequest) -> None:
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

    def attestation(
        self, verifier: Verifier, policy: Policy, *, timeout: float | None = None, unsafe_skip_inputs: bool = False
    ) -> VerifiedAttestation:
        """Wait for the attestation and verify it locally; an unverified attestation is never returned.

        Besides satisfying verifier and policy, it must have the inputs that were sent, the outputs of the answer, and
        the requested context. Broken connections are retried.

        Args:
            verifier: made with your own copy of the model.
            policy: your requirements; preferably `ModelIs` with the model id that you know.
            timeout: seconds; None for no limit.
            unsafe_skip_inputs: do not compare the inputs; needed for circuits with private inputs.

        Raises:
            ProofFailedError: the proof failed, was cancelled or has expired.
            StillProvingError: the timeout has passed; call again to continue waiting.
            RefusedError: the attestation is invalid, or for another request or answer; or, before the wait, no proof of
                this model can be accepted.
            CallError: the server rejects the call, or cannot be reached in time.
        """
        flow = verified_attestation(
            self._answered, verifier, policy, unsafe_skip_inputs=unsafe_skip_inputs, seconds=timeout
        )
        return self._client._run(flow)

    def state(self) -> Progress:
        """The current state; raises CallError."""
        return self._client.state(self.operation)

    def cancel(self) -> None:
        """Cancel the proof; no effect if it is done. Raises CallError."""
        self._client.cancel(self.operation)
