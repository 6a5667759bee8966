"""The real engine behind the real server: an unmodified tritonclient, and independent verification."""

import os
import queue
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.integration import bench
from tests.unit.service.threaded import threaded
from tritonclient.utils import InferenceServerException

from zkinfer.service.settings import Proving, Settings
from zkinfer.verifier import Attestation
from zkinfer.verifier.errors import InputMismatchError

MODE = {"zkinfer_proof_mode": "none"}


@pytest.fixture(scope="module")
def server(home, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(digits.folder, folder / "models" / "digits" / "1")
    settings = Settings(
        repository=folder / "models",
        listen="127.0.0.1:0",
        state=folder / "state",
        proving=Proving(workers=1, memory=1 << 30),
    )
    with threaded(settings, home) as running:
        yield SimpleNamespace(address=running.address, dependencies=running.dependencies)


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.address) as client:
        yield client


def tensors(number):
    image = bench.image(number)["image"].astype(np.float32)
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image)
    return [tensor]


def verified(home, digits, attestation, number):
    verifier = bench.verifier_of(home, bench.MODEL)
    expected = bench.image(number)
    return verifier.verify(Attestation.from_bytes(attestation), bench.policy_of(digits), expected_inputs=expected)


def test_stream_answers_immediately_and_delivers_a_proof_that_an_auditor_accepts(client, home, digits):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("digits", tensors(0), request_id="a")
    (answer, error), (proof, failure) = answers.get(timeout=60), answers.get(timeout=300)
    client.stop_stream()
    assert error is None
    assert failure is None
    inference = verified(home, digits, proof.as_numpy("zkinfer_attestation")[0], 0)
    np.testing.assert_array_equal(answer.as_numpy("logits"), inference.outputs["logits"].astype(np.float32))
    parameters = answer.get_response().parameters
    assert inference.context.request_id == parameters["zkinfer_context_request_id"].string_param
    assert inference.model_id == parameters["zkinfer_model_id"].string_param


def test_attestation_of_one_input_is_refused_for_another(client, home, digits):
    result = client.infer("digits", tensors(1), parameters={"zkinfer_proof_mode": "sync"}, client_timeout=300)
    with pytest.raises(InputMismatchError):
        verified(home, digits, result.as_numpy("zkinfer_attestation")[0], 2)


def test_float_answer_is_close_to_that_of_the_circuit(client):
    result = client.infer("digits", tensors(2), parameters=MODE | {"zkinfer_float": True})
    quantised, exact = result.as_numpy("logits"), result.as_numpy("logits.float")
    assert quantised.argmax() == exact.argmax()
    np.testing.assert_allclose(quantised, exact, atol=0.05 * np.ptp(exact))


def test_value_out_of_range_is_refused_and_the_next_request_answered(client):
    image = bench.image(0)["image"].astype(np.float32) + 1e12
    tensor = triton.InferInput("image", list(image.shape), "FP32")
    tensor.set_data_from_numpy(image)
    with pytest.raises(InferenceServerException, match=r"INVALID_ARGUMENT\].* does not fit the range"):
        client.infer("digits", [tensor], parameters=MODE)
    assert client.infer("digits", tensors(0), parameters=MODE).as_numpy("logits").size == 10


def test_killed_engine_is_replaced_for_the_next_caller(client, server):
    client.infer("digits", tensors(0), parameters=MODE)
    sessions = [session for entry in server.dependencies.answers._pools.values() for session in entry.pool._sessions]
    assert sessions
    for session in sessions:
        os.kill(session._session._process.pid, signal.SIGKILL)
    for _ in range(4):
        assert client.infer("digits", tensors(0), parameters=MODE).as_numpy("logits").size == 10
