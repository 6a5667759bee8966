"""The rules by which an operator signs a peer's report: each broken once, and a good one signed at most once."""

import json

import pytest
from tests.unit.oracle.fakes import KEYS, START

from zkinfer.contracts.feed_formats import recover, sign
from zkinfer.contracts.rpc import Account
from zkinfer.oracle.errors import UnknownFeedError, VoteError
from zkinfer.oracle.feed import packed, unpacked
from zkinfer.oracle.store.rounds import RoundKey
from zkinfer.oracle.votes import MAX_REQUEST_BYTES, VoteRequest

TICK = START // 10


def request_of(asking, value=100, at=None, key=None, **changes):
    """What an operator sends about its observation of a value."""
    feed, model = asking.feed, asking.model
    observed = model.observed(int(asking.clock()) if at is None else at, value)
    payload = feed.unsigned(observed, value)
    signature = packed(sign(payload.signing_hash, key or asking.key))
    fields = {
        "feedID": feed.id,
        "round": payload.round,
        "signingHash": "0x" + payload.signing_hash.hex(),
        "source": "0x" + observed.source_file.hex(),
        "answer": str(value),
        "signatures": ["0x" + signature.hex()],
    }
    return VoteRequest.from_bytes(json.dumps({**fields, **changes}).encode())


@pytest.fixture
def pair(three):
    return three[0], three[1]


def test_agreeing_peer_signs_the_hash_it_computed_itself(pair):
    asking, asked = pair
    request = request_of(asking)
    answer = asked.voter.vote(request)
    digest = bytes.fromhex(request.signing_hash[2:])
    signers = {recover(digest, unpacked(bytes.fromhex(one[2:]))) for one in answer.signatures}
    assert signers == {asking.feed.address, asked.feed.address}


def test_observation_within_the_tolerance_is_signed(pair):
    asking, asked = pair
    assert len(asked.voter.vote(request_of(asking, value=101)).signatures) == 2


def test_signature_is_remembered_before_it_leaves(pair):
    asking, asked = pair
    request = request_of(asking)
    asked.voter.vote(request)
    stored = asked.store.rounds.find(RoundKey(asked.feed.id, TICK))
    assert stored.signing_hash == request.signing_hash
    assert asked.feed.address in asked.store.rounds.signatures(stored.key)


def test_same_request_gets_the_same_signatures_even_after_a_restart(pair):
    asking, asked = pair
    first = asked.voter.vote(request_of(asking))
    asked.stop()
    asked.start()
    asked.model.error = "down"
    assert asked.voter.vote(request_of(asking)) == first


def test_second_report_for_a_round_is_refused(pair, three):
    asking, asked = pair
    asked.voter.vote(request_of(asking))
    with pytest.raises(VoteError, match="Another report for round"):
        asked.voter.vote(request_of(three[2], value=101))


def test_report_after_ones_own_proposal_is_refused(pair):
    asking, asked = pair
    asked.store.rounds.record(asked.feed.new_round(asked.model.observe(TICK), 100, asked.feed.address))
    with pytest.raises(VoteError, match="Another report"):
        asked.voter.vote(request_of(asking, value=101))


def test_observation_beyond_the_tolerance_is_refused_and_the_round_stays_free(pair):
    asking, asked = pair
    with pytest.raises(VoteError, match="Not confirmed here: The observations differ"):
        asked.voter.vote(request_of(asking, value=102))
    assert len(asked.voter.vote(request_of(asking)).signatures) == 2


def test_stranger_is_refused_before_any_work(pair, monkeypatch):
    asking, asked = pair
    monkeypatch.setattr(asked.model, "reconstruct", lambda source: pytest.fail("it did work for a stranger"))
    with pytest.raises(VoteError, match="No signer of the feed has signed"):
        asked.voter.vote(request_of(asking, key=Account.from_key(b"\x09" * 32)))


def test_signature_of_another_hash_is_refused(pair):
    asking, asked = pair
    with pytest.raises(VoteError, match="No signer of the feed has signed"):
        asked.voter.vote(request_of(asking, signingHash="0x" + "12" * 32))


