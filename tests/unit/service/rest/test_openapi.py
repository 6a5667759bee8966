"""The OpenAPI document describes the interface: requests made from it get the responses that it names."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema_rs
import pytest

from zkinfer.service.auth import OPEN_METHODS
from zkinfer.service.rest.openapi import openapi
from zkinfer.service.rest.routes import routes

# The others take every request of the schema for one that succeeds, or every other for one that fails; but a model
# that does not exist is refused, and what the protocol ignores is accepted.
TENSOR = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0.5, -1.25, 2.0]}
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,use_after_free"
)


@pytest.fixture(scope="module")
def document(proving):
    with urllib.request.urlopen(f"http://{proving}/openapi.json") as answer:
        return json.load(answer)


def asked(address, path, body=None):
    """Status and document of a response."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", data)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        with err:
            return err.code, json.load(err)


def is_valid(document, name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return jsonschema_rs.validator_for({"$schema": draft, **schema}).is_valid(value)


@pytest.mark.parametrize("parameters", [{}, {"zkinfer_proof_mode": "sync"}, {"zkinfer_proof_mode": "none"}])
def test_request_and_answer_of_an_inference_are_of_their_schemas(proving, document, parameters):
    request = {"inputs": [TENSOR], "parameters": parameters}
    status, answer = asked(proving, "/v2/models/tiny/infer", request)
    assert status == 200
    assert is_valid(document, "InferRequest", request)
    assert is_valid(document, "InferResponse", answer)


@pytest.mark.parametrize("changes", [{"inputs": 1}, {"more": 1}, {"id": 1}, {"parameters": {"a": []}}])
def test_request_that_is_not_of_its_schema_is_refused_with_a_problem_of_its_own(proving, document, changes):
    request = {"inputs": [TENSOR]} | changes
    status, problem = asked(proving, "/v2/models/tiny/infer", request)
    assert status == 400
    assert not is_valid(document, "InferRequest", request)
    assert is_valid(document, "Problem", problem)


def test_request_and_answer_of_a_proof_are_of_their_schemas(proving, document):
    request = {"model": "tiny", "inputs": [TENSOR], "context": {"chain_id": "1"}, "request_id": "schema"}
    status, answer = asked(proving, "/v1/proofs", request)
    assert status == 200
    assert is_valid(document, "CreateProof", request)
    assert is_valid(document, "zkinfer.v1.CreateProofResponse", answer)
    assert not is_valid(document, "zkinfer.v1.CreateProofResponse", answer | {"outputs": [{"data": 1}]})


def test_refused_attestation_is_a_problem_of_its_schema(proving, document):
    request = {"attestation": {"payload": ""}, "policy": {"version": 1, "allOf": [{"unsafeAcceptDevSetup": True}]}}
    status, problem = asked(proving, "/v1/attestations:verify", request)
    assert status == 400
    assert is_valid(document, "VerifyAttestation", request)
    assert not is_valid(document, "VerifyAttestation", request | {"models": []})
    assert is_valid(document, "Problem", problem)


@pytest.mark.slow
def test_requests_made_from_the_document_get_the_responses_that_it_names(proving, tmp_path):
    _, answer = asked(proving, "/v2/models/tiny/infer", {"inputs": [TENSOR]})
    operation = answer["parameters"]["zkinfer_operation"].rpartition("/")[2]
    known = {"path.model": "tiny", "path.version": "1", "path.id": operation}
    (tmp_path / "schemathesis.toml").write_text(
        "[parameters]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in known.items())
    )
    checker = Path(sys.executable).with_name("schemathesis")
    options = ["--checks", CHECKS, "--max-examples", "10", "--no-color", "--request-timeout", "30", "--seed", "1"]
    run = subprocess.run(
        [checker, "run", f"http://{proving}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def test_document_names_every_route_and_no_other(document):
    table = {(route.path, route.verb.lower()) for route in routes(None)}
    named = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}
    assert named == table | {("/openapi.json", "get")}


def test_operations_without_a_token_are_the_open_methods(document):
    table = {(route.path, route.verb.lower()): route.call in OPEN_METHODS for route in routes(None)}
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            assert (operation.get("security") == []) == table.get((path, verb), True)


def test_operation_ids_are_unique(document):
    ids = [operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_has_a_target(document):
    text = json.dumps(document)
    targets = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    named = {part.partition('"')[0] for part in text.split('"$ref": "')[1:]}
    assert named <= targets
    assert openapi(routes(None))["openapi"] == "3.1.0"
