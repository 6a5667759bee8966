"""The committed stubs are up to date and can be imported."""

import subprocess
import sys

import pytest
from tests.paths import ROOT

from zkinfer.v1 import models_pb2, proofs_pb2, values_pb2

FILES = [models_pb2.DESCRIPTOR, proofs_pb2.DESCRIPTOR, values_pb2.DESCRIPTOR]
MESSAGES = [message for file in FILES for message in file.message_types_by_name.values()]
ENUMS = [enum for file in FILES for enum in file.enum_types_by_name.values()]
SERVICES = [service for file in FILES for service in file.services_by_name.values()]


def test_stubs_are_up_to_date():
    command = [sys.executable, "proto/generate.py", "--check"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_zero_value_of_an_enum_is_unspecified(enum):
    assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_field_numbers_have_no_gaps(message):
    assert sorted(field.number for field in message.fields) == list(range(1, len(message.fields) + 1))


def test_every_call_has_its_own_messages():
    calls = [call for service in SERVICES for call in service.methods]
    assert [call.input_type.name for call in calls] == [f"{call.name}Request" for call in calls]
    assert [call.output_type.name for call in calls] == [f"{call.name}Response" for call in calls]
