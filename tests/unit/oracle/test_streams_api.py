"""The REST interface and the stream, compared with the samples in the documentation of Data Streams and APRO."""

import asyncio
import json

import pytest
import websockets
from tests.unit.oracle.http_door import TICK, opened, prove, signed_round

from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.oracle.streams_api import MAX_FEEDS

SAMPLE = {"feedID", "validFromTimestamp", "observationsTimestamp", "fullReport"}
OTHER = "0x0003" + "00" * 30


@pytest.fixture
def one(three, clock):
    """An operator with three reports, and its clock after them."""
    for number in range(3):
        signed_round(three[0], TICK + number, value=100 + number)
    clock.now += 40
    return three[0]


async def get(one, path, **parameters):
    async with opened(one) as client:
        return await client.get(path, params=parameters)


async def test_latest_report_has_the_documented_form_and_the_hubs_payload(one):
    answer = await get(one, "/api/v1/reports/latest", feedID=one.feed.id)
    report = answer.json()["report"]
    assert (answer.status_code, answer.json().keys(), report.keys()) == (200, {"report"}, SAMPLE)
    payload = FeedPayload.decode(bytes.fromhex(report["fullReport"][2:]))
    assert report["observationsTimestamp"] == report["validFromTimestamp"] == payload.report.observed_at
    assert (report["feedID"], payload.report.answer) == (one.feed.id, 102)


@pytest.mark.parametrize(("at", "answer"), [(3, 100), (12, 100), (13, 101), (500, None), (2, None)])
async def test_report_at_a_time_is_the_newest_observed_by_then(one, at, answer):
    found = await get(one, "/api/v1/reports", feedID=one.feed.id, timestamp=TICK * 10 + at)
    if answer is None:
        assert found.status_code == 404
        assert "no report for this time" in found.json()["error"]
    else:
        report = found.json()["report"]["fullReport"]
        assert FeedPayload.decode(bytes.fromhex(report[2:])).report.answer == answer


async def test_bulk_report_is_complete_or_partial_or_missing(one):
    async with opened(one) as client:
        path = "/api/v1/reports/bulk"
        full = await client.get(path, params={"feedIDs": one.feed.id, "timestamp": "latest"})
        part = await client.get(path, params={"feedIDs": f"{one.feed.id},{OTHER}", "timestamp": TICK * 10 + 5})
        none = await client.get(path, params={"feedIDs": OTHER, "timestamp": "latest"})
    assert (full.status_code, part.status_code, none.status_code) == (200, 206, 404)
    assert full.json().keys() == part.json().keys() == {"reports"}
    assert [one.keys() for one in part.json()["reports"]] == [SAMPLE]


async def test_page_gives_the_first_reports_from_a_time_on(one):
    found = await get(one, "/api/v1/reports/page", feedID=one.feed.id, startTimestamp=TICK * 10 + 4, limit=1)
    (report,) = found.json()["reports"]
    assert report["observationsTimestamp"] == TICK * 10 + 13


