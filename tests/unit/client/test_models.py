import numpy as np
import pytest

from zkinfer.client import CallError
from zkinfer.verifier import AllOf, ModelIs, PolicyRefusedError, UnsafeAcceptDevSetup

pytestmark = pytest.mark.asyncio(loop_scope="module")
X = np.array([[0.0, -1.25, 2.0]], dtype=np.float32)
DEV = UnsafeAcceptDevSetup()


async def test_models_are_listed_with_cost_and_fidelity(client, tiny):
    (model,) = await client.models()
    assert (model.name, model.version, model.newest, model.ready) == ("tiny", "1", True, True)
    assert model.model_id == tiny.circuit.model_id
    assert model.inputs == ("x FP32 [1, 3]",)
    assert model.cost.proof_bytes > 0
    assert 0 <= model.fidelity.error_p50 <= model.fidelity.error_max


async def test_attestation_for_another_auditor_is_downloaded_unverified(client, auditor):
    inference = await client.infer("tiny", {"x": X})
    found = await inference.handle.attestation(auditor.verifier, auditor.policy, timeout=60)
    data = await client.unverified_attestation(inference.handle.operation)
    assert data == found.data
    with pytest.raises(PolicyRefusedError):
        auditor.verifier.verify(data, AllOf(ModelIs("0x" + "11" * 32), DEV))


async def test_unknown_attestation_is_refused(client):
    with pytest.raises(CallError, match="operation"):
        await client.unverified_attestation("operations/proofs/unknown", timeout=5)
