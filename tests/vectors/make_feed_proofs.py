"""Write payloads of feeds with proofs for the hub: `python -m tests.vectors.make_feed_proofs INSECURE_DEV`.

INSECURE_DEV is a setup file of 2^8 rows or more. The model is that of `ashlar/mlp_public_1.json`, the signers are those
of `feeds.json`. One round is attested, then proven; in another the signers lie, and a proof contradicts them. A proof
names no chain, so the same bytes serve every hub. The file is the same at every run, whichever prover writes it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ashlar import cases
from tests.ashlar.numbers import KnownTau
from tests.ashlar.prover import Prover
from tests.vectors.make_feeds import config, dump, signers, spec, spec_case, word

from zkinfer.contracts import ASHLAR_SELECTOR, Layout, Registration, listing_of
from zkinfer.contracts.feed_formats import FeedPayload, FeedReport, FeedSpec, feed_id, proof_context, round_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Prove = Callable[[bytes], tuple[bytes, list[int], bytes]]
    """From a context to packed inputs, outputs and proof."""

FILE = Path(__file__).resolve().parent / "feed_proofs.json"
OBSERVED_AT = 1_800_000_123
SOURCE_DIGEST = word(0x55)
OWNER, PUBLISHER = "0x" + "33" * 20, "0x" + "66" * 20
THRESHOLD = 3
LIE = 903
"""Output 0 of the model is 36: with two bits and two decimals, 900."""


def main(insecure_dev: str) -> None:
    FILE.write_text(dump(values(core(insecure_dev))))


def registration() -> Registration:
    case, _ = cases.load("mlp_public_1")
    form = case.read().layout
    layout = Layout("public", form.input_width, form.inputs, form.outputs)
    return Registration("0x" + "ab" * 32, case.key, layout, ASHLAR_SELECTOR)


def core(setup: str) -> Prove:
    """Prove with the engine."""
    import zkinfer_ashlar  # noqa: PLC0415 - tests without the core use `reference`

    case, known = cases.load("mlp_public_1")
    weights, inputs = (
        b"".join(one.to_bytes(8, "little", signed=True) for one in known[name]) for name in ("weights", "input")
    )
    return lambda context: zkinfer_ashlar.prove(case.key, weights, inputs, context, setup)


def reference() -> Prove:
    """Prove with the prover of the tests, which knows tau."""
    case, known = cases.load("mlp_public_1")
    prover = Prover(case.read().header, case.read().program, known["weights"], KnownTau())

    def prove(context: bytes) -> tuple[bytes, list[int], bytes]:
        made = prover.prove(known["input"], context)
        return made.inputs, list(made.outputs), made.proof

    return prove


def feed(owner: str = OWNER, publisher: str = PUBLISHER, **changes: object) -> FeedSpec:
    """A feed of the model, with answers within 2 of the proven one."""
    fields = {"scale": 2, "decimals": 2, "least": -5000, "most": 5000, "tolerance": 2, "description": "Output 0"}
    return spec(listing=listing_of(registration(), publisher), owner=owner, **{**fields, **changes})


@dataclass(frozen=True)
class Maker:
    """Makes payloads of a feed that `count` signers sign."""

    spec: FeedSpec
    prove: Prove
    count: int = THRESHOLD

    @property
    def feed(self) -> str:
        """The id of the feed."""
        return feed_id(self.spec)

    def payload(self, observed_at: int, answer: int = 900, *, proven: bool = False) -> FeedPayload:
        """The payload of a round with this answer; the proof, if there is one, is of the true answer."""
        unsigned = self._unsigned(observed_at, answer, proven=proven)
        by = signers(5)[: self.count]
        return replace(unsigned, signatures=tuple(one.unsafe_sign_hash(unsigned.signing_hash) for one in by))

    def _unsigned(self, observed_at: int, answer: int, *, proven: bool) -> FeedPayload:
        report = FeedReport(feed_id(self.spec), observed_at, observed_at + self.spec.max_age, answer)
        number = round_of(observed_at, self.spec.tick)
        digest = config(5, THRESHOLD).digest
        bare = FeedPayload(digest, number, report, (), SOURCE_DIGEST, b"")
        inputs, outputs, proof = self.prove(bytes.fromhex(proof_context(bare.request_id)[2:]))
        shown = (tuple(outputs), proof) if proven else ((), b"")
        return FeedPayload(digest, number, report, (), SOURCE_DIGEST, inputs, *shown)


def values(prove: Prove) -> dict:
    declared, maker = registration(), Maker(feed(), prove)
    later = OBSERVED_AT + maker.spec.tick
    made = {
        "attested": maker.payload(OBSERVED_AT),
        "proven": maker.payload(OBSERVED_AT, proven=True),
        "lie": maker.payload(later, LIE),
        "contradiction": maker.payload(later, LIE, proven=True),
    }
    return {
        "config": {"signers": list(config(5, THRESHOLD).signers), "threshold": THRESHOLD},
        "model": {
            "key": "0x" + declared.key.hex(),
            "layout": {
                "visibility": 0,
                "inputWidth": declared.layout.input_width,
                "inputs": declared.layout.inputs,
                "outputs": declared.layout.outputs,
            },
            "listing": listing_of(declared, PUBLISHER),
            "onnxDigest": declared.onnx_digest,
            "publisher": PUBLISHER,
        },
        "observedAt": OBSERVED_AT,
        "payloads": {name: "0x" + one.encode().hex() for name, one in made.items()},
        "spec": spec_case(maker.spec),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
