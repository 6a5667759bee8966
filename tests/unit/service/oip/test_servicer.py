"""Every call that zkinfer serves, made by an unmodified tritonclient."""

import queue

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tests.eventually import eventually
from tests.unit.circuits import factories
from tritonclient.utils import InferenceServerException

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover.quantised_inputs import integers_digest
from zkinfer.verifier import Attestation

Y = [[0.375, 0.0]]  # 0.5 - 0.625 - 0.5 + 0.5, ... rounded to 256ths
WORD = "0x" + "7e" * 32


def parameters_of(result):
    found = result.get_response().parameters
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in found.items()}


def infer(client, tensor, parameters=None, **options):
    return client.infer("tiny", [tensor() if callable(tensor) else tensor], parameters=parameters, **options)


def job_of(server, result):
    return server.dependencies.store.get(parameters_of(result)["zkinfer_operation"].removeprefix("operations/proofs/"))


def refused(call, code, message):
    with pytest.raises(InferenceServerException, match=message) as caught:
        call()
    assert caught.value.status() == f"StatusCode.{code}"


# --- metadata


def test_server_is_live_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()


def test_server_metadata_has_name_and_extensions(client):
    metadata = client.get_server_metadata()
    assert metadata.name == "zkinfer"
    assert {"binary_tensor_data", "statistics", "zkinfer_proofs"} <= set(metadata.extensions)


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("tiny", "", True), ("tiny", "2", True), ("tiny", "3", False), ("broken", "", False), ("none", "", False)],
)
def test_model_readiness_is_reported(client, name, version, ready):
    assert client.is_model_ready(name, version) is ready


def test_model_metadata_has_inputs_outputs_and_versions(client):
    metadata = client.get_model_metadata("tiny")
    assert list(metadata.versions) == ["1", "2"]
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [("x", "FP32", [1, 3])]
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.outputs] == [("y", "FP32", [1, 2])]


def test_config_is_decoupled_and_names_the_circuit(client, server):
    config = client.get_model_config("tiny", "1").config
    assert config.model_transaction_policy.decoupled
    assert (config.max_batch_size, list(config.input[0].dims)) == (0, [1, 3])
    assert config.input[0].data_type == 11
    assert config.parameters["zkinfer_circuit"].string_value == str(server.tiny.circuit.digest)


def test_index_lists_broken_models_with_the_reason(client):
    listed = {(one.name, one.version): (one.state, one.reason) for one in client.get_model_repository_index().models}
    assert listed["tiny", "2"] == ("READY", "")
    state, reason = listed["broken", "1"]
    assert state == "UNAVAILABLE"
    assert reason.startswith("broken/1/network.onnx is not the file")


def test_statistics_count_answers_and_failures(client, tensor):
    def counted():
        (one,) = client.get_inference_statistics("tiny", "1").model_stats
        return one.inference_stats.success.count, one.inference_stats.fail.count

    success, fail = counted()
    infer(client, tensor, {"zkinfer_proof_mode": "none"}, model_version="1")
    with pytest.raises(InferenceServerException, match="has shape"):
        client.infer("tiny", [tensor(np.zeros((2, 2), np.float32))], model_version="1")
    assert counted() == (success + 1, fail + 1)
    (one,) = client.get_inference_statistics("tiny", "1").model_stats
    assert one.inference_stats.compute_infer.ns > 0
    assert one.last_inference > 1_600_000_000_000


def test_statistics_of_all_models_are_listed(client):
    listed = [(one.name, one.version) for one in client.get_inference_statistics().model_stats]
    assert listed == [("tiny", "1"), ("tiny", "2")]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model_metadata("none"),
        lambda client: client.get_model_config("tiny", "7"),
        lambda client: client.get_inference_statistics("none"),
        lambda client: client.infer("none", []),
    ],
)
def test_unknown_model_is_not_found(client, call):
    refused(lambda: call(client), "NOT_FOUND", r"There is no (model|version) .* RepositoryIndex lists")


def test_broken_model_is_unavailable_with_the_reason(client):
    refused(
        lambda: client.get_model_metadata("broken"), "UNAVAILABLE", "'broken' version 1 is not available: broken/1/"
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_system_shared_memory_status(),
        lambda client: client.get_trace_settings(),
        lambda client: client.get_log_settings(),
        lambda client: client.load_model("tiny"),
    ],
)
def test_unsupported_calls_are_unimplemented(client, call):
    refused(lambda: call(client), "UNIMPLEMENTED", "There is no method")


# --- answers


