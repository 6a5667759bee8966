"""Measure the gas of recording an answer on anvil, step by step, and write docs/reference/gas.md.

Needs node, the npm packages of contracts/ (`make contracts`), and a file of the hermez ceremony in a folder of
ZKINFER_SETUP_PATH, or in ../shared/srs beside the checkout. Every figure is the gas of a whole transaction, including
calldata and the base of 21,000.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from eth_account import Account
from web3 import HTTPProvider, Web3

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "contracts"))
import canary  # noqa: E402 - scripts beside the contracts, in no package
from digits import DEMO, digits_circuit  # noqa: E402
from zkinfer.chain import Answer, answer_of, context_of, registration_of, request_for  # noqa: E402
from zkinfer.circuits import Circuit, Home  # noqa: E402
from zkinfer.circuits.compile import CompileOptions, compile_model  # noqa: E402
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine  # noqa: E402
from zkinfer.circuits.engines.ashlar.files import read_estimate  # noqa: E402
from zkinfer.circuits.engines.ezkl.instances import instances_of  # noqa: E402
from zkinfer.circuits.statement import Statement  # noqa: E402
from zkinfer.circuits.tensors import quantise  # noqa: E402
from zkinfer.cli.demo.cases import DIGITS, LENET  # noqa: E402
from zkinfer.contracts import Registration, Request, input_commitment  # noqa: E402
from zkinfer.contracts.abi import call_data, function_named  # noqa: E402
from zkinfer.contracts.chain import Chain  # noqa: E402
from zkinfer.contracts.deploy import Governance, Plan, deploy, plan  # noqa: E402
from zkinfer.contracts.ledger import Ledger  # noqa: E402
from zkinfer.contracts.registry import Registry  # noqa: E402
from zkinfer.prover import Prover  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from web3.types import TxReceipt

    from zkinfer.circuits.tensors import Visibility
    from zkinfer.cli.demo.cases import Example

PAGE = ROOT / "docs/reference/gas.md"
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's first account; its key is public
BATCH = 10
GAS = 15_000_000
HEAD = """\
<!-- Written by benchmarks/gas.py; do not edit. -->
# Gas

Measured on anvil with the rules of the Prague fork. Every figure is the gas of a whole transaction.

## ezkl

The demo's digits model: {instances} public values, proofs of {proof} bytes, a verifying key of {key} bytes in the code
of a contract. *Bare* is a call of the generated verifier itself, from an account: it shows that some proof holds, but
not for which request.

"""
ASHLAR = """
## Ashlar

The demo's models. *Verify* calls `AshlarVerifier` itself, from an account. *Record* is a
transaction to the ledger, for prover and owner who have credit already; a first answer costs 34,200 more. The last
column is the prediction in the manifest. The gas of the calls alone is in `contracts/snapshots/ashlar.json`.

"""
STEPS = """
By step, as predicted; the sum differs from the measurement by a few percent. The precompiles' part was read from the
trace of the transaction: it is 6,000 for a multiplication, 150 for an addition and 113,000 for the pairing.

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
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "home", setup_search=canary.setup_folders())
        circuit = digits_circuit(Path(scratch), home)
        for chain in anvil():
            page = measure(Bench(chain, home, circuit))
    print(page)
    PAGE.write_text(page)


