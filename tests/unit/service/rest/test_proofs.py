"""Proofs are created and attestations verified over HTTP as over gRPC, with the same fields."""

import asyncio
import base64
import gzip
import json
from contextlib import suppress

import aiohttp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.circuits.factories import X

from zkinfer.circuits.errors import InputError
from zkinfer.client.values import array_of
from zkinfer.service.errors import BadFieldError
from zkinfer.service.rest.proofs import CreateProof, MessageDecoder, ProofContext, Tensor, VerifyAttestation
from zkinfer.v1 import proofs_pb2, values_pb2

PROOFS, VERIFY = "/v1/proofs", "/v1/attestations:verify"
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": X.tolist()}
BYTES = TENSOR | {"data": base64.b64encode(X.tobytes()).decode()}
REQUEST = {"model": "tiny", "inputs": [TENSOR]}
CONTEXT = {
    "chain_id": str((1 << 256) - 1),
    "consumer": "0x" + "ab" * 20,
    "request_id": "0x" + "cd" * 32,
    "requester": "0x" + "ef" * 20,
    "expiry": (1 << 64) - 1,
}


@pytest.fixture
async def prover(proving):
    """A client of a server that proves."""
    async with aiohttp.ClientSession(f"http://{proving}") as client:
        yield client


@pytest.fixture(scope="module")
def attestation(proving):
    """The bytes of an attestation of `X`."""

    async def prove():
        async with aiohttp.ClientSession(f"http://{proving}") as client:
            _, created = await posted(client, PROOFS, REQUEST)
            async with client.get(f"/v1/{created['operation']['name']}:wait"):
                pass
            async with client.get(f"/v1/{created['operation']['name']}/attestation") as answer:
                return await answer.read()

    return asyncio.run(prove())


