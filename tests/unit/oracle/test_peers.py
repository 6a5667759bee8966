import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest
from tests.unit.oracle.fakes import START

from zkinfer.contracts.feed_formats import sign
from zkinfer.oracle.errors import PeerError
from zkinfer.oracle.feed import packed
from zkinfer.oracle.peers import Peers

TICK = START // 10


@pytest.fixture
def stored(three):
    feed = three[0].feed
    return three[0].store.rounds.record(feed.new_round(three[0].model.observe(TICK), 100, feed.address))


def asked(three, stored, handler):
    """The signatures, and the refusals, of one peer that answers as the handler does."""
    peers = Peers(["https://peer"], transport=httpx2.MockTransport(handler))
    found = peers.ask(three[0].feed, stored, b"{}", {three[0].feed.address: b"\1" * 65})
    refusals = peers.refusals(stored.key)
    peers.close()
    return found, refusals


def test_valid_signature_of_a_signer_is_taken(three, stored):
    signature = packed(sign(bytes.fromhex(stored.signing_hash[2:]), three[1].key))
    answer = {"signatures": ["0x" + signature.hex()]}
    found, refusals = asked(three, stored, lambda request: httpx2.Response(200, json=answer))
    assert (found, refusals) == ({three[1].feed.address: signature}, "")


def test_signature_of_another_report_is_not_taken(three, stored):
    signature = packed(sign(b"\7" * 32, three[1].key))
    answer = {"signatures": ["0x" + signature.hex()]}
    assert asked(three, stored, lambda request: httpx2.Response(200, json=answer))[0] == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx2.Response(200, json={"signatures": ["0x12"]}), "holds no signatures"),
        (httpx2.Response(200, content=b"hello"), "holds no signatures"),
        (httpx2.Response(200, content=b" " * 70_000), "too large"),
        (httpx2.Response(409, json={"detail": "No\nthanks."}), "Status 409: No thanks."),
        (httpx2.Response(500, content=b"\xff"), "Status 500: without a reason"),
        (httpx2.Response(302, headers={"location": "http://169.254.169.254/"}), "Status 302"),
    ],
    ids=range(6),
)
def test_other_answers_are_refused_with_a_reason(three, stored, answer, reason):
    found, refusals = asked(three, stored, lambda request: answer)
    assert found == {}
    assert reason in refusals


def test_silent_peer_does_not_hide_the_others(three, stored):
    signature = packed(sign(bytes.fromhex(stored.signing_hash[2:]), three[1].key))

    def network(request):
        if request.url.host == "silent":
            raise httpx2.ConnectTimeout("no answer")
        return httpx2.Response(200, json={"signatures": ["0x" + signature.hex()]})

    peers = Peers(["https://silent", "https://peer"], transport=httpx2.MockTransport(network))
    own = {three[0].feed.address: b"\1" * 65}
    assert list(peers.ask(three[0].feed, stored, b"{}", own)) == [three[1].feed.address]
    assert peers.refusals(stored.key) == ""  # it has enough signatures
    peers.close()


@pytest.mark.parametrize(
    "url", ["http://op2.example", "ftp://op2", "op2", "https://", "https://a:b@op2", "https://op2?x=1"]
)
def test_unsafe_url_of_a_peer_is_refused(url):
    with pytest.raises(PeerError):
        Peers([url])


@pytest.mark.parametrize("url", ["https://op2.example", "http://127.0.0.1:8090", "http://localhost:1/"])
def test_encrypted_or_local_url_of_a_peer_is_accepted(url):
    Peers([url]).close()


def test_refusals_of_old_rounds_are_forgotten(three):
    feed = three[0].feed
    peers = Peers(["https://peer"], transport=httpx2.MockTransport(lambda request: httpx2.Response(503)))
    keys = []
    for number in range(80):
        observed = three[0].model.observed(START + number * 10, 100)
        one = three[0].store.rounds.record(feed.new_round(observed, 100, feed.address))
        peers.ask(feed, one, b"{}", {feed.address: b"\1" * 65})
        keys.append(one.key)
    assert [bool(peers.refusals(key)) for key in (keys[0], keys[79])] == [False, True]
    peers.close()


def test_two_feeds_ask_a_peer_at_the_same_time(three, stored):
    together = threading.Barrier(2, timeout=3)
    other = replace(three[0].feed, spec=replace(three[0].feed.spec, description="another"))
    new = other.new_round(three[0].model.observe(TICK), 100, other.address)
    of_other = three[0].store.rounds.record(new)
    signatures = {
        one.signing_hash: "0x" + packed(sign(bytes.fromhex(one.signing_hash[2:]), three[1].key)).hex()
        for one in (stored, of_other)
    }

    def network(request):
        together.wait()
        digest = next(one for one in signatures if one.encode() in request.content)
        return httpx2.Response(200, json={"signatures": [signatures[digest]]})

    peers = Peers(["https://peer"], transport=httpx2.MockTransport(network))
    own = {three[0].feed.address: b"\1" * 65}
    with ThreadPoolExecutor(2) as threads:
        asked_ = [
            threads.submit(peers.ask, feed, one, b"{}", own)
            for feed, one in ((three[0].feed, stored), (other, of_other))
        ]
    assert [list(one.result()) for one in asked_] == [[three[1].feed.address]] * 2
    peers.close()