def test_source_file_that_gives_another_report_is_refused(pair):
    asking, asked = pair
    other = asking.model.observed(int(asking.clock()), 101).source_file
    with pytest.raises(VoteError, match="gives another report here"):
        asked.voter.vote(request_of(asking, source="0x" + other.hex()))


def test_answer_out_of_bounds_is_refused(pair):
    asking, asked = pair
    asked.model.value = 5000
    with pytest.raises(VoteError, match="outside the feed's bounds"):
        asked.voter.vote(request_of(asking, value=5000))


def test_source_that_is_down_here_is_no_reason_to_trust_a_peer(pair):
    asking, asked = pair
    asked.model.error = "The source says 503."
    with pytest.raises(VoteError, match="503"):
        asked.voter.vote(request_of(asking))


@pytest.mark.parametrize(
    ("shift", "message"), [(-16, "16 s old"), (6, "6 s ahead of this clock"), (3600, "ahead"), (-3600, "old")]
)
def test_report_of_another_time_is_refused(pair, clock, shift, message):
    asking, asked = pair
    with pytest.raises(VoteError, match=message):
        asked.voter.vote(request_of(asking, at=int(clock()) + shift))


def test_round_that_is_not_that_of_the_source_file_is_refused(pair):
    asking, asked = pair
    with pytest.raises(VoteError, match="not of round"):
        asked.voter.vote(request_of(asking, round=TICK + 1))


def test_unknown_feed_is_refused(pair):
    asking, asked = pair
    with pytest.raises(UnknownFeedError, match="is signed here"):
        asked.voter.vote(request_of(asking, feedID="0x0003" + "00" * 30))


@pytest.mark.parametrize(
    "changes",
    [
        {"round": -1},
        {"round": "1"},
        {"round": 1 << 40},
        {"source": "zz"},
        {"source": "0x1"},
        {"answer": 100},
        {"signatures": []},
        {"signatures": ["0x" + "00" * 64]},
        {"signatures": ["0x" + "00" * 65] * 32},
        {"feedID": "fake"},
        {"signingHash": "0xAB"},
        {"more": 1},
    ],
    ids=range(12),
)
def test_malformed_request_is_refused(pair, changes):
    with pytest.raises(VoteError, match="has no valid"):
        request_of(pair[0], **changes)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"round": 1, "round": 2}', b"[" * 100_000, b" " * (MAX_REQUEST_BYTES + 1), b"\xff"],
    ids=range(7),
)
def test_request_that_is_not_strict_json_is_refused(data):
    with pytest.raises(VoteError):
        VoteRequest.from_bytes(data)


def test_invalid_signatures_beside_a_valid_one_are_ignored(pair):
    asking, asked = pair
    good = request_of(asking).signatures[0]
    answer = asked.voter.vote(request_of(asking, signatures=["0x" + "00" * 65, "0x" + "ff" * 65, good]))
    assert len(answer.signatures) == 2


def test_vote_request_says_what_is_on_record(pair):
    asking, asked = pair
    stored = asking.store.rounds.record(asking.feed.new_round(asking.model.observe(TICK), 100, asking.feed.address))
    own = packed(sign(bytes.fromhex(stored.signing_hash[2:]), KEYS[0]))
    source = asking.store.rounds.source(stored.source_digest)
    request = VoteRequest.of(stored, source, [own])
    assert VoteRequest.from_bytes(request.to_bytes()) == request
    assert len(asked.voter.vote(request).signatures) == 2


@pytest.mark.parametrize(("value", "signed"), [(101, True), (150, False)])
def test_distance_of_the_answers_is_noted_whether_it_is_signed_or_not(pair, value, signed):
    asking, asked = pair
    if signed:
        asked.voter.vote(request_of(asking, value=value))
    else:
        with pytest.raises(VoteError, match="observations differ"):
            asked.voter.vote(request_of(asking, value=value))
    assert asked.voter.spreads == {asked.feed.id: value - 100}


def test_distance_is_not_told_if_this_operator_has_no_answer(pair):
    asking, asked = pair
    asked.voter.spreads[asked.feed.id] = 7
    asked.model.value = 10**9
    with pytest.raises(VoteError, match="outside the feed's bounds"):
        asked.voter.vote(request_of(asking))
    assert asked.voter.spreads == {}