async def posted(client, path, document, **headers):
    """Status and document of a response."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    async with client.post(path, data=data, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def policy(tiny, *rules):
    return {"version": 1, "allOf": [{"modelIs": tiny.circuit.model_id}, {"unsafeAcceptDevSetup": True}, *rules]}


def message(kind, document):
    """The message of a body."""
    return asyncio.run(MessageDecoder(kind).decode(json.dumps(document).encode()))


# --- the bodies


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (CreateProof, proofs_pb2.CreateProofRequest),
        (VerifyAttestation, proofs_pb2.VerifyAttestationRequest),
        (ProofContext, values_pb2.Context),
        (Tensor, values_pb2.Tensor),
    ],
)
def test_body_has_the_fields_of_the_message(body, kind):
    assert list(body.model_fields) == [field.name for field in kind.DESCRIPTOR.fields]


@pytest.mark.parametrize("tensor", [TENSOR, BYTES, TENSOR | {"data": X.ravel().tolist()}])
def test_elements_are_read_from_lists_and_from_base64(tensor):
    [found] = message(CreateProof, REQUEST | {"inputs": [tensor]}).inputs
    assert array_of(found).tolist() == X.tolist()


def test_every_field_of_the_context_arrives():
    found = message(CreateProof, REQUEST | {"context": CONTEXT, "request_id": "key", "version": "2"})
    assert {name: getattr(found.context, name) for name in CONTEXT} == CONTEXT
    assert (found.model, found.version, found.request_id) == ("tiny", "2", "key")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_from_base64(data):
    body = {"attestation": base64.b64encode(data).decode(), "policy": "{}"}
    assert message(VerifyAttestation, body).attestation == data


@pytest.mark.parametrize("text", ["AA", "AA=", "A A=", "AA==\n", "_-8=", "é", "AA==AA=="])
def test_text_that_is_not_base64_is_refused(text):
    with pytest.raises(BadFieldError, match="not base64") as caught:
        message(VerifyAttestation, {"attestation": text, "policy": "{}"})
    assert caught.value.field == "attestation"
    with pytest.raises(BadFieldError, match="not base64") as caught:
        message(CreateProof, {"model": "tiny", "inputs": [BYTES | {"data": text}]})
    assert caught.value.field == "inputs[0].data"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": None}, "model"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [TENSOR] * 257}, "inputs"),
        ({"inputs": [TENSOR | {"data": 1}]}, "inputs[0].data"),
        ({"inputs": [TENSOR | {"more": 1}]}, "inputs[0].more"),
        ({"inputs": [TENSOR | {"shape": [-1]}]}, "inputs[0].shape[0]"),
        ({"inputs": [TENSOR | {"datatype": "FP99"}]}, "inputs[0]"),
        ({"inputs": [TENSOR | {"data": [1, "2", 3]}]}, "inputs[0].data"),
        ({"context": []}, "context"),
        ({"context": {"chain_id": 1}}, "context.chain_id"),
        ({"context": {"expiry": 1 << 64}}, "context.expiry"),
        ({"context": {"expiry": -1}}, "context.expiry"),
        ({"context": {"expiry": "1"}}, "context.expiry"),
        ({"context": {"chainId": "1"}}, "context.chainId"),
        ({"request_id": "\ud800"}, "body"),
        ({"mode": "sync"}, "mode"),
    ],
    ids=str,
)
def test_member_that_does_not_fit_is_refused_by_its_name(changes, field):
    with pytest.raises(BadFieldError) as caught:
        message(CreateProof, REQUEST | changes)
    assert caught.value.field == field


def test_texts_of_a_body_count_as_memory():
    decoder = MessageDecoder(VerifyAttestation)
    assert decoder.count_numbers(b'"' + b"A" * (1 << 20) + b'"') >= (1 << 20) // 24


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # documents are drawn slowly on a busy machine
@given(st.sampled_from([CreateProof, VerifyAttestation]), st.data())
def test_any_document_is_decoded_or_refused_as_bad_input(kind, data):
    document = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(kind.model_fields, JSON)))
    with suppress(InputError):
        assert message(kind, document).ByteSize() >= 0


# --- creating


async def test_proof_is_created_with_its_own_context_and_key(prover):
    context = CONTEXT | {"request_id": "0x" + "11" * 32}
    status, created = await posted(prover, PROOFS, REQUEST | {"context": context, "request_id": "a key"})
    metadata = created["operation"]["metadata"]
    assert status == 200
    assert metadata["context"] == context
    assert metadata["request_id"] == "a key"
    [output] = created["outputs"]
    answer = np.frombuffer(base64.b64decode(output["data"]), np.float32).reshape(output["shape"])
    assert (output["name"], output["datatype"], answer.shape) == ("y", "FP32", (1, 2))
    assert await posted(prover, PROOFS, REQUEST | {"context": context, "request_id": "a key"}) == (
        200,
        created | {"operation": (await operation(prover, created))},
    )


async def operation(client, created):
    async with client.get(f"/v1/{created['operation']['name']}") as answer:
        return await answer.json()


async def test_key_of_another_request_is_refused(prover):
    assert (await posted(prover, PROOFS, REQUEST | {"request_id": "twice"}))[0] == 200
    other = REQUEST | {"request_id": "twice", "inputs": [TENSOR | {"data": [0, 0, 0]}]}
    status, problem = await posted(prover, PROOFS, other)
    assert (status, problem["reason"], problem["field"]) == (409, "REQUEST_CONFLICT", "request_id")


@pytest.mark.parametrize(
    ("changes", "field", "status"),
    [
        ({"model": ""}, "model", 400),
        ({"model": "other"}, None, 404),
        ({"version": "9"}, None, 404),
        ({"inputs": []}, "inputs", 400),
        ({"inputs": [TENSOR, TENSOR]}, "inputs[1]", 400),
        ({"inputs": [TENSOR | {"shape": [3]}]}, "inputs[0]", 400),
        ({"inputs": [BYTES | {"shape": [2], "data": "AAAAAAAAAAA="}]}, "inputs", 400),
        ({"inputs": [TENSOR | {"datatype": "BYTES", "data": ["a", "b", "c"]}]}, "inputs[0]", 400),
        ({"inputs": [BYTES | {"data": "AAAA"}]}, "inputs[0]", 400),
        ({"context": {"chain_id": "0x1"}}, "context.chain_id", 400),
        ({"context": {"consumer": "0xAB"}}, "context.consumer", 400),
        ({"context": {"expiry": 1}}, "context.expiry", 400),
        ({"request_id": "a\nb"}, "request_id", 400),
    ],
    ids=str,
)
async def test_request_that_cannot_be_served_is_refused(prover, changes, field, status):
    found, problem = await posted(prover, PROOFS, REQUEST | changes)
    assert (found, problem.get("field")) == (status, field), problem["detail"]


# --- verifying


async def test_attestation_is_verified_as_json_and_in_base64(prover, attestation, tiny):
    ways = (json.loads(attestation), base64.b64encode(attestation).decode())
    rules = (policy(tiny), json.dumps(policy(tiny)))
    found = [
        await posted(prover, VERIFY, {"attestation": way, "policy": rule, "expected_inputs": [TENSOR]})
        for way, rule in zip(ways, rules, strict=True)
    ]
    assert [status for status, _ in found] == [200, 200]
    assert found[0][1] == found[1][1]
    verified = found[0][1]
    assert verified["model_id"] == tiny.circuit.model_id
    assert verified["on_expected_input"] is True
    [shown] = verified["inputs"]
    assert (shown["name"], shown["datatype"], shown["shape"]) == ("x", "FP64", [1, 3])
    assert np.frombuffer(base64.b64decode(shown["data"])).tolist() == X.ravel().tolist()
    assert {step["status"] for step in verified["steps"]} == {"passed", "skipped"}


async def test_attestation_in_json_is_verified_compressed(prover, attestation, tiny):
    body = json.dumps({"attestation": json.loads(attestation), "policy": policy(tiny)}).encode()
    status, verified = await posted(prover, VERIFY, gzip.compress(body), **{"content-encoding": "gzip"})
    assert (status, verified["on_expected_input"]) == (200, False)


async def test_altered_attestation_is_refused_with_its_step(prover, attestation, tiny):
    document = json.loads(attestation)
    document["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    status, problem = await posted(prover, VERIFY, {"attestation": document, "policy": policy(tiny)})
    assert (status, problem["code"], problem["field"]) == (400, "INVALID_ARGUMENT", "attestation")
    assert problem["step"] >= 1


async def test_other_input_is_refused(prover, attestation, tiny):
    other = TENSOR | {"data": [[1.5, -1.25, 2.0]]}
    body = {"attestation": json.loads(attestation), "policy": policy(tiny), "expected_inputs": [other]}
    status, problem = await posted(prover, VERIFY, body)
    assert (status, problem["reason"]) == (400, "INPUT_MISMATCH")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attestation": ""}, "attestation"),
        ({"attestation": {}}, "attestation"),
        ({"attestation": {"payload": float(1)}}, "attestation"),
        ({"policy": ""}, "policy"),
        ({"policy": {}}, "policy"),
        ({"policy": {"version": 1, "allOf": []}}, "policy"),
        ({"policy": {"version": 1, "allOf": [{"colourIs": "red"}]}}, "policy"),
        ({"expected_inputs": [TENSOR, TENSOR]}, "expected_inputs[1]"),
        ({"expected_inputs": [BYTES | {"data": ""}]}, "expected_inputs[0]"),
    ],
    ids=str,
)
async def test_verification_that_cannot_be_made_is_refused(prover, attestation, tiny, changes, field):
    body = {"attestation": json.loads(attestation), "policy": policy(tiny)} | changes
    status, problem = await posted(prover, VERIFY, body)
    assert (status, problem["field"]) == (400, field), problem["detail"]


async def test_policy_that_forbids_development_setups_refuses(prover, attestation, tiny):
    rules = {"version": 1, "allOf": [{"modelIs": tiny.circuit.model_id}]}
    status, problem = await posted(prover, VERIFY, {"attestation": json.loads(attestation), "policy": rules})
    assert (status, problem["reason"]) == (400, "INSECURE_DEV_SETUP")


@pytest.mark.parametrize("path", [PROOFS, VERIFY])
async def test_path_takes_post_alone_and_no_query(prover, path):
    async with prover.get(path) as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
    status, problem = await posted(
        prover, f"{path}?token=a", REQUEST if path == PROOFS else {"attestation": "", "policy": ""}
    )
    assert (status, problem["field"]) == (400, "query")
