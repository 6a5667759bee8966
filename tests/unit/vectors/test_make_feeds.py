"""The vectors of feeds that forge compares with the contracts follow from the Python side."""

import json

from tests.vectors import make_feeds

from zkinfer.contracts.feed_formats import FeedPayload, SignerConfig


def test_stored_values_are_reproduced():
    assert make_feeds.FEEDS.read_text() == make_feeds.dump(make_feeds.values())


def test_stored_payloads_are_signed_by_the_named_signers():
    stored = json.loads(make_feeds.FEEDS.read_text())
    config = SignerConfig(tuple(stored["configs"][1]["signers"]), stored["configs"][1]["threshold"])
    for case in stored["payloads"][1:]:
        payload = FeedPayload.decode(bytes.fromhex(case["encoded"][2:]))
        expected = tuple(config.signers[place] for place in case["signers"])
        assert config.require(payload.signing_hash, payload.signatures) == expected
