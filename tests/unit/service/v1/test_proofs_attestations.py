"""GetAttestation and VerifyAttestation over gRPC."""

import asyncio
import json
import os
import select
import threading
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from grpc import aio
from tests.unit.circuits.factories import X
from tests.unit.service import queue_server
from tests.unit.service.queue_server import bearer, details

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.sandbox import processes
from zkinfer.circuits.sandbox.child import StopSignal, stop_descriptor, stopped
from zkinfer.client.values import messages_of
from zkinfer.service import verification
from zkinfer.service.identity import Rights
from zkinfer.service.v1 import name_of, proofs
from zkinfer.service.v1.proofs import arrays_of
from zkinfer.service.verification import VerificationService
from zkinfer.v1.proofs_pb2 import GetAttestationRequest, VerifyAttestationRequest
from zkinfer.verifier import Attestation, SigningKey, checks


async def pieces(served, job, offset=0, **options):
    request = GetAttestationRequest(operation=name_of(job.id), offset=offset)
    return [piece async for piece in served.proofs.GetAttestation(request, **options)]


def policy(tiny, *more):
    return json.dumps(
        {"version": 1, "allOf": [{"modelIs": tiny.circuit.model_id}, {"unsafeAcceptDevSetup": True}, *more]}
    )


@pytest.fixture
async def proven(served):
    served.backend.submit()
    return served.backend.prove()


@pytest.fixture
def attestation(served, proven):
    return served.backend.artifacts.get(proven.attestation, 1 << 24)


async def test_attestation_is_downloaded_in_chunks(served, proven, attestation, monkeypatch):
    monkeypatch.setattr(proofs, "CHUNK_BYTES", 100)
    found = await pieces(served, proven)
    assert b"".join(piece.data for piece in found) == attestation
    assert [piece.offset for piece in found] == list(range(0, len(attestation), 100))
    assert {(piece.digest, piece.size) for piece in found} == {(str(proven.attestation), len(attestation))}


async def test_broken_download_is_resumed(served, proven, attestation):
    found = await pieces(served, proven, offset=1000)
    assert b"".join(piece.data for piece in found) == attestation[1000:]


@pytest.mark.parametrize("offset", [-1, 1 << 40])
async def test_offset_out_of_range_is_refused(served, proven, offset):
    with pytest.raises(aio.AioRpcError, match="Start at 0") as caught:
        await pieces(served, proven, offset=offset)
    assert details(caught.value)["BadRequest"].field_violations[0].field == "offset"


async def test_unfinished_attestation_is_refused(served):
    job = served.backend.submit()
    with pytest.raises(aio.AioRpcError, match="no attestation yet: the proof is QUEUED") as caught:
        await pieces(served, job)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_attestation_of_a_cancelled_proof_is_refused(served):
    job = served.backend.submit()
    served.backend.store.cancel(job.id)
    with pytest.raises(aio.AioRpcError, match="no attestation: the proof is CANCELLED"):
        await pieces(served, job)


async def test_foreign_attestation_is_not_found(served, proven):
    _, token = served.backend.authenticator.tokens.new("bob")
    with pytest.raises(aio.AioRpcError) as caught:
        await pieces(served, proven, metadata=bearer(token))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_attestation_damaged_on_disk_is_not_served(served, proven):
    path = served.backend.artifacts.root / proven.attestation.hex
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(aio.AioRpcError) as caught:
        await pieces(served, proven)
    assert caught.value.code() == grpc.StatusCode.DATA_LOSS
    assert "RetryInfo" not in details(caught.value)
    assert str(served.backend.folder) not in caught.value.details()


# --- verifying


async def verified(served, attestation, rules, expected=None, **options):
    tensors = messages_of(expected) if expected else []
    request = VerifyAttestationRequest(attestation=attestation, policy=rules, expected_inputs=tensors)
    return await served.proofs.VerifyAttestation(request, **options)


async def test_honest_attestation_is_verified(served, proven, attestation):
    found = await verified(served, attestation, policy(served.backend.tiny), {"x": X})
    assert found.model_id == served.backend.tiny.circuit.model_id
    assert found.on_expected_input
    assert found.context.request_id == proven.request.context.request_id
    assert found.setup == "insecure-dev"
    assert arrays_of(found.inputs, "inputs")["x"].tolist() == X.tolist()
    assert arrays_of(found.outputs, "outputs")["y"].shape == (1, 2)
    assert [step.status for step in found.steps] == ["passed"] * 11 + ["skipped"]


async def test_altered_attestation_is_refused_with_step_and_reason(served, attestation):
    at = attestation.index(b'"payload":"') + 300
    changed = attestation[:at] + (b"A" if attestation[at : at + 1] != b"A" else b"B") + attestation[at + 1 :]
    with pytest.raises(aio.AioRpcError) as caught:
        await verified(served, changed, policy(served.backend.tiny))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    found = details(caught.value)
    assert int(found["ErrorInfo"].metadata["step"]) >= 1
    assert found["BadRequest"].field_violations[0].field == "attestation"


