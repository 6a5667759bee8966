"""Measure the gas of recording an answer on anvil, step by step, and write docs/reference/gas.md.

    python benchmarks/gas.py            measures everything, a quarter of an hour
    python benchmarks/gas.py ashlar     only the part about Ashlar
    python benchmarks/gas.py feeds      only the part about feeds
    python benchmarks/gas.py works      only the part about works

Needs node, the npm packages of contracts/ (`make contracts`), and a file of the hermez ceremony in a folder of
ZKINFER_SETUP_PATH, or in ../shared/srs beside the checkout. Every figure is the gas of a whole transaction, including
calldata and the base of 21,000.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from eth_account import Account
from web3 import HTTPProvider, Web3

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "contracts")]
from benchmarks import gas_ashlar, gas_feeds, gas_works  # noqa: E402
from benchmarks.gas_ashlar import GAS, used  # noqa: E402

import canary  # noqa: E402 - scripts beside the contracts, in no package
from digits import DEMO, digits_circuit  # noqa: E402
from zkinfer.chain import Answer, answer_of, context_of, registration_of  # noqa: E402
from zkinfer.circuits import Circuit, Home  # noqa: E402
from zkinfer.circuits.engines.ezkl.instances import instances_of  # noqa: E402
from zkinfer.circuits.statement import Statement  # noqa: E402
from zkinfer.circuits.tensors import quantise  # noqa: E402
from zkinfer.contracts import Registration, Request, input_commitment  # noqa: E402
from zkinfer.contracts.abi import call_data, function_named  # noqa: E402
from zkinfer.contracts.chain import Chain  # noqa: E402
from zkinfer.contracts.deploy import Governance, Plan, deploy, plan  # noqa: E402
from zkinfer.contracts.ledger import Ledger  # noqa: E402
from zkinfer.contracts.registry import Registry  # noqa: E402
from zkinfer.prover import Prover  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


PAGE = ROOT / "docs/reference/gas.md"
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's first account; its key is public
BATCH = 10
HEAD = """\
<!-- Written by benchmarks/gas.py; do not edit. -->
# Gas

Measured on anvil with the rules of the Prague fork. Every figure is the gas of a whole transaction.

## ezkl

The demo's digits model: {instances} public values, proofs of {proof} bytes, a verifying key of {key} bytes in the code
of a contract. *Bare* is a call of the generated verifier itself, from an account: it shows that some proof holds, but
not for which request.

"""


class Bench:
    """One deployment on a fresh anvil."""

    def __init__(self, chain: Chain, home: Home, circuit: Circuit) -> None:
        self.chain, self.home, self.circuit = chain, home, circuit
        self.key = (circuit.folder / "vka.bin").read_bytes()[8:]
        self.parts: Plan = plan(Governance(chain.address, (chain.address,), delay=0))
        deploy(chain, self.parts)
        self.at = self.parts.addresses
        self.ledger = Ledger(chain, self.at["InferenceLedger"])
        with np.load(DEMO / "held-out.npz") as data:
            self.images = data["image"]

    def registration(self) -> Registration:
        """The registration of the model."""
        return registration_of(self.circuit, fee=1000)

    def answers(self, ledger: Ledger, listing: str, count: int) -> list[Answer]:
        """Open and prove requests; from the second on, prover and owner have been paid before."""
        return [self.answer(ledger, listing, number) for number in range(count)]

    def answer(self, ledger: Ledger, listing: str, number: int) -> Answer:
        """Ask about an image and prove the answer."""
        program = self.circuit.manifest.program
        pixels = program.layout.pack(quantise(self.images[number], program.inputs[0]))
        request = Request(
            listing=listing,
            input_commitment=input_commitment(pixels),
            consumer="0x" + "cc" * 20,
            requester=self.chain.address,
            expiry=self.chain.time() + 100_000,
            prover="0x" + "77" * 20,
            prover_fee=1000,
            refund_to=self.chain.address,
            owner_fee=1000,
            salt=f"0x{number:064x}",
        )
        ledger.request(request)
        context = context_of(request, self.chain.id, ledger.address)
        attestation = Prover(home=self.home).prove(self.circuit, {"image": self.images[number]}, context)
        return answer_of(attestation, request)

    def gas(self, to: str, data: bytes) -> int:
        """The gas of a transaction, which must succeed."""
        return used(self.chain.send(to, data, gas=GAS))


def main() -> None:
    """Measure, print and write; parts that are not asked for stay as they are."""
    page = sections(PAGE.read_text())
    with tempfile.TemporaryDirectory() as name:
        for title in sys.argv[1:] or PARTS:
            for chain in anvil():
                page[title] = PARTS[title](chain, Path(name))
    text = "".join(page[title] for title in PARTS)
    print(text)
    PAGE.write_text(text)


def sections(text: str) -> dict[str, str]:
    """The parts of the page by title; the first begins with the page's head."""
    parts = re.split(r"(?=\n## (?:Ashlar|Feeds|Works)\n)", text)
    return dict(zip(PARTS, parts, strict=False))