def anvil() -> Iterator[Chain]:
    """Yield a fresh chain, which ends afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ROOT / "contracts/node_modules/.bin/anvil"), "--port", str(port), "--silent", "--hardfork", "prague"]
    process = subprocess.Popen(command)
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
    try:
        while not web3.is_connected():
            time.sleep(0.05)
        yield Chain(web3, Account.from_key(KEY))
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
    return HEAD.format(instances=count, proof=proof, key=key) + table(steps, bare) + ashlar_part(bench.chain)


def ashlar_part(chain: Chain) -> str:
    """The tables for the demo's models under Ashlar, in a deployment for tests, as the setup does not affect gas."""
    parts = plan(Governance(chain.address, (chain.address,), delay=0, test=True))
    deploy(chain, parts)
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "home")
        cases: list[tuple[Example, Visibility]] = [(DIGITS, "public"), (LENET, "public"), (LENET, "hashed")]
        rows = [ashlar_row(chain, parts, home, Path(scratch), *case) for case in cases]
    lines = ["| model | proof, bytes | key, bytes | verify | record | predicted |", "| --- " + "| ---: " * 5 + "|"]
    lines += [f"| {name} | " + " | ".join(f"{value:,}" for value in values) + " |" for name, values, _ in rows]
    steps = ["| step | " + " | ".join(name for name, *_ in rows) + " |", "| --- " + "| ---: " * len(rows) + "|"]
    largest = sorted(rows[0][2], key=lambda step: -rows[0][2][step])
    steps += [f"| {step} | " + " | ".join(f"{gas[step]:,}" for *_, gas in rows) + " |" for step in largest]
    return ASHLAR + "\n".join(lines) + "\n" + STEPS + "\n".join(steps) + "\n"


def ashlar_row(
    chain: Chain, parts: Plan, home: Home, scratch: Path, example: Example, visibility: Visibility
) -> tuple[str, list[int], dict[str, int]]:
    """A model's name, its sizes and measured gas, and the predicted gas by step."""
    folder, at = scratch / f"{example.name}-{visibility}", parts.addresses
    compile_model(
        example.model,
        folder,
        engine=AshlarEngine(),
        home=home,
        calibration=example.calibration,
        options=CompileOptions(setup="insecure-dev", input_visibility=visibility),
    )
    circuit, inputs = Circuit.open(folder), {"image": example.images(1)[0][0]}
    ledger, registration = Ledger(chain, at["InferenceLedger"]), registration_of(circuit, fee=1000)
    listing = Registry(chain, at["ModelRegistry"]).register(registration)
    parties = {"consumer": "0x" + "cc" * 20, "prover": "0x" + "77" * 20, "requester": chain.address}
    gas = []
    for _ in range(2):
        request = request_for(
            circuit,
            inputs,
            listing=listing,
            expiry=chain.time() + 100_000,
            prover_fee=1000,
            owner_fee=1000,
            engine=AshlarEngine(),
            setup=home.setups.find_or_generate(circuit.manifest.program.setup_size, "insecure-dev").path,
            **parties,
        )
        ledger.request(request)
        context = context_of(request, chain.id, ledger.address)
        answer = answer_of(Prover(home=home).prove(circuit, inputs, context), request)
        program = chain.read("ModelRegistry", at["ModelRegistry"], "programOf", word(listing))
        statement = (context.hash, answer.inputs, list(answer.outputs), answer.proof)
        data = call_data(function_named("AshlarVerifier", "verify"), (program[6], program[4], program[3], *statement))
        gas = [used(chain.send(at["AshlarVerifier"], data, gas=GAS)), record(ledger, answer)]
    sizes = [len(answer.proof), len(registration.key)]
    estimate = read_estimate(folder)
    return f"{example.title}, {visibility} inputs", [*sizes, *gas, estimate.transaction], estimate.gas


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


def used(receipt: TxReceipt | None) -> int:
    """Gas of a transaction that was sent."""
    if receipt is None:
        sys.exit("nothing was sent: the chain has this already")
    return int(receipt["gasUsed"])


def table(steps: list[tuple[str, int]], bare: int) -> str:
    """Gas by step, and the difference from bare."""
    rows = [f"| {title} | {gas:,} | {gas - bare:+,} |" for title, gas in steps]
    return "\n".join(["| transaction | gas | more than bare |", "| --- | ---: | ---: |", *rows, ""])


def word(text: str) -> bytes:
    """32 bytes from hex."""
    return bytes.fromhex(text.removeprefix("0x"))


if __name__ == "__main__":
    main()
