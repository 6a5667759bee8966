"""The gas of Ashlar's verifier for the demo's models and three of the benchmark's: rows of docs/reference/gas.md.

A deployment for tests is measured, with the insecure setup, as the setup does not affect gas. The benchmark's models
have the recipes in `recipes/`, which the compiler found; without them it takes minutes to find them again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "contracts")]
from benchmarks import architectures  # noqa: E402

import canary  # noqa: E402 - a script beside the contracts, in no package
from zkinfer.chain import Answer, answer_of, context_of, registration_of, request_for  # noqa: E402
from zkinfer.circuits import Circuit, Home  # noqa: E402
from zkinfer.circuits.compile import CompileOptions, compile_model  # noqa: E402
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine  # noqa: E402
from zkinfer.circuits.engines.ashlar.files import read_estimate  # noqa: E402
from zkinfer.cli.demo.cases import DIGITS, LENET  # noqa: E402
from zkinfer.contracts.abi import call_data, function_named  # noqa: E402
from zkinfer.contracts.deploy import Governance, Plan, deploy, plan  # noqa: E402
from zkinfer.contracts.ledger import Ledger  # noqa: E402
from zkinfer.contracts.registry import Registry  # noqa: E402
from zkinfer.prover import Prover  # noqa: E402

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from zkinfer.circuits.engines.base import RunArguments
    from zkinfer.circuits.tensors import Visibility
    from zkinfer.contracts.chain import Chain

GAS: Final = 15_000_000
RECIPES: Final = ROOT / "benchmarks/recipes"
INTRO = """
## Ashlar

The demo's models, and larger networks of the benchmark, compiled with `--objective gas`. *Verify* calls
`AshlarVerifier` itself, from an account. *Record* is a transaction to the ledger, for prover and owner who have credit
already; a first answer costs 34,200 more. The last column is the prediction in the manifest. The gas of the calls alone
is in `contracts/snapshots/ashlar.json`.

"""
STEPS = """
By step, as predicted; the sum differs from the measurement by a few percent. The precompiles' part was read from the
trace of the transaction: it is 6,000 for a multiplication, 150 for an addition and 113,000 for the pairing.

"""


@dataclass(frozen=True, slots=True)
class Case:
    """A model to measure: one of the demo's, or one of `architectures` by name."""

    title: str
    visibility: Visibility
    architecture: str = ""

    def recipe(self) -> RunArguments | None:
        """The recipe of one of `architectures`; None for the compiler to search."""
        file = RECIPES / f"{self.architecture}.json"
        return json.loads(file.read_text()) if file.is_file() else None

    def prepare(self, folder: Path) -> tuple[Path, Path, dict[str, Any]]:
        """The model, its calibration samples, and one input by name."""
        for example in (DIGITS, LENET):
            if example.title == self.title:
                return example.model, example.calibration, {"image": example.images(1)[0][0]}
        model, calibration = folder / f"{self.architecture}.onnx", folder / f"{self.architecture}.npz"
        architectures.write(model, self.architecture)
        samples = architectures.samples(self.architecture, 64)
        np.savez(calibration, x=samples)
        return model, calibration, {"x": samples[0]}


CASES: Final = (
    Case(DIGITS.title, "public"),
    Case(LENET.title, "public"),
    Case(LENET.title, "hashed"),
    Case("ResNet-20 32x32x3", "hashed", "residual"),
    Case("14 layers, 3.4 million weights", "hashed", "credit"),
    Case("100 trees of depth 8", "public", "forest"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Bytes, measured gas, and the gas predicted by step, of a case."""

    title: str
    chunk_bits: int
    proof: int
    key: int
    verify: int
    record: int
    steps: dict[str, int]


def part(chain: Chain, scratch: Path) -> str:
    """The tables."""
    parts = plan(Governance(chain.address, (chain.address,), delay=0, test=True))
    deploy(chain, parts)
    home = Home(scratch / "home", setup_search=canary.setup_folders())
    rows = []
    for case in CASES:
        rows.append(measured(chain, parts, home, scratch, case))
        print(rows[-1], flush=True)
    return table(rows)


def table(rows: list[Row]) -> str:
    """Two tables: sizes and gas, and the gas by step."""
    lines = [
        "| model | chunks of | proof, bytes | key, bytes | verify | record | predicted |",
        "| --- " + "| ---: " * 6 + "|",
    ]
    for row in rows:
        figures = (row.proof, row.key, row.verify, row.record, sum(row.steps.values()))
        lines.append(f"| {row.title} | 2^{row.chunk_bits} | " + " | ".join(f"{value:,}" for value in figures) + " |")
    steps = ["| step | " + " | ".join(row.title for row in rows) + " |", "| --- " + "| ---: " * len(rows) + "|"]
    largest = sorted(rows[0].steps, key=lambda step: -rows[0].steps[step])
    steps += [f"| {step} | " + " | ".join(f"{row.steps[step]:,}" for row in rows) + " |" for step in largest]
    return INTRO + "\n".join(lines) + "\n" + STEPS + "\n".join(steps) + "\n"


def measured(chain: Chain, parts: Plan, home: Home, scratch: Path, case: Case) -> Row:
    """Compile, register and prove twice; from the second answer on, prover and owner have been paid before."""
    folder, at = scratch / f"{case.architecture or case.title}-{case.visibility}", parts.addresses
    model, calibration, inputs = case.prepare(scratch)
    options = CompileOptions(
        setup="insecure-dev", input_visibility=case.visibility, run_arguments=case.recipe(), objective="gas"
    )
    compile_model(model, folder, engine=AshlarEngine(), home=home, calibration=calibration, options=options)
    circuit, ledger = Circuit.open(folder), Ledger(chain, at["InferenceLedger"])
    registration = registration_of(circuit, fee=1000)
    listing = Registry(chain, at["ModelRegistry"]).register(registration)
    for _ in range(2):
        answer, context = answered(chain, home, circuit, listing, ledger, inputs)
        program = chain.read("ModelRegistry", at["ModelRegistry"], "programOf", bytes.fromhex(listing[2:]))
        statement = (context, answer.inputs, list(answer.outputs), answer.proof)
        data = call_data(function_named("AshlarVerifier", "verify"), (program[6], program[4], program[3], *statement))
        verify = used(chain.send(at["AshlarVerifier"], data, gas=GAS))
        record = used(ledger.record(*answer.posted, gas=GAS))
    estimate, program_size = read_estimate(folder), circuit.manifest.program.setup_size
    title = f"{case.title}, {case.visibility} inputs"
    return Row(title, program_size, len(answer.proof), len(registration.key), verify, record, estimate.gas)


def answered(
    chain: Chain, home: Home, circuit: Circuit, listing: str, ledger: Ledger, inputs: dict[str, Any]
) -> tuple[Answer, bytes]:
    """An answer to a new request, and the hash of its context."""
    size = circuit.manifest.program.setup_size
    request = request_for(
        circuit,
        inputs,
        listing=listing,
        consumer="0x" + "cc" * 20,
        prover="0x" + "77" * 20,
        requester=chain.address,
        expiry=chain.time() + 100_000,
        prover_fee=1000,
        owner_fee=1000,
        engine=AshlarEngine(),
        setup=home.setups.find_or_generate(size, "insecure-dev").path,
    )
    ledger.request(request)
    context = context_of(request, chain.id, ledger.address)
    return answer_of(Prover(home=home).prove(circuit, inputs, context), request), context.hash


def used(receipt: TxReceipt | None) -> int:
    """Gas of a transaction that was sent."""
    if receipt is None:
        sys.exit("nothing was sent: the chain has this already")
    return int(receipt["gasUsed"])
