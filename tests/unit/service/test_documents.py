"""Documents of messages, and their schemas."""

import jsonschema_rs
import pytest
from google.longrunning.operations_proto_pb2 import Operation
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from zkinfer.oip import messages
from zkinfer.service.documents import document_of, reference_to
from zkinfer.service.error_status import status_of
from zkinfer.service.errors import TooManyRequestsError
from zkinfer.v1 import models_pb2, values_pb2


def validator_of(kind):
    schemas = {}
    schema = {**reference_to(kind.DESCRIPTOR, schemas), "components": {"schemas": schemas}}
    return jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def operation():
    found = Operation(name="operations/proofs/1", done=True)
    metadata = values_pb2.ProofMetadata(model="m", state=values_pb2.PROOF_STATE_QUEUED, queue_position=0)
    metadata.create_time.CopyFrom(Timestamp(seconds=0))
    metadata.context.expiry = (1 << 64) - 1
    found.metadata.Pack(metadata)
    return found


def failed():
    found = operation()
    found.error.CopyFrom(status_of(TooManyRequestsError("Too many.", "Wait.")))
    return found


def succeeded():
    found = operation()
    found.response.Pack(values_pb2.Proof(operation="operations/proofs/1", attestation_size=7))
    return found


def model():
    return models_pb2.ListModelsResponse(
        models=[models_pb2.Model(name="m", cost=models_pb2.Cost(prove_duration=Duration(seconds=1, nanos=500_000_000)))]
    )


def config():
    found = messages.ModelConfig(
        name="m", input=[messages.ModelInput(name="x", data_type=messages.TYPE_FP32, dims=[1, 2])]
    )
    found.parameters["a"].string_value = "b"
    return found


@pytest.mark.parametrize("make", [operation, failed, succeeded, model, config])
def test_document_is_of_its_schema(make):
    message = make()
    assert validator_of(type(message)).is_valid(document_of(message))


@pytest.mark.parametrize("changes", [{"done": 1}, {"name": None}, {"metadata": {}}, {"response": {"@type": "x"}}])
def test_other_document_is_not_of_the_schema(changes):
    assert not validator_of(Operation).is_valid(document_of(operation()) | changes)


def test_fields_that_are_absent_are_left_out_and_others_never():
    document = document_of(operation())
    assert "error" not in document
    assert document["metadata"]["queue_position"] == 0
    assert document["metadata"]["attempt"] == 0
    assert "start_time" not in document["metadata"]


def test_times_enums_maps_and_numbers_have_their_json_forms():
    metadata = document_of(operation())["metadata"]
    assert metadata["create_time"] == "1970-01-01T00:00:00Z"
    assert metadata["state"] == "PROOF_STATE_QUEUED"
    assert metadata["context"]["expiry"] == (1 << 64) - 1
    assert document_of(model())["models"][0]["cost"]["prove_duration"] == "1.500s"
    assert document_of(config())["parameters"] == {"a": {"string_value": "b"}}
    assert document_of(config())["input"][0] == {"name": "x", "data_type": "TYPE_FP32", "dims": [1, 2]}


def test_details_of_an_error_are_unpacked():
    details = document_of(failed())["error"]["details"]
    assert [detail["@type"].rpartition(".")[2] for detail in details] == ["ErrorInfo", "RetryInfo"]
    assert details[0]["reason"] == "TOO_MANY_REQUESTS"
