"""Write a painter's proofs for the contract `Studio`: `python -m tests.vectors.make_studio`.

`studio.json` holds the key of `examples/studio/painter.onnx` under Ashlar and the setup for tests, and the proven
answers to two orders of a studio at a fixed address: a three, and an eight. Proofs of public inputs are the same at
every run.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tests.paths import ROOT, VECTORS
from tests.vectors.make_chain import CHAIN_ID, EXPIRY, address
from tests.vectors.make_feeds import dump

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.home import Home
from zkinfer.contracts.identifiers import VISIBILITIES, listing_of
from zkinfer.prover import Prover

if TYPE_CHECKING:
    from zkinfer.chain.requests import Answer
    from zkinfer.circuits import Circuit
    from zkinfer.contracts.identifiers import Request

FILE = VECTORS / "studio.json"
EXAMPLE = ROOT / "examples/studio"
LEDGER, STUDIO, PUBLISHER, PROVER, CREATOR = (address(number) for number in range(17, 22))
FEE, PROVER_FEE = 1000, 500
PICTURES = ((3, 5), (8, 9))
"""A digit, and the seed of the noise."""
_FIELDS = {
    "input_commitment": "inputCommitment",
    "owner_fee": "ownerFee",
    "prover_fee": "proverFee",
    "refund_to": "refundTo",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(dump(values(Path(folder))))


def values(base: Path) -> dict:
    """The document; the circuit is compiled below `base`."""
    home = Home(base / "home")
    made = compile_model(
        EXAMPLE / "painter.onnx",
        base / "painter",
        engine=AshlarEngine(),
        home=home,
        calibration=EXAMPLE / "painter-calibration.npz",
        options=CompileOptions(setup="insecure-dev"),
    )
    registration = registration_of(made.circuit, fee=FEE)
    layout = registration.layout
    return {
        "addresses": {"creator": CREATOR, "ledger": LEDGER, "prover": PROVER, "publisher": PUBLISHER, "studio": STUDIO},
        "answers": [answer(made.circuit, home, number) for number in range(len(PICTURES))],
        "chainId": CHAIN_ID,
        "model": {
            "key": "0x" + registration.key.hex(),
            "layout": {
                "visibility": VISIBILITIES.index(layout.visibility),
                "inputWidth": layout.input_width,
                "inputs": layout.inputs,
                "outputs": layout.outputs,
            },
            "listing": listing_of(registration, PUBLISHER),
            "onnxDigest": registration.onnx_digest,
        },
    }


def answer(circuit: Circuit, home: Home, number: int) -> dict:
    """The proven answer to the studio's order of this number."""
    inputs = {"request": wish(*PICTURES[number])}
    asked = request_for(
        circuit,
        inputs,
        listing=listing_of(registration_of(circuit, fee=FEE), PUBLISHER),
        consumer=STUDIO,
        requester=STUDIO,
        expiry=EXPIRY,
        prover=PROVER,
        prover_fee=PROVER_FEE,
        refund_to=CREATOR,
        owner_fee=FEE,
        salt="0x" + number.to_bytes(32, "big").hex(),
    )
    made = answer_of(Prover(home=home).prove(circuit, inputs, context_of(asked, CHAIN_ID, LEDGER)), asked)
    return case(made, asked)


def case(made: Answer, asked: Request) -> dict:
    """An answer as forge reads it."""
    return {
        "id": asked.id(CHAIN_ID, LEDGER),
        "inputs": "0x" + made.inputs.hex(),
        "outputs": [str(value) for value in made.outputs],
        "proof": "0x" + made.proof.hex(),
        "request": {_FIELDS.get(name, name): value for name, value in asdict(asked).items()},
    }


def wish(digit: int, seed: int) -> np.ndarray:
    """The painter's input `[1, 16]`: ten places for the digit, six numbers of noise."""
    noise = np.clip(np.random.default_rng(seed).normal(size=6), -3, 3)
    return np.concatenate([np.eye(10)[digit], noise])[None].astype(np.float32)


if __name__ == "__main__":
    main()