async def test_feed_id_in_upper_case_is_the_same(one):
    assert (await get(one, "/api/v1/reports/latest", feedID="0x" + one.feed.id[2:].upper())).status_code == 200


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/api/v1/reports/latest", {}, 400),
        ("/api/v1/reports/latest", {"feedID": ""}, 400),
        ("/api/v1/reports/latest", {"feedID": ["a", "b"]}, 400),
        ("/api/v1/reports/latest", {"feedID": OTHER}, 404),
        ("/api/v1/reports/latest", {"feedID": "../../etc/passwd"}, 404),
        ("/api/v1/reports/latest", {"feedID": "0x" + "9" * 5000}, 404),
        ("/api/v1/reports", {"feedID": "FEED"}, 400),
        ("/api/v1/reports", {"feedID": "FEED", "timestamp": "-1"}, 400),
        ("/api/v1/reports", {"feedID": "FEED", "timestamp": "1e9"}, 400),
        ("/api/v1/reports", {"feedID": "FEED", "timestamp": "٣"}, 400),
        ("/api/v1/reports", {"feedID": "FEED", "timestamp": "9" * 30}, 400),
        ("/api/v1/reports/page", {"feedID": "FEED", "startTimestamp": "0", "limit": "0"}, 400),
        ("/api/v1/reports/page", {"feedID": "FEED", "startTimestamp": "0", "limit": "101"}, 400),
        (
            "/api/v1/reports/bulk",
            {"feedIDs": ",".join(str(one) for one in range(MAX_FEEDS + 1)), "timestamp": "1"},
            400,
        ),
        ("/api/v1/nothing", {}, 404),
    ],
    ids=range(15),
)
async def test_wrong_parameters_get_a_problem_document(one, path, parameters, status):
    named = {name: one.feed.id if value == "FEED" else value for name, value in parameters.items()}
    found = await get(one, path, **named)
    document = found.json()
    assert (found.status_code, document["status"]) == (status, status)
    assert found.headers["content-type"] == "application/problem+json"
    assert document["error"] == document["detail"]


async def test_posting_to_a_report_is_refused(one):
    async with opened(one) as client:
        found = await client.post("/api/v1/reports/latest")
    assert (found.status_code, {*found.headers["allow"].split(", ")}) == (405, {"GET", "HEAD"})


async def test_stream_sends_new_reports_and_their_proofs(one):
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws?feedIDs={one.feed.id}"
        async with websockets.connect(url) as socket:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(signed_round, one, TICK + 5)
            first = json.loads(await asyncio.wait_for(socket.recv(), 5))
            await asyncio.to_thread(prove, one, TICK + 5)
            second = json.loads(await asyncio.wait_for(socket.recv(), 5))
    assert first.keys() == {"report"}
    assert first["report"].keys() == SAMPLE
    levels = [FeedPayload.decode(bytes.fromhex(one["report"]["fullReport"][2:])).level for one in (first, second)]
    assert levels == [Level.ATTESTED, Level.PROVEN]


@pytest.mark.parametrize("query", ["", "?feedIDs=", f"?feedIDs={OTHER}", "?feedIDs=,,,"])
async def test_stream_of_unknown_feeds_is_refused(one, query):
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws{query}"
        with pytest.raises(websockets.InvalidStatus, match="403"):
            await websockets.connect(url)


async def test_client_that_sends_much_is_cut_off(one):
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws?feedIDs={one.feed.id}"
        async with websockets.connect(url) as socket:
            await socket.send("a" * 100_000)
            with pytest.raises(websockets.ConnectionClosed, match="1009"):
                await asyncio.wait_for(socket.recv(), 5)


async def test_server_that_stops_ends_its_streams(one):
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws?feedIDs={one.feed.id}"
        socket = await websockets.connect(url)
        await asyncio.sleep(0.1)
    with pytest.raises(websockets.ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 5)


async def test_many_streams_read_the_store_as_often_as_one(one, monkeypatch):
    reads, newest = [], one.store.rounds.newest
    monkeypatch.setattr(one.store.rounds, "newest", lambda *given: reads.append(given) or newest(*given))
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws?feedIDs={one.feed.id}"
        sockets = [await websockets.connect(url) for _ in range(20)]
        reads.clear()
        await asyncio.sleep(1.0)
        for socket in sockets:
            await socket.close()
    assert 1 <= len(reads) <= 8


async def test_stream_outlasts_the_time_limit_of_requests(one, monkeypatch):
    monkeypatch.setattr("zkinfer.oracle.server._READ_SECONDS", 0.3)
    async with opened(one) as client:
        url = f"ws://{client.base_url.netloc.decode()}/api/v1/ws?feedIDs={one.feed.id}"
        async with websockets.connect(url) as socket:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(signed_round, one, TICK + 5)
            assert "report" in json.loads(await asyncio.wait_for(socket.recv(), 5))
