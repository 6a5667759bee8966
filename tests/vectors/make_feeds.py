"""Write the vectors of feeds shared by pytest and forge: `python -m tests.vectors.make_feeds`.

`feeds.json` holds specifications with their ids, configurations of signers with their digests, and payloads with what
is signed; the keys of the signers are derived from their numbers.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from eth_keys import keys

from zkinfer.contracts.feed_formats import (
    NO_CONFIG,
    FeedPayload,
    FeedReport,
    FeedSpec,
    Signature,
    SignerConfig,
    feed_id,
    proof_context,
    round_of,
)
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256, words

FEEDS = Path(__file__).resolve().parent / "feeds.json"
OBSERVED_AT = 1_800_000_123


def main() -> None:
    FEEDS.write_text(dump(values()))


def dump(document) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def values() -> dict:
    return {
        "configs": [config_case(count, threshold) for count, threshold in ((1, 1), (3, 2), (5, 3), (31, 31))],
        "payloads": [
            payload_case(SPECS[0], (), proof=b"\1\2\3"),
            payload_case(SPECS[1], (0, 2)),
            payload_case(SPECS[1], (1, 2), proof=bytes(range(70))),
            payload_case(SPECS[2], (0, 1), answer=-5),
        ],
        "specs": [spec_case(one) for one in SPECS],
    }


def word(number: int) -> str:
    return f"0x{number:064x}"


def key_of(number: int) -> keys.PrivateKey:
    return keys.PrivateKey(keccak256(b"zkinfer test signer" + words([number])))


class KeySigner:
    """Signs hashes with a key that is derived from a number."""

    def __init__(self, number: int) -> None:
        self.key = key_of(number)
        self.address = self.key.public_key.to_address()

    def unsafe_sign_hash(self, message_hash: bytes) -> Signature:
        v, r, s = self.key.sign_msg_hash(message_hash).vrs
        return Signature(r, s, 27 + v)


def signers(count: int) -> list[KeySigner]:
    """So many signers, in ascending order of their addresses."""
    return sorted((KeySigner(number) for number in range(count)), key=lambda one: one.address)


def config(count: int = 3, threshold: int = 2) -> SignerConfig:
    return SignerConfig(tuple(one.address for one in signers(count)), threshold)


def config_case(count: int, threshold: int) -> dict:
    case = config(count, threshold)
    keyed = [one.key.to_hex() for one in signers(count)]
    return {"digest": case.digest, "keys": keyed, "signers": list(case.signers), "threshold": threshold}


def spec(**changes) -> FeedSpec:
    wanted = {
        "listing": word(0x11),
        "recipe": word(0x22),
        "owner": "0x" + "33" * 20,
        "source": ZERO_ADDRESS,
        "output": 0,
        "scale": 7,
        "decimals": 8,
        "least": 1,
        "most": 10**12,
        "tolerance": 1000,
        "tick": 60,
        "heartbeat": 3600,
        "max_age": 600,
        "description": "ETH volatility, one day",
    }
    return FeedSpec(**{**wanted, **changes})


SPECS = [
    spec(source="0x" + "44" * 20, description="From a contract"),
    spec(),
    spec(output=2**24 - 1, scale=64, decimals=18, least=-(2**191), most=2**191 - 1, description="Bounds – é"),
    spec(scale=0, decimals=0, tick=1, heartbeat=1, max_age=1, tolerance=2**64 - 1, description=""),
]


def payload(about: FeedSpec, by: tuple[int, ...], *, proof: bytes = b"", answer: int = 12345) -> FeedPayload:
    """A payload of a round, signed by the signers with these places in `config()`."""
    report = FeedReport(feed_id(about), OBSERVED_AT, OBSERVED_AT + about.max_age, answer)
    number, outputs = round_of(OBSERVED_AT, about.tick), (7, -8, 2**63 - 1) if proof else ()
    digest = config().digest if about.signed else NO_CONFIG
    parts = (digest, number, report), (word(0x55), b"\0\1\xfe\xff", outputs, proof)
    unsigned = FeedPayload(*parts[0], (), *parts[1])
    signed = tuple(signers(3)[place].unsafe_sign_hash(unsigned.signing_hash) for place in by)
    return FeedPayload(*parts[0], signed, *parts[1])


def payload_case(about: FeedSpec, by: tuple[int, ...], **parts) -> dict:
    case = payload(about, by, **parts)
    return {
        "answer": str(case.report.answer),
        "configDigest": case.config_digest,
        "context": ["0x" + one.hex() for one in case.context.words],
        "encoded": "0x" + case.encode().hex(),
        "feedId": case.report.feed_id,
        "inputs": "0x" + case.inputs.hex(),
        "observedAt": case.report.observed_at,
        "outputs": [str(one) for one in case.outputs],
        "proof": "0x" + case.proof.hex(),
        "proofContext": proof_context(case.request_id),
        "report": "0x" + case.report.encode().hex(),
        "requestId": case.request_id,
        "round": case.round,
        "signers": list(by),
        "signingHash": "0x" + case.signing_hash.hex(),
        "sourceDigest": case.source_digest,
    }


def spec_case(one: FeedSpec) -> dict:
    """The fields by the names of the contract, large numbers as text."""
    named = {camel(field.name): getattr(one, field.name) for field in fields(one)}
    large = {name: str(named[name]) for name in ("least", "most", "tolerance")}
    return {**named, **large, "feedId": feed_id(one)}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


if __name__ == "__main__":
    main()
