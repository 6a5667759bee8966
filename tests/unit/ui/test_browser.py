"""The browser of a server, against a whole server that proves with the fake engine."""

import aiohttp
import pytest
from tests.unit.circuits import factories
from tests.unit.service.rest.conftest import lasting

from zkinfer.circuits.errors import InputError
from zkinfer.service.auth import TokenFile
from zkinfer.ui.browser import ServerBrowser
from zkinfer.ui.errors import ServerError
from zkinfer.ui.settings import ServerAccess
from zkinfer.verifier import Attestation

INPUT = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": factories.X.ravel().tolist()}


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory):
    """URL and token of a server with one worker that knows its callers."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "state").mkdir()
    _, token = TokenFile(folder / "state" / "tokens.json").new("auditor")
    with lasting(tiny, folder, workers=1) as running:
        yield f"http://{running.rest_address}", token


@pytest.fixture
def browser(server):
    return ServerBrowser(ServerAccess(*server))


async def proven(server):
    """The name of a finished proof."""
    url, token = server
    body = {"inputs": [INPUT], "parameters": {"zkinfer_proof_mode": "async"}}
    async with aiohttp.ClientSession(url, headers={"authorization": f"Bearer {token}"}) as client:
        async with client.post("/v2/models/tiny/infer", json=body) as answer:
            operation = (await answer.json())["parameters"]["zkinfer_operation"]
        async with client.get(f"/v1/{operation}:wait", params={"timeout": "60"}) as answer:
            assert (await answer.json())["done"]
    return operation.rpartition("/")[2]


async def test_models_have_fidelity_and_cost(browser, tiny):
    (found,) = await browser.models()
    assert found == await browser.model("tiny", "1")
    manifest = tiny.circuit.manifest
    assert (found.ready, found.newest, found.model_id) == (True, True, manifest.identity.model_id)
    assert (found.cost.gas, found.fidelity.agreement) == (manifest.cost.gas, manifest.fidelity.agreement)
    assert [str(one) for one in found.inputs] == ["x FP32 [1, 3]"]


async def test_proof_is_listed_and_its_attestation_fetched(browser, server):
    name = await proven(server)
    found = await browser.proof(name)
    assert found in await browser.proofs()
    assert (found.state, found.done, found.error, found.metadata.model) == ("SUCCEEDED", True, "", "tiny")
    assert found.metadata.create_time <= found.metadata.end_time
    attestation = Attestation.from_bytes(await browser.attestation(name))
    assert str(attestation.digest) == found.response.attestation_digest


@pytest.mark.parametrize("name", ["nothing", "0" * 32])
async def test_unknown_proof_is_refused_with_the_words_of_the_server(browser, name):
    with pytest.raises(ServerError) as refusal:
        await browser.proof(name)
    assert refusal.value.status == 404
    assert "404 NOT_FOUND" in refusal.value.cure


async def test_unknown_model_is_refused_with_the_words_of_the_server(browser):
    with pytest.raises(ServerError, match="no version '7' of a model 'tiny'"):
        await browser.model("tiny", "7")


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a b", "x" * 200, "a?b"])
async def test_name_that_would_be_another_path_is_not_sent(browser, name):
    with pytest.raises(InputError, match="not the name of a proof"):
        await browser.proof(name)
    with pytest.raises(InputError, match="not the name of a model"):
        await browser.model(name, "1")


@pytest.mark.parametrize("token", ["", "zki_" + "0" * 12 + "_" + "0" * 64])
async def test_missing_or_wrong_token_is_refused_with_its_cure(server, token):
    with pytest.raises(ServerError) as refusal:
        await ServerBrowser(ServerAccess(server[0], token)).models()
    assert "--token-file" in refusal.value.cure
    assert "401" in refusal.value.cure
