"""VerifyAttestation on a server with a trust root."""

import json
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc import aio
from tests.unit.circuits.factories import X
from tests.unit.service import queue_server
from tests.unit.service.queue_server import ENGINES, details
from tests.unit.verifier.forge import OWNER
from tests.unit.verifier.trustroot.factory import A, B, begun, following, key_entry, revocation

from zkinfer.circuits.digest import sha256
from zkinfer.prover import Prover
from zkinfer.service.trust_root import ServerTrustRoot
from zkinfer.service.verification import VerificationService
from zkinfer.v1.proofs_pb2 import VerifyAttestationRequest
from zkinfer.verifier import TrustRootError
from zkinfer.verifier.trustroot.pins import Pins

ISSUED = datetime.now(UTC) - timedelta(hours=1)


def listing(tiny, **changes):
    """A signed root that lists the tests' model, engine, setup and signer."""
    content = {
        "models": [{"sha256": str(sha256(tiny.model.read_bytes())), "circuits": [tiny.circuit.model_id]}],
        "signers": [key_entry(OWNER)],
        "setups": ["insecure-dev"],
        "engines": ["fake"],
    }
    return following(begun(A, now=ISSUED), A, now=ISSUED, **(content | changes))


@pytest.fixture
def attestation(tiny):
    return Prover(home=tiny.home, engines=ENGINES, key=OWNER).prove(tiny.circuit, {"x": X}).to_bytes()


@pytest.fixture
async def trusting(backend, tmp_path):
    """A server with this trust root; returns a call of VerifyAttestation, and the file."""
    path = tmp_path / "root.json"
    path.write_bytes(listing(backend.tiny).to_bytes())
    fingerprint = listing(backend.tiny).current.root.fingerprint
    root = ServerTrustRoot(path, fingerprint, Pins(tmp_path / "trust"))
    backend.verifications.close()
    backend.verifications = VerificationService(backend.tiny.home, engines=ENGINES, trust_root=root)
    rules = {"version": 1, "allOf": [{"modelIs": backend.tiny.circuit.model_id}, {"unsafeAcceptDevSetup": True}]}

    async with queue_server.served(backend) as served:

        async def verify(attestation, file=None):
            if file is not None:
                path.write_bytes(file.to_bytes())
            request = VerifyAttestationRequest(attestation=attestation, policy=json.dumps(rules))
            return await served.proofs.VerifyAttestation(request)

        yield verify


async def test_attestation_that_the_root_lists_is_accepted(trusting, attestation, backend):
    assert (await trusting(attestation)).model_id == backend.tiny.circuit.model_id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signers": []}, "does not list the signer"),
        ({"models": []}, "does not list the ONNX file"),
        ({"setups": ["hermez"]}, "does not list the trusted setup"),
        ({"engines": ["ezkl"]}, "engine"),
    ],
)
async def test_attestation_that_the_root_does_not_list_is_refused(trusting, attestation, backend, changes, message):
    with pytest.raises(aio.AioRpcError, match=message) as caught:
        await trusting(attestation, listing(backend.tiny, **changes))
    assert details(caught.value)["ErrorInfo"].metadata["step"] == "11"


async def test_revocation_counts_from_the_next_verification_on(trusting, attestation, backend):
    await trusting(attestation)
    revoked = [revocation("signer", OWNER.public.fingerprint)]
    newer = following(listing(backend.tiny), A, now=ISSUED, revocations=revoked)
    with pytest.raises(aio.AioRpcError, match="is revoked from the beginning") as caught:
        await trusting(attestation, newer)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(aio.AioRpcError, match="cannot use its trust root"):
        await trusting(attestation, listing(backend.tiny))


async def test_root_that_cannot_be_used_is_a_server_fault_without_its_path(trusting, attestation, tmp_path):
    (tmp_path / "root.json").unlink()
    with pytest.raises(aio.AioRpcError, match="The server cannot use its trust root") as caught:
        await trusting(attestation)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(tmp_path) not in str(caught.value)


def test_root_with_other_keys_or_an_expired_one_is_refused(tiny, tmp_path):
    path = tmp_path / "root.json"
    path.write_bytes(listing(tiny).to_bytes())
    other = begun(B).current.root.fingerprint
    with pytest.raises(TrustRootError, match="have the fingerprint"):
        ServerTrustRoot(path, other, Pins(tmp_path / "trust")).read()
    late = ServerTrustRoot(
        path, listing(tiny).current.root.fingerprint, Pins(tmp_path / "trust"), lambda: ISSUED + timedelta(days=999)
    )
    with pytest.raises(TrustRootError, match="expired at"):
        late.read()
