"""Jobs, attestations, models and manifests over HTTP."""

import asyncio
import base64
import hashlib
import json

import aiohttp
import pytest
from tests.unit.service.rest.conftest import opened

from zkinfer.circuits.manifest import MANIFEST
from zkinfer.service.settings import Limits
from zkinfer.verifier import Attestation

TENSOR = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [0.5, -1.25, 2.0]}
INFER = "/v2/models/tiny/infer"


@pytest.fixture
async def prover(proving):
    """A client of a server that proves."""
    async with aiohttp.ClientSession(f"http://{proving}") as client:
        yield client


async def got(client, path, method="GET", **options):
    """Status and document of a response; None without a body."""
    async with client.request(method, path, **options) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


async def infer(client, x=(0.5, -1.25, 2.0), **parameters):
    """The name of the operation that proves an answer."""
    body = {"inputs": [TENSOR | {"data": list(x)}], "parameters": parameters | {"zkinfer_proof_mode": "async"}}
    status, answer = await got(client, INFER, "POST", json=body)
    assert status == 200
    return answer["parameters"]["zkinfer_operation"]


async def test_job_is_waited_for_and_its_attestation_downloaded(prover):
    name = await infer(prover)
    status, operation = await got(prover, f"/v1/{name}:wait?timeout=20")
    assert (status, operation["done"], operation["metadata"]["state"]) == (200, True, "PROOF_STATE_SUCCEEDED")
    async with prover.get(f"/v1/{name}/attestation") as answer:
        data, headers = await answer.read(), answer.headers
    digest = hashlib.sha256(data).digest()
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert headers["etag"] == f'"{operation["response"]["attestation_digest"]}"' == f'"sha256:{digest.hex()}"'
    assert int(headers["content-length"]) == len(data) == operation["response"]["attestation_size"]
    assert (
        Attestation.from_bytes(data).statement.predicate.context.request_id
        == operation["metadata"]["context"]["request_id"]
    )


async def test_finished_job_is_deleted_with_its_attestation(prover):
    name = await infer(prover, (0.25, 0.5, 0.75))
    await got(prover, f"/v1/{name}:wait")
    assert await got(prover, f"/v1/{name}", "DELETE") == (204, None)
    for path in (f"/v1/{name}", f"/v1/{name}/attestation", f"/v1/{name}:wait"):
        status, problem = await got(prover, path)
        assert (status, problem["reason"]) == (404, "UNKNOWN_OPERATION")


async def test_queued_job_is_cancelled(door):
    name = await infer(door)
    assert await got(door, f"/v1/{name}:cancel", "POST") == (204, None)
    status, operation = await got(door, f"/v1/{name}")
    assert (status, operation["done"], operation["metadata"]["state"]) == (200, True, "PROOF_STATE_CANCELLED")
    assert "cancelled" in operation["error"]["message"]
    status, problem = await got(door, f"/v1/{name}/attestation")
    assert (status, problem["reason"]) == (409, "NOT_READY")


async def test_unfinished_job_is_not_deleted(door):
    name = await infer(door)
    status, problem = await got(door, f"/v1/{name}", "DELETE")
    assert (status, problem["code"]) == (409, "FAILED_PRECONDITION")
    assert (await got(door, f"/v1/{name}"))[0] == 200


async def test_wait_returns_at_its_timeout(door):
    name = await infer(door)
    began = asyncio.get_running_loop().time()
    status, operation = await got(door, f"/v1/{name}:wait?timeout=0.5")
    assert (status, operation["done"]) == (200, False)
    assert 0.4 < asyncio.get_running_loop().time() - began < 5


@pytest.mark.parametrize("timeout", ["-1", "x", "", "nan", "inf", "1_0", "1e9", "0x1", " 1", "9" * 50])
async def test_timeout_that_is_no_number_of_seconds_is_refused(door, timeout):
    status, problem = await got(door, "/v1/operations/proofs/a:wait", params={"timeout": timeout})
    assert (status, problem["field"]) == (400, "timeout")


async def test_answer_with_its_proof_is_waited_for_no_longer_than_preferred(door):
    body = {"inputs": [TENSOR], "parameters": {"zkinfer_proof_mode": "sync"}}
    began = asyncio.get_running_loop().time()
    status, problem = await got(door, INFER, "POST", json=body, headers={"prefer": "respond-async, wait=1"})
    assert (status, problem["reason"]) == (504, "PROOF_PENDING")
    assert asyncio.get_running_loop().time() - began < 5
    _, listed = await got(door, "/v1/operations")
    assert listed["operations"][0]["name"] in problem["detail"]


async def test_answer_with_its_proof_is_waited_for_no_longer_than_the_limit(settings, tiny):
    limited = settings.model_copy(update={"limits": Limits(wait_seconds=0.5)})
    body = {"inputs": [TENSOR], "parameters": {"zkinfer_proof_mode": "sync"}}
    async with opened(limited, tiny) as (_, client):
        status, problem = await got(client, INFER, "POST", json=body, headers={"prefer": "wait=1000"})
    assert (status, problem["reason"]) == (504, "PROOF_PENDING")


async def test_jobs_are_listed_by_page_and_filter(door):
    names = [await infer(door, (number, 0, 0)) for number in range(3)]
    _, first = await got(door, "/v1/operations?page_size=2")
    _, second = await got(door, "/v1/operations", params={"page_size": 2, "page_token": first["next_page_token"]})
    assert [one["name"] for one in (*first["operations"], *second["operations"])] == names[::-1]
    assert second["next_page_token"] == ""
    await got(door, f"/v1/{names[0]}:cancel", "POST")
    _, done = await got(door, "/v1/operations", params={"filter": 'done = true AND model = "tiny"'})
    assert [one["name"] for one in done["operations"]] == names[:1]
    status, problem = await got(door, "/v1/operations", params={"filter": "owner = me"})
    assert (status, problem["field"]) == (400, "filter")


async def test_model_is_described_with_cost_fidelity_and_manifest(door, tiny):
    _, listed = await got(door, "/v1/models")
    status, model = await got(door, "/v1/models/tiny/versions/1")
    assert listed["models"] == [model]
    assert (status, model["state"], model["newest"]) == (200, "MODEL_STATE_READY", True)
    assert model["fidelity"]["samples"] > 0
    assert model["cost"].keys() >= {"memory_bytes", "proof_bytes", "gas"}
    async with door.get("/v1/models/tiny/versions/1/manifest") as answer:
        data = await answer.read()
    assert data == (tiny.circuit.folder / MANIFEST).read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() == model["circuit_digest"]


@pytest.mark.parametrize("path", ["", "/manifest"])
@pytest.mark.parametrize("one", ["tiny/versions/9", "other/versions/1"])
async def test_model_that_does_not_exist_is_refused(door, one, path):
    status, problem = await got(door, f"/v1/models/{one}{path}")
    assert (status, problem["reason"]) == (404, "MODEL_NOT_FOUND")


async def test_index_lists_only_ready_models_if_asked(settings, tiny):
    (settings.repository / "broken" / "1").mkdir(parents=True)
    async with opened(settings, tiny) as (_, client):
        _, every = await got(client, "/v2/repository/index", "POST")
        _, ready = await got(client, "/v2/repository/index", "POST", data=b'{"ready": true}')
        status, problem = await got(client, "/v2/repository/index", "POST", data=b'{"ready": 1}')
    assert [(model["name"], model["state"]) for model in every] == [("broken", "UNAVAILABLE"), ("tiny", "READY")]
    assert [model["name"] for model in ready] == ["tiny"]
    assert (status, problem["field"]) == (400, "body")