def test_answer_is_that_of_the_circuit(client, tensor, server):
    result = infer(client, tensor, {"zkinfer_proof_mode": "none"}, request_id="my-id")
    folder, program = server.tiny.circuit.folder, server.tiny.circuit.manifest.program
    (expected,) = FakeEngine().forward(folder, program, [[[128, -320, 512]]])
    np.testing.assert_array_equal(result.as_numpy("y") * 256, np.reshape(expected, (1, 2)))
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("my-id", "tiny", "2")
    assert parameters_of(result) == {
        "zkinfer_model_id": server.tiny.circuit.model_id,
        "zkinfer_circuit": str(server.tiny.circuit.digest),
        "zkinfer_verifying_key": server.tiny.circuit.manifest.identity.verifying_key,
        "zkinfer_inputs": str(integers_digest([[128, -320, 512]])),
        "zkinfer_outputs": str(integers_digest(expected)),
    }


@pytest.mark.parametrize(
    ("datatype", "dtype"), [("FP64", np.float64), ("FP16", np.float16), ("INT32", np.int32), ("UINT8", np.uint8)]
)
def test_other_datatypes_are_accepted_if_lossless(client, tensor, datatype, dtype):
    array = np.array([[1, 2, 3]])
    mode = {"zkinfer_proof_mode": "none"}
    expected = infer(client, tensor(array.astype(np.float32)), mode).as_numpy("y")
    assert (
        infer(client, tensor(array.astype(dtype), datatype=datatype), mode).as_numpy("y").tolist() == expected.tolist()
    )


def test_float_outputs_are_added_on_request(client, tensor):
    result = infer(client, tensor, {"zkinfer_proof_mode": "none", "zkinfer_float": True})
    assert result.as_numpy("y.float").dtype == np.float32
    np.testing.assert_allclose(result.as_numpy("y.float"), result.as_numpy("y"), atol=0.01)


def test_outputs_are_those_requested(client, tensor):
    result = infer(client, tensor, {"zkinfer_proof_mode": "none"}, outputs=[triton.InferRequestedOutput("y")])
    assert [output.name for output in result.get_response().outputs] == ["y"]


def test_async_infer_answers(client, tensor):
    answers = queue.Queue()
    client.async_infer("tiny", [tensor()], callback=lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=20)
    assert error is None
    assert result.as_numpy("y").shape == (1, 2)


def test_concurrent_clients_are_all_answered(client, tensor):
    answers = queue.Queue()
    for number in range(40):
        array = np.full((1, 3), number, np.float32)
        client.async_infer(
            "tiny",
            [tensor(array)],
            callback=lambda result, error: answers.put(result.get_response().id if result else str(error)),
            request_id=str(number),
            parameters={"zkinfer_proof_mode": "none"},
        )
    assert {answers.get(timeout=30) for _ in range(40)} == {str(number) for number in range(40)}


# --- refusals


@pytest.mark.parametrize(
    ("array", "datatype", "name", "message"),
    [
        (
            np.zeros((1, 4), np.float32),
            "FP32",
            "x",
            r"inputs\[0\]: Input 'x' has shape \[1, 4\]. The model takes x float32",
        ),
        (factories.X, "FP32", "z", "inputs: The model has no input 'z'. It takes x float32"),
        (
            np.array([[np.nan, 0, 0]], np.float32),
            "FP32",
            "x",
            "holds NaN or infinity: nan at element .0, 0.. Circuits support finite",
        ),
        (np.array([[1e300, 0, 0]]), "FP64", "x", "A value of input 'x' exceeds the range of float32"),
        (np.array([[b"a", b"b", b"c"]], object), "BYTES", "x", "Input 'x' is BYTES. The model takes"),
        (
            np.array([[1e30, 0, 0]], np.float32),
            "FP32",
            "x",
            r"Input 'x' is .* at element .0, 0., which does not fit the range",
        ),
    ],
)
def test_invalid_input_is_refused_with_a_self_contained_message(client, tensor, array, datatype, name, message):
    given = tensor(array, name=name, datatype=datatype)
    refused(lambda: client.infer("tiny", [given]), "INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"zkinfer_proof_mode": "later"},
            "parameters.zkinfer_proof_mode: The proof mode must be one of none, async, sync",
        ),
        ({"zkinfer_proof_mod": "none"}, "zkinfer_proof_mod is not a parameter. The parameters are zkinfer_proof_mode"),
        ({"zkinfer_chain_id": -1}, r"zkinfer_chain_id: It must be an integer from 0 to 2\^256 - 1"),
        ({"zkinfer_chain_id": True}, "zkinfer_chain_id: It must be an integer"),
        ({"zkinfer_consumer": "0x12"}, "zkinfer_consumer: It must be an address"),
        ({"zkinfer_expiry": 1.5}, "zkinfer_expiry: It must be an integer"),
        ({"zkinfer_expiry": 1}, "deadline|expire"),
        ({"zkinfer_float": "yes"}, "zkinfer_float: It must be true or false"),
        ({"zkinfer_request_id": ""}, "zkinfer_request_id: It must have 1 to 128 printable characters"),
        ({"zkinfer_request_id": "x" * 129}, "1 to 128 printable"),
        ({f"k{number}": 1 for number in range(65)}, "There are 65 parameters. At most 64"),
    ],
)
def test_invalid_parameter_is_refused(client, tensor, parameters, message):
    refused(lambda: infer(client, tensor, parameters), "INVALID_ARGUMENT", message)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            [triton.InferRequestedOutput("z")],
            r"outputs\[0\]: The model has no output 'z'. It has y, zkinfer_attestation",
        ),
        ([triton.InferRequestedOutput("y")] * 2, "The output 'y' is requested twice"),
        ([triton.InferRequestedOutput("y", class_count=2)], "classification is not supported"),
    ],
)
def test_unavailable_output_is_refused(client, tensor, outputs, message):
    refused(lambda: infer(client, tensor, outputs=outputs), "INVALID_ARGUMENT", message)