async def test_cache_writable_by_others_is_a_server_error_without_its_path(served, attestation):
    cache = served.backend.tiny.home.rebuilt
    cache.mkdir(exist_ok=True)
    cache.chmod(0o777)
    try:
        with pytest.raises(aio.AioRpcError) as caught:
            await verified(served, attestation, policy(served.backend.tiny))
    finally:
        cache.chmod(0o700)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert str(cache) not in str(caught.value)


async def test_verification_yields_to_inference(served, attestation, monkeypatch):
    seen, rebuild = [], checks.rebuild

    def seeing(*given, **named):
        seen.append(processes._YIELDING.get())
        return rebuild(*given, **named)

    monkeypatch.setattr(checks, "rebuild", seeing)
    await verified(served, attestation, policy(served.backend.tiny))
    assert seen == [True]


async def test_other_input_is_refused(served, attestation):
    with pytest.raises(aio.AioRpcError, match="another value of the input 'x'") as caught:
        await verified(served, attestation, policy(served.backend.tiny), {"x": X + np.float32(1)})
    assert details(caught.value)["ErrorInfo"].reason == "INPUT_MISMATCH"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("", "The policy is not JSON"),
        ("{}", "A policy is an object"),
        ('{"version": 1, "allOf": []}', "requires nothing"),
        ('{"version": 1, "allOf": [{"colourIs": "red"}]}', "is unknown"),
    ],
)
async def test_malformed_policy_is_refused(served, attestation, rules, message):
    with pytest.raises(aio.AioRpcError, match=message) as caught:
        await verified(served, attestation, rules)
    assert details(caught.value)["BadRequest"].field_violations[0].field == "policy"


async def test_dev_setup_is_refused_unless_the_policy_permits_it(served, attestation):
    rules = json.dumps({"version": 1, "allOf": [{"modelIs": served.backend.tiny.circuit.model_id}]})
    with pytest.raises(aio.AioRpcError) as caught:
        await verified(served, attestation, rules)
    assert details(caught.value)["ErrorInfo"].reason == "INSECURE_DEV_SETUP"


async def test_model_without_permission_is_reported_as_unknown(served, attestation):
    _, token = served.backend.authenticator.tokens.new("bob", rights=Rights(models=frozenset({"other"})))
    with pytest.raises(aio.AioRpcError) as caught:
        await verified(served, attestation, policy(served.backend.tiny), metadata=bearer(token))
    assert details(caught.value)["ErrorInfo"].reason == "UNKNOWN_MODEL"
    assert Attestation.from_bytes(attestation).predicate.circuit.model in caught.value.details()


async def test_oversized_message_is_refused(backend):
    settings = backend.settings.model_copy(
        update={"limits": backend.settings.limits.model_copy(update={"message_bytes": 1 << 16})}
    )
    backend.settings = settings
    async with queue_server.served(backend) as served:
        with pytest.raises(aio.AioRpcError) as caught:
            await verified(served, bytes(1 << 17), "{}")
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


class Slow(FakeEngine):
    """Verifies until it is released or stopped."""

    def __init__(self):
        self.entered, self.leave = threading.Semaphore(0), StopSignal()

    def verify(self, *arguments):
        self.entered.release()
        ready, _, _ = select.select([self.leave.descriptor, stop_descriptor()], [], [], 60)
        if self.leave.descriptor not in ready:
            raise stopped()
        super().verify(*arguments)


@pytest.fixture
async def slow(backend):
    """A server with slow verifications, control over them, and an attestation."""
    backend.submit()
    attestation = backend.artifacts.get(backend.prove().attestation, 1 << 24)
    engine = Slow()
    clock = [0.0]
    backend.verifications = VerificationService(
        backend.tiny.home, max_concurrent=2, seconds=30.0, engines={"fake/1": engine}, clock=lambda: clock[0]
    )

    async def begun(served, **options):
        call = asyncio.ensure_future(verified(served, attestation, policy(backend.tiny), **options))
        await asyncio.to_thread(engine.entered.acquire)
        return call

    async with queue_server.served(backend) as served:
        yield SimpleNamespace(served=served, attestation=attestation, engine=engine, begun=begun, clock=clock)
    backend.verifications.close()
    engine.leave.close()


async def test_second_verification_of_one_caller_is_rejected_and_anothers_served(slow, backend):
    ann, bob, eve = (bearer(backend.authenticator.tokens.new(name)[1]) for name in ("ann", "bob", "eve"))
    calls = [await slow.begun(slow.served, metadata=ann)]
    with pytest.raises(aio.AioRpcError, match="of all callers or of this one") as same:
        await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=ann)
    calls.append(await slow.begun(slow.served, metadata=bob))
    with pytest.raises(aio.AioRpcError) as third:
        await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=eve)
    slow.engine.leave.set()
    assert all([(await call).model_id for call in calls])
    for refused in (same, third):
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(refused.value)["RetryInfo"].retry_delay.seconds == 5


