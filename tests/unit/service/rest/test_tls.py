"""Certificates of the server and of its callers, over HTTP."""

import shutil
import ssl

import aiohttp
import pytest
from tests.unit.service.certificates import Authority
from tests.unit.service.rest.conftest import OPTIONS

from zkinfer.service.errors import SettingsError
from zkinfer.service.rest.tls import ReloadingContext
from zkinfer.service.server import running
from zkinfer.service.settings import Subject, Tls


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def guarded(settings, authority, tmp_path):
    """A server for callers with certificates, of which it accepts `alice`, for the model `tiny`."""
    files = authority.write(tmp_path)
    tls = Tls(**files, subjects={"alice": Subject(models=("tiny",))})
    return settings.model_copy(update={"tls": tls})


def context_of(authority, folder, name=None, issuer=None):
    """A client that trusts `authority`; given a name, with a certificate from `issuer`."""
    trusted = ssl.create_default_context(cadata=authority.certificate.decode())
    if name is not None:
        own = folder / f"own-{name}"
        own.mkdir()
        paths = (issuer or authority).write(own, name)
        trusted.load_cert_chain(paths["certificate"], paths["key"])
    return trusted


async def asked(server, context, path="/v1/models"):
    address = server.rest_address.replace("127.0.0.1", "localhost")
    async with aiohttp.ClientSession() as client, client.get(f"https://{address}{path}", ssl=context) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_caller_is_identified_by_certificate(guarded, tiny, authority, tmp_path):
    async with running(guarded, tiny.home, **OPTIONS) as server:
        status, found = await asked(server, context_of(authority, tmp_path, "alice"))
        assert (status, [model["name"] for model in found["models"]]) == (200, ["tiny"])
        status, problem = await asked(server, context_of(authority, tmp_path, "mallory"))
        assert (status, problem["reason"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("issued", [False, True])
async def test_caller_without_a_trusted_certificate_gets_no_answer(guarded, tiny, authority, tmp_path, issued):
    context = context_of(authority, tmp_path, "alice" if issued else None, Authority())
    async with running(guarded, tiny.home, **OPTIONS) as server:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await asked(server, context)


async def test_caller_that_does_not_trust_the_server_sends_nothing(guarded, tiny, tmp_path):
    async with running(guarded, tiny.home, **OPTIONS) as server:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await asked(server, context_of(Authority(), tmp_path))


async def test_unencrypted_caller_gets_no_answer(guarded, tiny):
    async with running(guarded, tiny.home, **OPTIONS) as server, aiohttp.ClientSession() as client:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await client.get(f"http://{server.rest_address}/v2/health/live")


async def test_renewed_certificate_is_used_without_a_restart(guarded, tiny, authority, tmp_path):
    renewed = Authority()
    async with running(guarded, tiny.home, **OPTIONS) as server:
        assert (await asked(server, context_of(authority, tmp_path, "alice")))[0] == 200
        own, old = tmp_path / "renewed", tmp_path / "old"
        own.mkdir()
        old.mkdir()
        for path in renewed.write(own).values():
            shutil.copy(path, tmp_path / path.name)
        assert (await asked(server, context_of(renewed, own, "alice")))[0] == 200
        with pytest.raises((aiohttp.ClientError, ConnectionError)):  # the old authority is trusted no more
            await asked(server, context_of(renewed, old, "alice", authority))


async def test_damaged_renewal_leaves_the_last_certificate_in_use(guarded, tiny, authority, tmp_path):
    async with running(guarded, tiny.home, **OPTIONS) as server:
        guarded.tls.certificate.write_text("no certificate")
        assert (await asked(server, context_of(authority, tmp_path, "alice")))[0] == 200


def test_certificate_of_another_key_is_refused_at_the_start(authority, tmp_path):
    paths = authority.write(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(SettingsError, match="are not a certificate and its private key"):
        ReloadingContext(Tls(certificate=paths["certificate"], key=authority.write(other)["key"]))