def test_attestation_without_a_proof_is_refused(client, tensor):
    outputs = [triton.InferRequestedOutput("zkinfer_attestation")]
    mode = {"zkinfer_proof_mode": "none"}
    refused(lambda: infer(client, tensor, mode, outputs=outputs), "INVALID_ARGUMENT", "zkinfer_proof_mode is none")


def test_message_beyond_the_limit_is_refused(client):
    given = triton.InferInput("x", [1, 3_000_000], "FP32")
    given.set_data_from_numpy(np.zeros((1, 3_000_000), np.float32))
    refused(lambda: client.infer("tiny", [given]), "RESOURCE_EXHAUSTED", "larger than max")


# --- proofs


def proven(server, result):
    """The attestation of a job, once it is ready."""
    assert eventually(lambda: job_of(server, result).state.final, 30)
    job = job_of(server, result)
    assert str(job.state) == "SUCCEEDED", job.failure
    return Attestation.from_bytes(server.dependencies.artifacts.get(job.attestation, 1 << 22))


def test_answer_names_its_proof_operation(client, tensor, server):
    context = {"zkinfer_chain_id": 1, "zkinfer_requester": "0x" + "AB" * 20, "zkinfer_consumer": "0x" + "cd" * 20}
    result = infer(client, tensor, context | {"zkinfer_request_id": WORD, "zkinfer_expiry": 1 << 40})
    parameters = parameters_of(result)
    assert parameters["zkinfer_state"] == "QUEUED"
    assert parameters["zkinfer_context_request_id"] == WORD
    found = proven(server, result).predicate.context
    assert (found.chain_id, found.requester, found.consumer) == (1, "0x" + "ab" * 20, "0x" + "cd" * 20)
    assert (found.request_id, found.expiry) == (WORD, 1 << 40)
    assert str(job_of(server, result).request.outputs) == parameters["zkinfer_outputs"]


def test_same_request_id_is_the_same_operation(client, tensor):
    asked = {"zkinfer_request_id": "order 66"}
    first, second = (parameters_of(infer(client, tensor, asked)) for _ in range(2))
    assert first["zkinfer_operation"] == second["zkinfer_operation"]
    assert first["zkinfer_context_request_id"] == second["zkinfer_context_request_id"]


def test_same_request_id_for_another_input_is_refused(client, tensor):
    asked = {"zkinfer_request_id": "order 67"}
    infer(client, tensor, asked)
    refused(lambda: infer(client, tensor(factories.X * 0.5), asked), "ALREADY_EXISTS", "request id")


@pytest.mark.parametrize("ask", ["mode", "output"])
def test_synchronous_caller_gets_the_attestation_with_the_answer(client, tensor, server, ask):
    mode = {"zkinfer_proof_mode": "sync"} if ask == "mode" else {}
    outputs = [triton.InferRequestedOutput(name) for name in ("y", "zkinfer_attestation")] if ask == "output" else None
    result = infer(client, tensor, mode, outputs=outputs, client_timeout=60)
    (data,) = result.as_numpy("zkinfer_attestation")
    attestation = Attestation.from_bytes(data)
    assert attestation.predicate.context.request_id == parameters_of(result)["zkinfer_context_request_id"]
    assert parameters_of(result)["zkinfer_state"] == "SUCCEEDED"
    assert result.as_numpy("y") is not None


def slow(seconds):
    """An input that takes the fake worker `seconds` to prove."""
    return np.array([[seconds, 0.0, 0.0]], np.float32)


