"""Rounds for tests."""

from dataclasses import replace

from zkinfer.contracts.identifiers import keccak256
from zkinfer.oracle.store.rounds import NewRound, RoundKey

FEED = "0x0003" + "ab" * 30
OTHER = "0x0003" + "cd" * 30
SOURCE = b'{"prices":[1]}'
SIGNER = "0x" + "11" * 20


def new_round(number=100, feed=FEED, **changes):
    """A round of one tick of ten seconds."""
    found = NewRound(
        key=RoundKey(feed, number),
        observed_at=number * 10 + 3,
        expires_at=number * 10 + 63,
        answer=-1234,
        source=SOURCE,
        source_digest="0x" + keccak256(SOURCE).hex(),
        inputs=b"\x01\x02",
        signing_hash=f"0x{number:064x}",
        config_digest="0x" + "22" * 32,
        proposer=SIGNER,
    )
    return replace(found, **changes)
