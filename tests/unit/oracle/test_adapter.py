"""The external adapter: an answer at once, or a promise and a call; and only to hosts that the operator lists."""

import asyncio
import json

import httpx2
import pytest
from tests.unit.oracle.http_door import TICK, opened, prove, signed_round

from zkinfer.contracts.feed_formats import FeedPayload
from zkinfer.oracle.adapter import MAX_PENDING

NODE = "https://node.example:6689/v2/resume/1"
HOSTS = ["node.example:6689"]


@pytest.fixture
def one(three, clock):
    signed_round(three[0])
    clock.now += 5
    return three[0]


class Node:
    """A Chainlink node that is called back."""

    def __init__(self):
        self.calls = []
        self.called = asyncio.Event()

    def __call__(self, request):
        self.calls.append((request.method, str(request.url), json.loads(request.content)))
        self.called.set()
        return httpx2.Response(200)


async def ask(one, document, **options):
    async with opened(one, **options) as client:
        return await client.post("/", json=document)


@pytest.mark.parametrize("by", ["name", "id"])
async def test_job_gets_the_newest_report(one, by):
    feed = getattr(one.feed, by)
    found = await ask(one, {"id": "job 1", "data": {"feed": feed}, "meta": {"latestAnswer": 1}})
    document = found.json()
    assert (found.status_code, document["jobRunID"], document["statusCode"]) == (200, "job 1", 200)
    assert document["result"] == document["data"]["result"] == "100"
    assert (document["data"]["round"], document["data"]["level"]) == (TICK, "attested")
    assert FeedPayload.decode(bytes.fromhex(document["data"]["fullReport"][2:])).report.answer == 100


async def test_job_without_an_id_is_answered(one):
    assert (await ask(one, {"data": {"feed": "fake"}})).json()["jobRunID"] is None


async def test_promised_job_is_called_back_with_the_next_proven_report(one):
    node = Node()
    async with opened(one, callback_hosts=HOSTS, transport=httpx2.MockTransport(node)) as client:
        found = await client.post("/", json={"id": "7", "data": {"feed": "fake"}, "responseURL": NODE})
        assert found.json() == {"jobRunID": "7", "pending": True}
        assert found.headers["x-chainlink-pending"] == "true"
        await asyncio.sleep(0.1)
        await asyncio.to_thread(signed_round, one, TICK + 1, value=101)
        await asyncio.sleep(0.6)
        assert node.calls == []
        await asyncio.to_thread(prove, one, TICK + 1)
        await asyncio.wait_for(node.called.wait(), 5)
    method, url, document = node.calls[0]
    assert (method, url, document["jobRunID"], document["result"]) == ("PATCH", NODE, "7", "101")
    assert document["value"] == document["data"]
    assert document["data"]["level"] == "proven"
    assert one.loop._asked.is_set()


async def test_promised_job_whose_round_does_not_come_is_told_so(one, clock):
    node = Node()
    async with opened(one, callback_hosts=HOSTS, transport=httpx2.MockTransport(node)) as client:
        await client.post("/", json={"id": "7", "data": {"feed": "fake"}, "responseURL": NODE})
        await asyncio.sleep(0.3)  # the job has begun to wait
        clock.now += 1000
        await asyncio.wait_for(node.called.wait(), 5)
    assert "made no new report in time" in node.calls[0][2]["error"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:8545/",
        "https://node.example/",
        "https://node.example:6690/",
        "https://node.example:6689@evil.example/",
        "https://user@node.example:6689/",
        "http://node.example:6689/",
        "file:///etc/passwd",
        "gopher://node.example:6689/",
        "https://[::1",
        "https://NODE.example.evil:6689/",
        "",
    ],
    ids=range(12),
)
async def test_url_of_another_host_is_never_called(one, url):
    node = Node()
    document = {"id": "7", "data": {"feed": "fake"}, "responseURL": url}
    found = await ask(one, document, callback_hosts=HOSTS, transport=httpx2.MockTransport(node))
    assert (found.status_code, found.json()["status"], node.calls) == (400, "errored", [])