def test_deadline_of_the_call_does_not_end_the_job(client, tensor, server):
    asked = {"zkinfer_proof_mode": "sync", "zkinfer_request_id": "impatient"}
    message = r"The proof is not ready; it continues as operations/proofs/\w+\. Wait for it|Deadline Exceeded"
    refused(lambda: infer(client, tensor(slow(3.0)), asked, client_timeout=1.5), "DEADLINE_EXCEEDED", message)
    again = infer(client, tensor(slow(3.0)), {"zkinfer_request_id": "impatient"})
    assert proven(server, again)


def test_failed_proof_reports_its_reason(client, tensor):
    failing = np.array([[-2 / 256, 0, 0]], np.float32)
    asked = {"zkinfer_proof_mode": "sync"}
    refused(
        lambda: infer(client, tensor(failing), asked), "RESOURCE_EXHAUSTED", "ran out of memory. Use a larger machine"
    )


# --- streams


@pytest.fixture
def stream(client):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    yield answers
    client.stop_stream(cancel_requests=True)


def taken(answers):
    result, error = answers.get(timeout=30)
    assert error is None, error
    return result


def test_stream_returns_tensors_first_and_the_attestation_later(client, stream, tensor, server):
    client.async_stream_infer("tiny", [tensor(slow(0.5))], request_id="a")
    first, second = taken(stream), taken(stream)
    assert parameters_of(first)["triton_final_response"] is False
    assert first.as_numpy("y").shape == (1, 2)
    assert first.as_numpy("zkinfer_attestation") is None
    assert parameters_of(second)["triton_final_response"] is True
    assert second.as_numpy("y") is None
    assert {result.get_response().id for result in (first, second)} == {"a"}
    attestation = Attestation.from_bytes(second.as_numpy("zkinfer_attestation")[0])
    assert attestation.predicate.context.request_id == parameters_of(first)["zkinfer_context_request_id"]
    assert parameters_of(second)["zkinfer_operation"] == parameters_of(first)["zkinfer_operation"]


def test_answers_of_a_stream_do_not_wait_for_earlier_proofs(client, stream, tensor):
    for number in range(3):
        client.async_stream_infer("tiny", [tensor(slow(1.0 + number / 256))], request_id=str(number))
    first = [taken(stream) for _ in range(3)]
    assert [parameters_of(result)["triton_final_response"] for result in first] == [False] * 3
    last = [taken(stream) for _ in range(3)]
    assert {result.get_response().id for result in last} == {"0", "1", "2"}


def test_stream_without_a_proof_has_one_response(client, stream, tensor):
    client.async_stream_infer(
        "tiny",
        [tensor()],
        request_id="a",
        parameters={"zkinfer_proof_mode": "none"},
        enable_empty_final_response=True,
    )
    assert parameters_of(taken(stream))["triton_final_response"] is True
    assert stream.empty()


def test_synchronous_stream_has_one_response_with_everything(client, stream, tensor):
    client.async_stream_infer("tiny", [tensor()], parameters={"zkinfer_proof_mode": "sync"})
    result = taken(stream)
    assert result.as_numpy("y") is not None
    assert Attestation.from_bytes(result.as_numpy("zkinfer_attestation")[0])


def test_error_ends_only_its_request_and_not_the_stream(client, stream, tensor):
    client.async_stream_infer("none", [tensor()], request_id="bad")
    result, error = stream.get(timeout=20)
    assert result is None
    assert "There is no model 'none'" in str(error)
    client.async_stream_infer("tiny", [tensor()], parameters={"zkinfer_proof_mode": "none"})
    assert taken(stream).as_numpy("y").shape == (1, 2)


def test_failed_proof_is_reported_in_the_stream(client, stream, tensor):
    client.async_stream_infer("tiny", [tensor(np.array([[-2 / 256, 0, 0]], np.float32))])
    assert taken(stream).as_numpy("y") is not None
    result, error = stream.get(timeout=30)
    assert result is None
    assert "ran out of memory" in str(error)


def test_job_survives_a_caller_that_leaves_the_stream(server, tensor):
    with triton.InferenceServerClient(server.address) as client:
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("tiny", [tensor(slow(1.5))])
        first = taken(answers)
        client.stop_stream(cancel_requests=True)
    assert proven(server, first)


# --- hostile bytes


def test_malformed_message_does_not_stop_the_server(server, client):
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for data in (b"\xff" * 100, b"\x2a\x00" * 1_000_000, b"\x3a\x00" * 1_000_000, b"\x0a\xff\xff\xff\xff\x0f"):
            with pytest.raises(grpc.RpcError):
                call(data, timeout=30)
    assert client.is_server_live()