def ezkl_part(chain: Chain, scratch: Path) -> str:
    """The head of the page, and the table about ezkl."""
    home = Home(scratch / "home", setup_search=canary.setup_folders())
    return measure(Bench(chain, home, digits_circuit(scratch, home)))


def ashlar_part(chain: Chain, scratch: Path) -> str:
    """The tables about Ashlar."""
    return gas_ashlar.part(chain, scratch / "ashlar")


def feeds_part(chain: Chain, _: Path) -> str:
    """The table about feeds."""
    return gas_feeds.part(chain)


def works_part(chain: Chain, _: Path) -> str:
    """The table about works."""
    return gas_works.part(chain)


PARTS: Final = {"ezkl": ezkl_part, "ashlar": ashlar_part, "feeds": feeds_part, "works": works_part}


def anvil() -> Iterator[Chain]:
    """Yield a fresh chain, which ends afterwards."""
    with anvil_node() as web3:
        yield Chain(web3, Account.from_key(KEY))


@contextmanager
def anvil_node() -> Iterator[Web3]:
    """A connection to a fresh node, which ends afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ROOT / "contracts/node_modules/.bin/anvil"), "--port", str(port), "--silent", "--hardfork", "prague"]
    process = subprocess.Popen(command)
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}", request_kwargs={"timeout": 60}))
    try:
        while not web3.is_connected():
            time.sleep(0.05)
        yield web3
    finally:
        process.terminate()
        process.wait()


def measure(bench: Bench) -> str:
    """The page."""
    listing = Registry(bench.chain, bench.at["ModelRegistry"]).register(bench.registration())
    answers = bench.answers(bench.ledger, listing, BATCH + 2)
    steps, bare = shared_steps(bench, answers[0])
    first = record(bench.ledger, answers[0])
    steps.append(("ledger, recording a first answer", first))
    steps.append(("ledger, where prover and owner have credit already", record(bench.ledger, answers[1])))
    steps.append((f"ledger, each of {BATCH} answers in a batch", record_batch(bench.ledger, answers[2:])))
    proof, key = f"{len(answers[0].proof):,}", f"{len(bench.key):,}"
    count = len(public_values(bench, answers[0], bench.ledger))
    return HEAD.format(instances=count, proof=proof, key=key) + table(steps, bare)


def shared_steps(bench: Bench, answer: Answer) -> tuple[list[tuple[str, int]], int]:
    """The gas of calling each layer directly, and of the bare verifier."""
    words = [bench.key[i : i + 32] for i in range(0, len(bench.key), 32)]
    verify = function_named("Halo2VerifierReusable", "verifyProof")
    bare_call = call_data(verify, (answer.proof, public_values(bench, answer, bench.ledger), words))
    bare = bench.gas(bench.at["Halo2VerifierReusable"], bare_call)
    steps = [("bare, with the key as calldata", bare)]
    layers = [("adapter", "ReusableHalo2Adapter"), ("emergency stop", "EzklStop")]
    program = bench.chain.read("ModelRegistry", bench.at["ModelRegistry"], "programOf", word(answer.request.listing))
    layout, key, digest, selector = program[3], program[4], program[6], program[1]
    context = context_of(answer.request, bench.chain.id, bench.ledger.address).hash
    statement = (digest, key, layout, context, answer.inputs, list(answer.outputs), answer.proof)
    for title, name in layers:
        data = call_data(function_named("EmergencyStop", "verify"), statement)
        steps.append((title, bench.gas(bench.at[name], data)))
    entry = function_named("VerifierRouter", "verify")
    data = call_data(entry, (selector, *statement))
    steps.append(("router", bench.gas(bench.at["VerifierRouter"], data)))
    return steps, bare


def public_values(bench: Bench, answer: Answer, ledger: Ledger) -> list[int]:
    """The public values as arguments of the generated verifier."""
    context = context_of(answer.request, bench.chain.id, ledger.address)
    statement = Statement(context.hash, answer.inputs, answer.outputs)
    return instances_of(statement, answer.proof, bench.circuit.manifest.program.layout)[1]


def record_batch(ledger: Ledger, answers: list[Answer]) -> int:
    """Gas per answer of recording several answers in one transaction."""
    batch = [one.posted for one in answers]
    return used(ledger.record_batch(batch, gas=GAS)) // len(answers)


def record(ledger: Ledger, answer: Answer) -> int:
    """Gas of recording one answer."""
    return used(ledger.record(*answer.posted, gas=GAS))


def table(steps: list[tuple[str, int]], bare: int) -> str:
    """Gas by step, and the difference from bare."""
    rows = [f"| {title} | {gas:,} | {gas - bare:+,} |" for title, gas in steps]
    return "\n".join(["| transaction | gas | more than bare |", "| --- | ---: | ---: |", *rows, ""])


def word(text: str) -> bytes:
    """32 bytes from hex."""
    return bytes.fromhex(text.removeprefix("0x"))


if __name__ == "__main__":
    main()
