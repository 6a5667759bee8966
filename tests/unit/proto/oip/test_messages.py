"""Our declarations of the Open Inference Protocol match those of its most used client, number for number."""

import subprocess
import sys

import pytest
from google.protobuf import descriptor_pool
from tritonclient.grpc import model_config_pb2, service_pb2

from zkinfer.oip import messages

OURS = messages.DESCRIPTOR
THEIRS = dict(service_pb2.DESCRIPTOR.message_types_by_name) | dict(model_config_pb2.DESCRIPTOR.message_types_by_name)


def with_nested(declared, prefix=""):
    for message in declared:
        yield prefix + message.name, message
        yield from with_nested(message.nested_types, f"{prefix}{message.name}.")


MESSAGES = dict(with_nested(OURS.message_types_by_name.values()))


def theirs_of(name):
    outer, *inner = name.split(".")
    found = THEIRS[outer]
    for part in inner:
        found = found.nested_types_by_name[part]
    return found


def described(field):
    kind = field.message_type or field.enum_type
    return {
        "number": field.number,
        "type": field.type,
        "repeated": field.is_repeated,
        "of": kind.full_name if kind else None,
        "oneof": field.containing_oneof.name if field.containing_oneof else None,
    }


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_fields_match_tritonclient(name):
    theirs = theirs_of(name)
    for field in MESSAGES[name].fields:
        assert described(field) == described(theirs.fields_by_name[field.name])
    assert MESSAGES[name].full_name == theirs.full_name


def test_enum_matches_tritonclient():
    theirs = model_config_pb2.DESCRIPTOR.enum_types_by_name["DataType"].values_by_name
    ours = OURS.enum_types_by_name["DataType"].values_by_name
    assert {name: value.number for name, value in ours.items()} == {name: v.number for name, v in theirs.items()}
    assert messages.TYPE_FP32 == 11


def test_calls_match_tritonclient():
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for call in messages.SERVICE.methods:
        other = theirs[call.name]
        assert (call.client_streaming, call.server_streaming) == (other.client_streaming, other.server_streaming)
        assert call.input_type.full_name == other.input_type.full_name
        assert call.output_type.full_name == other.output_type.full_name


def test_messages_are_wire_compatible_with_tritonclient():
    sent = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[b"ab"])
    sent.parameters["a"].int64_param = 5
    received = messages.ModelInferRequest.FromString(sent.SerializeToString())
    assert received.parameters["a"].int64_param == 5
    assert received.raw_input_contents == [b"ab"]


@pytest.mark.parametrize(
    "modules",
    [("zkinfer.oip.messages", "tritonclient.grpc"), ("tritonclient.grpc", "zkinfer.oip.messages")],
    ids=["ours-first", "theirs-first"],
)
def test_both_can_be_loaded_in_one_process(modules):
    code = "; ".join(f"import {module}" for module in modules)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_descriptor_pool_is_not_the_default_one():
    assert messages.POOL is not descriptor_pool.Default()


def test_undeclared_message_is_not_an_attribute():
    with pytest.raises(AttributeError, match="no attribute 'CudaSharedMemoryStatusRequest'"):
        _ = messages.CudaSharedMemoryStatusRequest
