"""An unmodified Triton client over HTTP."""

import numpy as np
import pytest
import tritonclient.http as triton
from tests.unit.circuits.factories import X
from tritonclient.utils import InferenceServerException

from zkinfer.verifier import Attestation

SYNC = {"zkinfer_proof_mode": "sync"}


@pytest.fixture
def client(proving):
    client = triton.InferenceServerClient(proving)
    yield client
    client.close()


def given(array=X, *, binary, name="x", datatype="FP32"):
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return [tensor]


def requested(*names, binary):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_server_and_model_are_described(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "zkinfer"
    [described] = client.get_model_metadata("tiny", "1")["inputs"]
    assert described == {"name": "x", "datatype": "FP32", "shape": [1, 3]}
    assert client.get_model_config("tiny")["model_transaction_policy"] == {"decoupled": True}
    assert [(one["name"], one["state"]) for one in client.get_model_repository_index()] == [("tiny", "READY")]
    assert client.get_inference_statistics("tiny")["model_stats"][0]["name"] == "tiny"
    assert client.get_inference_statistics()["model_stats"][0]["name"] == "tiny"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_answer_is_the_same_in_every_form(client, binary_in, binary_out):
    found = client.infer("tiny", given(binary=binary_in), outputs=requested("y", binary=binary_out), request_id="a")
    assert found.get_response()["id"] == "a"
    np.testing.assert_array_equal(found.as_numpy("y"), np.array([[-0.125, -1.0]], np.float32))
    assert found.get_response()["parameters"]["zkinfer_operation"].startswith("operations/proofs/")


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_request_is_answered(client, algorithm):
    found = client.infer("tiny", given(binary=True), request_compression_algorithm=algorithm)
    assert found.as_numpy("y").shape == (1, 2)


@pytest.mark.parametrize("binary", [True, False])
def test_attestation_comes_with_the_answer(client, binary):
    found = client.infer("tiny", given(binary=binary), parameters=SYNC, outputs=requested("y", binary=binary))
    [attestation] = found.as_numpy("zkinfer_attestation")
    data = attestation if isinstance(attestation, bytes) else attestation.encode()
    circuit = Attestation.from_bytes(data).statement.predicate.circuit
    assert circuit.identity.model_id == found.get_response()["parameters"]["zkinfer_model_id"]


def test_answer_to_several_calls_at_a_time_arrives(client):
    calls = [client.async_infer("tiny", given(binary=True), request_id=str(number)) for number in range(4)]
    assert [call.get_result().get_response()["id"] for call in calls] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("model", "tensor", "status", "message"),
    [
        ("other", {}, "404", "There is no model"),
        ("tiny", {"name": "z"}, "400", "The model has no input 'z'"),
        ("tiny", {"array": np.zeros((1, 4), np.float32)}, "400", "has shape"),
        ("tiny", {"array": np.array([[b"a", b"b", b"c"]], object), "datatype": "BYTES"}, "400", "is BYTES"),
    ],
)
@pytest.mark.parametrize("binary", [True, False])
def test_refusal_names_the_cause(client, binary, model, tensor, status, message):
    if binary is False and tensor.get("datatype") == "BYTES":
        tensor = tensor | {"array": np.array([["a", "b", "c"]], object)}
    with pytest.raises(InferenceServerException, match=message) as caught:
        client.infer(model, given(binary=binary, **tensor))
    assert caught.value.status() == status


def test_half_precision_is_accepted_as_binary_data(client):
    found = client.infer("tiny", given(X.astype(np.float16), binary=True, datatype="FP16"))
    assert found.as_numpy("y").shape == (1, 2)
