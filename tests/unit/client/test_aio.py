"""The clients against a whole server; `sync` is tested where it differs."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from zkinfer.circuits import Context
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import DataError, InputError
from zkinfer.client import (
    AsyncClient,
    CallError,
    Client,
    ClientError,
    ProofFailedError,
    StillProvingError,
    UnprovenAnswerError,
)
from zkinfer.service.auth import TokenFile
from zkinfer.service.v1 import proofs
from zkinfer.verifier import (
    AllOf,
    InputMismatchError,
    InsecureDevSetupError,
    MalformedAttestationError,
    ModelIs,
    PolicyRefusedError,
    RefusedError,
    SetupIs,
    UnsafeAcceptDevSetup,
    UntrustedEngineError,
    Verifier,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
X = np.array([[0.0, -1.25, 2.0]], dtype=np.float32)
SLOW = np.array([[4.0, 0.0, 0.0]], dtype=np.float32)  # takes the fake worker 4 s
DEV = UnsafeAcceptDevSetup()
PURPOSE = Context(chainId=31337, consumer="0x" + "ab" * 20, requestId="0x" + "11" * 32, expiry=4_000_000_000)


async def test_answer_is_immediate_and_its_attestation_is_verified_locally(client, auditor):
    inference = await client.infer("tiny", {"x": X})
    found = await inference.handle.attestation(auditor.verifier, auditor.policy, timeout=60)
    assert inference.outputs["y"].tolist() == (X @ [[1, -1], [0.5, 2], [-0.25, 1]] + [0.5, 0]).tolist()
    assert inference.outputs["y"].dtype == np.float32
    assert found.inference.outputs["y"].tolist() == inference.outputs["y"].tolist()
    assert found.inference.on_expected_input
    assert found.inference.context == inference.handle.context


DEMANDING = {
    "dev setup": (InsecureDevSetupError, lambda auditor: (auditor.verifier, ModelIs("0x" + "11" * 32))),
    "model": (PolicyRefusedError, lambda auditor: (auditor.verifier, AllOf(ModelIs("0x" + "11" * 32), DEV))),
    "setup": (PolicyRefusedError, lambda auditor: (auditor.verifier, AllOf(SetupIs("other"), DEV))),
    "engine": (UntrustedEngineError, lambda auditor: (Verifier(trusted=auditor.without_engines), auditor.policy)),
}


@pytest.mark.parametrize("name", DEMANDING)
async def test_model_that_can_never_be_accepted_is_refused_before_it_is_proven(client, auditor, name):
    error, demand = DEMANDING[name]
    before = len(await client.list())
    with pytest.raises(error):
        await client.infer("tiny", {"x": X}, expect=demand(auditor))
    assert len(await client.list()) == before


@pytest.mark.parametrize("name", DEMANDING)
async def test_attestation_that_can_never_be_accepted_is_not_waited_for(client, auditor, name):
    error, demand = DEMANDING[name]
    handle = (await client.infer("tiny", {"x": SLOW})).handle
    with pytest.raises(error):
        await handle.attestation(*demand(auditor))
    assert not (await handle.state()).done
    await handle.cancel()


async def test_blocking_client_refuses_and_accepts_before_the_proof(server, auditor):
    def story():
        with Client(server.address) as client:
            with pytest.raises(InsecureDevSetupError, match="anyone can forge"):
                client.infer("tiny", {"x": X}, expect=DEMANDING["dev setup"][1](auditor))
            client.infer("tiny", {"x": X}, version="1", expect=(auditor.verifier, auditor.policy)).handle.cancel()

    await asyncio.to_thread(story)


async def test_blocking_client_answers_and_verifies(server, auditor, tmp_path):
    def story():
        with Client(server.address) as client:
            inference = client.infer("tiny", {"x": X}, context=PURPOSE)
            found = inference.handle.attestation(auditor.verifier, auditor.policy, timeout=60)
            found.save(tmp_path / "attestation.json")
            state = inference.handle.state()
            inference.handle.cancel()
            listed = [one.operation for one in client.list("done = true")]
            client.delete(state.operation)
            left = [one.operation for one in client.list()]
            return found, state, listed, left

    found, state, listed, left = await asyncio.to_thread(story)
    assert found.inference.context == PURPOSE
    assert (tmp_path / "attestation.json").read_bytes() == found.data
    assert (state.state, state.done, state.attempt, state.model, state.version) == ("SUCCEEDED", True, 1, "tiny", "1")
    assert state.attestation_digest == str(found.inference.attestation_digest)
    assert state.operation in listed
    assert state.operation not in left


@pytest.mark.parametrize("x", [X[0], X.astype(np.float64), X.ravel()], ids=["bare", "wide", "flat"])
async def test_input_in_any_accepted_form_is_compared(client, auditor, x):
    handle = (await client.infer("tiny", {"x": x})).handle
    assert (await handle.attestation(auditor.verifier, auditor.policy, timeout=60)).inference.on_expected_input


async def test_saving_an_attestation_overwrites_nothing(client, auditor, tmp_path):
    found = await (await client.infer("tiny", {"x": X})).handle.attestation(
        auditor.verifier, auditor.policy, timeout=60
    )
    found.save(tmp_path / "a.json")
    with pytest.raises(InputError, match="exists already"):
        found.save(tmp_path / "a.json")


# --- request ids


async def test_same_request_id_is_the_same_proof_in_another_client(client, server):
    first = await client.infer("tiny", {"x": X}, request_id="order-6", context=PURPOSE)
    async with AsyncClient(server.address) as other:
        second = await other.infer("tiny", {"x": X}, request_id="order-6", context=PURPOSE)
    assert second.handle.operation == first.handle.operation


async def test_request_without_an_id_is_new_each_time(client):
    first, second = [await client.infer("tiny", {"x": X}) for _ in range(2)]
    assert first.handle.operation != second.handle.operation


async def test_id_of_a_different_request_is_refused(client):
    await client.infer("tiny", {"x": X}, request_id="order-7", context=PURPOSE)
    with pytest.raises(CallError) as caught:
        await client.infer("tiny", {"x": X + 1}, request_id="order-7", context=PURPOSE)
    assert (caught.value.code, caught.value.reason) == ("ALREADY_EXISTS", "REQUEST_CONFLICT")


async def test_32_byte_id_is_also_the_contexts(client):
    inference = await client.infer("tiny", {"x": X}, request_id="0x" + "22" * 32)
    assert inference.handle.context.request_id == "0x" + "22" * 32


@pytest.mark.parametrize(("name", "message"), [("order-7", "needs a context"), ("", "1 to 128"), ("a\nb", "1 to 128")])
async def test_unusable_id_is_refused(client, name, message):
    with pytest.raises(InputError, match=message):
        await client.infer("tiny", {"x": X}, request_id=name)


# --- refusals of the server


@pytest.mark.parametrize(
    ("model", "inputs", "code", "reason"),
    [
        ("none", {"x": X}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ("", {"x": X}, "INVALID_ARGUMENT", "DATA"),
        ("tiny", {}, "INVALID_ARGUMENT", "DATA"),
        ("tiny", {"y": X}, "INVALID_ARGUMENT", "DATA"),
        ("tiny", {"x": X[:, :2]}, "INVALID_ARGUMENT", "DATA"),
        ("tiny", {"x": X * np.float32("nan")}, "INVALID_ARGUMENT", "DATA"),
        ("tiny", {"x": X * np.float32(1e30)}, "INVALID_ARGUMENT", "RANGE"),
    ],
)
async def test_invalid_request_is_refused_without_a_proof(client, model, inputs, code, reason):
    before = [one.operation for one in await client.list()]
    with pytest.raises(CallError) as caught:
        await client.infer(model, inputs)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert caught.value.request_id
    assert [one.operation for one in await client.list()] == before


async def test_expired_context_is_refused(client):
    with pytest.raises(CallError) as caught:
        await client.infer("tiny", {"x": X}, context=Context(requestId="0x" + "33" * 32, expiry=1))
    assert caught.value.reason == "DEADLINE_PASSED"


async def test_unsupported_array_is_refused_locally(client):
    with pytest.raises(DataError, match="Arrays of complex128 cannot be sent"):
        await client.infer("tiny", {"x": X.astype(complex)})


async def test_request_larger_than_the_server_takes_is_refused_once_and_with_both_sizes(client):
    began = time.monotonic()
    with pytest.raises(CallError, match=r"has 24,\d{3},\d{3} bytes; the server takes up to 20,971,520") as caught:
        await client.infer("tiny", {"x": np.zeros(3_000_000)})
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    assert "limits.message_bytes" in caught.value.cure
    assert time.monotonic() - began < 30  # without retries


async def test_foreign_operation_is_not_found(client):
    with pytest.raises(CallError, match="no operation") as caught:
        await client.state("operations/proofs/none")
    assert caught.value.code == "NOT_FOUND"


async def test_unreachable_server_is_an_error_after_the_timeout(tiny):
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(CallError, match=r"cannot be reached.*Check the address") as caught:
            await client.infer("tiny", {"x": X}, timeout=0.5)
    assert caught.value.code == "UNAVAILABLE"


# --- proofs that do not finish


async def test_cancelled_proof_is_an_error(client, auditor):
    handle = (await client.infer("tiny", {"x": SLOW})).handle
    await handle.cancel()
    with pytest.raises(ProofFailedError, match="was cancelled") as caught:
        await handle.attestation(auditor.verifier, auditor.policy, timeout=60)
    assert (caught.value.code, caught.value.reason) == ("CANCELLED", "CANCELLED")
    assert (await handle.state()).state == "CANCELLED"


async def test_timeout_leaves_the_proof_running(client, auditor):
    handle = (await client.infer("tiny", {"x": SLOW})).handle
    with pytest.raises(StillProvingError, match="not done in time"):
        await handle.attestation(auditor.verifier, auditor.policy, timeout=0.3)
    assert not (await handle.state()).done
    await handle.cancel()


# --- connection losses


async def test_wait_and_download_survive_broken_connections(client, auditor, monkeypatch):
    exchange, download, breaks = AsyncClient._unary_call, AsyncClient._stream_call, {"wait": 2, "get": 3}
    monkeypatch.setattr(proofs, "CHUNK_BYTES", 1000)

    def broken(which):
        breaks[which] -= 1
        raise CallError("It is gone for a moment.", code="UNAVAILABLE")

    async def flaky_exchange(self, step):
        if step.method.endswith("WaitOperation") and breaks["wait"]:
            broken("wait")
        return await exchange(self, step)

    async def flaky_download(self, step):
        def on_response(chunk):
            step.on_response(chunk)
            if breaks["get"]:
                broken("get")

        await download(self, replace(step, on_response=on_response))

    monkeypatch.setattr(AsyncClient, "_unary_call", flaky_exchange)
    monkeypatch.setattr(AsyncClient, "_stream_call", flaky_download)
    handle = (await client.infer("tiny", {"x": X})).handle
    found = await handle.attestation(auditor.verifier, auditor.policy, timeout=60)
    assert found.inference.on_expected_input
    assert breaks == {"wait": 0, "get": 0}


# --- dishonest servers


@pytest.fixture
def altered_responses(monkeypatch):
    """Alter the responses of the server before they reach the client."""
    exchange, download = AsyncClient._unary_call, AsyncClient._stream_call

    def about(method, change):
        async def exchanged(self, step):
            answer = await exchange(self, step)
            if step.method.endswith(method):
                change(answer)
            return answer

        async def downloaded(self, step):
            def on_response(chunk):
                if step.method.endswith(method):
                    change(chunk)
                step.on_response(chunk)

            await download(self, replace(step, on_response=on_response))

        monkeypatch.setattr(AsyncClient, "_unary_call", exchanged)
        monkeypatch.setattr(AsyncClient, "_stream_call", downloaded)

    return about


async def attested(client, auditor, policy=None, **options):
    handle = (await client.infer("tiny", {"x": X}, **options)).handle
    return await handle.attestation(auditor.verifier, policy or auditor.policy, timeout=60)


def another_number(response):
    array = np.frombuffer(response.outputs[0].data, dtype="<f4").copy()
    array[0] += 1 / 256
    response.outputs[0].data = array.tobytes()


def another_type(response):
    response.outputs[0].datatype = "INT32"


def another_name(response):
    response.outputs[0].name = "z"


def nothing(response):
    del response.outputs[:]


@pytest.mark.parametrize("change", [another_number, another_type, another_name, nothing])
async def test_answer_other_than_the_proven_one_is_refused(client, auditor, altered_responses, change):
    altered_responses("CreateProof", change)
    with pytest.raises(UnprovenAnswerError, match=r"differs? from (those of )?the answer"):
        await attested(client, auditor)


async def test_proof_of_another_input_is_refused(client, auditor, altered_responses):
    other = await client.infer("tiny", {"x": X + 1})

    def swapped(response):
        response.operation.name = other.handle.operation

    altered_responses("CreateProof", swapped)
    with pytest.raises(RefusedError) as caught:
        await attested(client, auditor)
    assert isinstance(caught.value, InputMismatchError | PolicyRefusedError)


async def test_proof_of_another_request_is_refused(client, auditor, altered_responses):
    other = await client.infer("tiny", {"x": X}, context=PURPOSE)

    def swapped(response):
        response.operation.name = other.handle.operation

    altered_responses("CreateProof", swapped)
    with pytest.raises(PolicyRefusedError, match=r"made for the .*chain_id|request"):
        await attested(client, auditor)


async def test_proof_with_another_expiry_is_refused(client, auditor, altered_responses):
    other = await client.infer("tiny", {"x": X}, context=PURPOSE.model_copy(update={"expiry": 0}), request_id="other")

    def swapped(response):
        response.operation.name = other.handle.operation

    altered_responses("CreateProof", swapped)
    with pytest.raises(PolicyRefusedError, match="made for another request"):
        await attested(client, auditor, context=PURPOSE)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], MalformedAttestationError),
        (lambda data: b"{}", MalformedAttestationError),
        (lambda data: data[:400] + data[404:400:-1] + data[404:], RefusedError),
    ],
    ids=["cut", "empty", "altered"],
)
async def test_altered_attestation_is_refused(client, auditor, altered_responses, change, error):
    def altered(chunk):
        chunk.data = change(chunk.data)
        chunk.digest, chunk.size = str(sha256(chunk.data)), len(chunk.data)

    altered_responses("GetAttestation", altered)
    with pytest.raises(error):
        await attested(client, auditor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda chunk: setattr(chunk, "digest", "sha256:" + "00" * 32), "damaged in transit"),
        (lambda chunk: setattr(chunk, "offset", 5), "inconsistent chunks"),
        (lambda chunk: setattr(chunk, "size", 1 << 40), "more than the maximum size"),
        (lambda chunk: setattr(chunk, "size", 5), "inconsistent chunks"),
        (lambda chunk: setattr(chunk, "data", b""), "inconsistent chunks"),
        (lambda chunk: setattr(chunk, "size", chunk.size + 1), "before the end of the attestation"),
    ],
    ids=["digest", "offset", "huge", "small", "empty", "short"],
)
async def test_inconsistent_chunks_are_refused(client, auditor, altered_responses, change, message):
    altered_responses("GetAttestation", change)
    with pytest.raises(ClientError, match=message):
        await attested(client, auditor)


async def test_policy_of_the_caller_is_applied(client, auditor):
    policy = AllOf(ModelIs("0x" + "00" * 32), UnsafeAcceptDevSetup())
    with pytest.raises(PolicyRefusedError, match="model id is"):
        await attested(client, auditor, policy)


async def test_operation_that_is_done_without_a_result_is_refused(client, auditor, altered_responses):
    def done(operation):
        operation.done = True

    altered_responses("WaitOperation", done)
    handle = (await client.infer("tiny", {"x": SLOW})).handle
    with pytest.raises(CallError, match="no attestation yet"):
        await handle.attestation(auditor.verifier, auditor.policy, timeout=0.3)
    await handle.cancel()


# --- authentication


async def test_token_is_sent(server):
    _, token = TokenFile(server.dependencies.settings.token_file).new("alice")
    async with AsyncClient(server.address, token=token) as client:
        assert await client.list() == []
    async with AsyncClient(server.address) as client:
        with pytest.raises(CallError) as caught:
            await client.list()
    server.dependencies.settings.token_file.unlink()
    assert caught.value.code == "UNAUTHENTICATED"