async def test_caller_whose_verification_kept_others_out_waits_as_long(slow, backend):
    ann, bob, eve = (bearer(backend.authenticator.tokens.new(name)[1]) for name in ("ann", "bob", "eve"))
    calls = [await slow.begun(slow.served, metadata=one) for one in (ann, bob)]
    with pytest.raises(aio.AioRpcError, match="Too many verifications"):
        await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=eve)
    slow.clock[0] = 40.0
    slow.engine.leave.set()
    await asyncio.gather(*calls)
    with pytest.raises(aio.AioRpcError, match="Other callers were rejected") as paused:
        await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=ann)
    assert details(paused.value)["RetryInfo"].retry_delay.seconds == 40
    await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=eve)
    slow.clock[0] = 81.0
    await verified(slow.served, slow.attestation, policy(backend.tiny), metadata=ann)


async def test_caller_who_kept_nobody_out_need_not_wait(slow, backend):
    call = await slow.begun(slow.served)
    with pytest.raises(aio.AioRpcError, match="Too many verifications"):
        await verified(slow.served, slow.attestation, policy(backend.tiny))
    slow.clock[0] = 40.0
    slow.engine.leave.set()
    await call
    await verified(slow.served, slow.attestation, policy(backend.tiny))


async def test_verification_is_stopped_at_its_time_limit_and_its_place_is_free(slow, backend, monkeypatch):
    monkeypatch.setattr(backend.verifications, "_seconds", 0.2)
    with pytest.raises(aio.AioRpcError, match=r"longer than 0\.2 seconds and was stopped. Verify with") as caught:
        await verified(slow.served, slow.attestation, policy(backend.tiny))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "RetryInfo" not in details(caught.value)
    slow.engine.leave.set()
    monkeypatch.setattr(backend.verifications, "_seconds", 30.0)
    assert await verified(slow.served, slow.attestation, policy(backend.tiny))


async def test_no_setup_is_generated_for_a_caller(served, attestation):
    claim = Attestation.from_bytes(attestation)
    predicate = claim.predicate.model_copy(update={"setup_size": 17})
    statement = claim.statement.model_copy(update={"predicate": predicate})
    forged = Attestation._signed(statement, SigningKey.ephemeral()).to_bytes()
    setups = set(served.backend.tiny.home.setups.home.iterdir())
    with pytest.raises(aio.AioRpcError, match=r"no insecure-dev setup of 2\^17 powers, and generates none") as caught:
        await verified(served, forged, policy(served.backend.tiny))
    assert details(caught.value)["ErrorInfo"].metadata["step"] == "2"
    assert set(served.backend.tiny.home.setups.home.iterdir()) == setups


async def test_verification_is_stopped_when_the_server_stops(slow, backend):
    call = await slow.begun(slow.served)
    await asyncio.to_thread(backend.verifications.close)
    with pytest.raises(aio.AioRpcError, match="stopped before it was done"):
        await call
    backend.verifications = VerificationService(backend.tiny.home)


# --- the cache of rebuilt circuits


@pytest.mark.parametrize("refused", [False, True], ids=["accepted", "refused"])
async def test_least_recently_used_circuit_is_evicted(served, attestation, monkeypatch, refused):
    monkeypatch.setattr(verification, "_MAX_ENTRIES", 2)
    cache = served.backend.tiny.home.rebuilt
    for number in range(3):
        (cache / f"{number:064x}").mkdir(parents=True)
        os.utime(cache / f"{number:064x}", (number, number))
    if refused:
        with pytest.raises(aio.AioRpcError):
            await verified(served, attestation, policy(served.backend.tiny), {"x": X + np.float32(1)})
    else:
        await verified(served, attestation, policy(served.backend.tiny))
    left = {path.name for path in cache.iterdir()}
    assert len(left) == 2
    assert f"{2:064x}" in left
    (cache / f"{2:064x}").rmdir()


async def test_cache_is_bounded_in_bytes_except_for_the_newest_circuit(served, attestation, monkeypatch):
    cache = served.backend.tiny.home.rebuilt
    (cache / f"{0:064x}").mkdir(parents=True)
    os.utime(cache / f"{0:064x}", (0, 0))
    monkeypatch.setattr(verification, "_MAX_BYTES", 0)
    await verified(served, attestation, policy(served.backend.tiny))
    (left,) = cache.iterdir()
    assert left.name != f"{0:064x}"


async def test_circuit_in_use_is_not_evicted(served, attestation, monkeypatch):
    old = served.backend.tiny.home.rebuilt / f"{0:064x}"
    old.mkdir(parents=True)
    monkeypatch.setattr(verification, "_MAX_ENTRIES", 0)
    monkeypatch.setattr(served.backend.verifications, "_running", {"bob"})
    await verified(served, attestation, policy(served.backend.tiny))
    assert old.exists()
    old.rmdir()
