"""Requests that web pages make, and requests for other hosts."""

import pytest
from tests.unit.service.rest.conftest import opened
from tests.unit.service.rest.sockets import raw

from zkinfer.service.settings import Rest

PAGE = "https://app.example"
REFUSED = {"code": "PERMISSION_DENIED", "reason": "UNTRUSTED_SOURCE"}


@pytest.fixture
def allowing(settings):
    """A server that pages of one origin may call."""
    return settings.model_copy(update={"rest": Rest(listen="127.0.0.1:0", origins=(PAGE,), hosts=("api.example",))})


async def asked(client, path="/v1/models", method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, headers=named) as answer:
        return answer.status, answer.headers, await answer.text()


@pytest.mark.parametrize("origin", [PAGE, "null", "http://localhost:3000", "https://app.example.evil.example"])
async def test_page_is_refused_unless_its_origin_is_listed(door, origin):
    async with door.get("/v1/models", headers={"origin": origin}) as answer:
        problem = await answer.json(content_type="application/problem+json")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
    assert problem.items() >= REFUSED.items()


async def test_preflight_is_refused_by_default(door):
    status, headers, _ = await asked(door, method="OPTIONS", origin=PAGE, access_control_request_method="GET")
    assert status == 403
    assert "access-control-allow-origin" not in headers


async def test_page_of_a_listed_origin_may_call_and_read(allowing, tiny):
    async with opened(allowing, tiny) as (_, client):
        status, headers, _ = await asked(client, origin=PAGE)
        assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
        assert "inference-header-content-length" in headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in headers
        status, _, _ = await asked(client, origin="https://other.example")
        assert status == 403


async def test_preflight_of_a_listed_origin_names_what_it_may_send(allowing, tiny):
    asking = {"access_control_request_method": "POST", "access_control_request_headers": "authorization, content-type"}
    async with opened(allowing, tiny) as (_, client):
        status, headers, _ = await asked(client, method="OPTIONS", origin=PAGE, **asking)
        assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
        assert "authorization" in headers["access-control-allow-headers"].lower()
        status, headers, _ = await asked(client, method="OPTIONS", origin="https://other.example", **asking)
        assert status == 400
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "10.0.0.1",
        "localhost.evil.example",
        "[::2]:1",
        "localhost:evil.example",
        "localhost@evil.example",
        "localhost, evil.example",
        "l\xf6calhost",
        "2130706433",
        "",
    ],
)
async def test_request_for_another_host_is_refused(settings, tiny, host):
    async with opened(settings, tiny) as (server, _):
        status, problem = await raw(server, f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n")
    assert status == 403
    assert problem.items() >= REFUSED.items()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "127.9.9.9", "[::1]:8000", "api.example"])
async def test_request_for_this_host_is_served(allowing, tiny, host):
    async with opened(allowing, tiny) as (server, _):
        status, _ = await raw(server, f"GET /v1/models HTTP/1.1\r\nhost: {host}\r\n\r\n")
    assert status == 200


async def test_health_is_told_to_everyone(settings, tiny):
    async with opened(settings, tiny) as (server, _):
        head = f"GET /v2/health/ready HTTP/1.1\r\nhost: evil.example\r\norigin: {PAGE}\r\n\r\n"
        assert (await raw(server, head))[0] == 200


async def test_second_origin_is_not_hidden_by_a_listed_one(allowing, tiny):
    async with opened(allowing, tiny) as (server, _):
        for origins in ((PAGE, "https://other.example"), ("https://other.example", PAGE)):
            lines = "".join(f"origin: {origin}\r\n" for origin in origins)
            status, problem = await raw(server, f"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n")
            assert (status, problem["reason"]) == (403, "UNTRUSTED_SOURCE")