async def test_without_listed_hosts_nobody_is_called(one):
    found = await ask(one, {"data": {"feed": "fake"}, "responseURL": "http://localhost:6688/"})
    assert (found.status_code, "callback-hosts" in found.json()["error"]["message"]) == (400, True)


async def test_redirect_of_a_node_is_not_followed(one, clock):
    calls = []

    def redirect(request):
        calls.append(request.url.host)
        return httpx2.Response(307, headers={"location": "http://169.254.169.254/"})

    async with opened(one, callback_hosts=HOSTS, transport=httpx2.MockTransport(redirect)) as client:
        await client.post("/", json={"data": {"feed": "fake"}, "responseURL": NODE})
        await asyncio.sleep(0.3)  # the job has begun to wait
        clock.now += 1000
        await asyncio.sleep(1.6)
    assert set(calls) == {"node.example"}


async def test_too_many_pending_jobs_are_refused(one):
    document = {"data": {"feed": "fake"}, "responseURL": NODE}
    async with opened(one, callback_hosts=HOSTS, transport=httpx2.MockTransport(Node())) as client:
        codes = [(await client.post("/", json=document)).status_code for _ in range(MAX_PENDING + 1)]
    assert codes == [200] * MAX_PENDING + [429]


async def test_report_that_has_expired_is_no_answer(one, clock):
    clock.now += 100
    found = await ask(one, {"id": "7", "data": {"feed": "fake"}})
    assert (found.status_code, found.json()["jobRunID"]) == (404, "7")
    assert "no fresh report" in found.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"data": {}}', 400),
        (b'{"data": {"feed": 1}}', 400),
        (b'{"data": {"feed": "nothing"}}', 404),
        (b'{"id": {"a": 1}, "data": {"feed": "fake"}}', 400),
        (b'{"data": {"feed": "fake"}, "data": {"feed": "fake"}}', 400),
        (b"[" * 1000, 400),
        (b" " * 70_000, 400),
        (b"\xff\xfe", 400),
    ],
    ids=range(11),
)
async def test_malformed_job_is_refused(one, body, status):
    async with opened(one) as client:
        found = await client.post("/", content=body)
    assert (found.status_code, found.json()["statusCode"], found.json()["status"]) == (status, status, "errored")


async def test_job_that_was_pending_at_a_restart_is_called_back_once(one):
    node = Node()
    doors = {"callback_hosts": HOSTS, "transport": httpx2.MockTransport(node)}
    await ask(one, {"id": "7", "data": {"feed": "fake"}, "responseURL": NODE}, **doors)
    assert [job.job_id for job in one.store.jobs.pending()] == ["7"]
    await asyncio.to_thread(signed_round, one, TICK + 1, proven=True, value=101)
    one.loop._asked.clear()
    async with opened(one, **doors):
        assert one.loop._asked.is_set()
        await asyncio.wait_for(node.called.wait(), 5)
        await asyncio.sleep(0.3)
    assert [(call[1], call[2]["jobRunID"], call[2]["result"]) for call in node.calls] == [(NODE, "7", "101")]
    assert one.store.jobs.pending() == []


async def test_job_that_ended_while_the_daemon_did_not_run_is_told_so(one, clock):
    node = Node()
    doors = {"callback_hosts": HOSTS, "transport": httpx2.MockTransport(node)}
    await ask(one, {"id": "7", "data": {"feed": "fake"}, "responseURL": NODE}, **doors)
    clock.now += 1000
    async with opened(one, **doors):
        await asyncio.wait_for(node.called.wait(), 5)
    assert "made no new report in time" in node.calls[0][2]["error"]


async def test_job_of_a_host_that_is_no_longer_listed_is_given_up(one):
    node = Node()
    transport = httpx2.MockTransport(node)
    await ask(one, {"data": {"feed": "fake"}, "responseURL": NODE}, callback_hosts=HOSTS, transport=transport)
    await asyncio.to_thread(signed_round, one, TICK + 1, proven=True)
    async with opened(one, transport=transport):
        await asyncio.sleep(0.5)
    assert (node.calls, one.store.jobs.pending()) == ([], [])
