"""The report server's other paths, and what it refuses before any of them."""

import asyncio
import json
import ssl
from fractions import Fraction

import pytest
from tests.unit.oracle.http_door import RECIPE, TICK, opened, signed_round
from tests.unit.oracle.test_votes import request_of
from tests.unit.service.certificates import Authority

from zkinfer.oracle.peers import Peers
from zkinfer.oracle.votes import MAX_REQUEST_BYTES
from zkinfer.service.settings import Tls


@pytest.fixture
def pair(three):
    return three[0], three[1]


async def test_peer_gets_signatures(pair):
    asking, asked = pair
    async with opened(asked) as client:
        found = await client.post("/oracle/v1/sign", content=request_of(asking).to_bytes())
    assert (found.status_code, len(found.json()["signatures"])) == (200, 2)


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"", 409, "not JSON"),
        (b"{}", 409, "no valid"),
        (b" " * (MAX_REQUEST_BYTES + 1), 400, "more than"),
        (b"[" * 1000, 409, "deeper"),
    ],
    ids=range(4),
)
async def test_hostile_request_to_sign_is_refused(pair, content, status, detail):
    async with opened(pair[1]) as client:
        found = await client.post("/oracle/v1/sign", content=content)
    assert found.status_code == status
    assert detail in found.json()["detail"]


async def test_refused_vote_names_the_reason(pair):
    asking, asked = pair
    async with opened(asked) as client:
        found = await client.post("/oracle/v1/sign", content=request_of(asking, value=200).to_bytes())
    assert found.status_code == 409
    assert "The observations differ" in found.json()["detail"]


async def test_source_file_is_served_by_its_digest_for_ever(pair):
    stored = signed_round(pair[0])
    async with opened(pair[0]) as client:
        found = await client.get(f"/sources/{stored.source_digest}")
        recipe = await client.get(f"/sources/{RECIPE}")
    assert json.loads(found.content) == {"at": TICK * 10 + 3, "value": 100}
    assert "immutable" in found.headers["cache-control"]
    assert recipe.content == b'{"recipe":1}'


@pytest.mark.parametrize("name", ["0x" + "00" * 32, "0x12", "..%2f..%2fetc%2fpasswd", "0x" + "AB" * 32])
async def test_unknown_source_file_is_not_found(pair, name):
    async with opened(pair[0]) as client:
        assert (await client.get(f"/sources/{name}")).status_code == 404


async def test_metrics_are_of_feeds_chains_and_alerts(pair):
    signed_round(pair[0], proven=True)
    async with opened(pair[0]) as client:
        text = (await client.get("/metrics")).text
    assert 'zkinfer_oracle_rounds{feed="fake",state="proven"} 1.0' in text
    assert 'zkinfer_oracle_proof_seconds{feed="fake"} 1.5' in text
    assert "zkinfer_oracle_alerts_dropped_total 0.0" in text


async def test_distance_of_peers_answers_is_measured(pair):
    pair[0].voter.spreads[pair[0].feed.id] = Fraction(3, 2)
    async with opened(pair[0]) as client:
        text = (await client.get("/metrics")).text
    assert 'zkinfer_oracle_spread{feed="fake"} 1.5' in text


async def test_metrics_can_be_closed(pair):
    async with opened(pair[0], metrics=False) as client:
        assert (await client.get("/metrics")).status_code == 404


@pytest.mark.parametrize(("healthy", "status"), [(True, 200), (False, 503)])
async def test_health_says_whether_the_loops_run(pair, healthy, status):
    async with opened(pair[0], healthy=healthy) as client:
        assert (await client.get("/health")).status_code == status


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example"])
async def test_name_that_another_site_gave_this_machine_is_refused(pair, host):
    async with opened(pair[0]) as client:
        found = await client.get("/health", headers={"host": host})
    assert found.status_code in (400, 421)


async def test_server_on_the_network_has_any_name(pair):
    async with opened(pair[0], local=False) as client:
        assert (await client.get("/health", headers={"host": "oracle.example"})).status_code == 200


async def test_web_page_may_read_but_not_post(pair):
    async with opened(pair[0]) as client:
        headers = {"origin": "https://evil.example"}
        assert (await client.post("/", json={"data": {"feed": "fake"}}, headers=headers)).status_code == 403
        assert (await client.get("/health", headers=headers)).status_code == 200


async def test_body_that_does_not_arrive_is_refused(pair, monkeypatch):
    monkeypatch.setattr("zkinfer.oracle.web._BODY_SECONDS", 0.2)

    async def slow():
        yield b"{"
        await asyncio.sleep(1)
        yield b"}"

    async with opened(pair[0]) as client:
        found = await client.post("/oracle/v1/sign", content=slow())
    assert found.status_code == 400
    assert "did not arrive" in found.json()["detail"]


async def test_too_many_requests_at_a_time_are_refused(pair, monkeypatch):
    monkeypatch.setattr("zkinfer.oracle.server._CONCURRENT", 2)

    async def slow():
        yield b"{"
        await asyncio.sleep(0.5)
        yield b"}"

    async with opened(pair[0]) as client:
        busy = [asyncio.create_task(client.post("/oracle/v1/sign", content=slow())) for _ in range(2)]
        await asyncio.sleep(0.2)
        found = await client.get("/health")
        await asyncio.gather(*busy)
        later = await client.get("/health")
    assert (found.status_code, found.headers["retry-after"], later.status_code) == (429, "1", 200)


@pytest.mark.parametrize("trusted", [True, False])
async def test_peer_is_asked_over_tls_and_only_if_its_certificate_is_trusted(pair, tmp_path, trusted):
    asking, asked = pair
    authority = Authority()
    files = authority.write(tmp_path)
    tls = Tls(certificate=files["certificate"], key=files["key"])
    signer = authority if trusted else Authority()
    context = ssl.create_default_context(cadata=signer.certificate.decode())
    observed = asking.model.observe(TICK)
    stored = asking.store.rounds.record(asking.feed.new_round(observed, 100, asking.feed.address))
    own = bytes.fromhex(request_of(asking).signatures[0][2:])
    async with opened(asked, tls=tls) as client:
        peers = Peers([f"https://localhost:{client.base_url.port}"], verify=context)
        signatures = {asking.feed.address: own}
        found = await asyncio.to_thread(peers.ask, asking.feed, stored, observed.source_file, signatures)
        peers.close()
    assert (asked.feed.address in found) == trusted
