"""Two verifiers of proofs to compare: the Python verifier and the contracts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.integration import bench

from zkinfer.chain import registration_of
from zkinfer.circuits.engines.ezkl.instances import instances_of
from zkinfer.contracts import EZKL_SELECTOR
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.registry import Registry
from zkinfer.verifier import RefusedError, Verifier

if TYPE_CHECKING:
    from tests.integration.corpus import Cases

    from zkinfer.circuits import Circuit, Home
    from zkinfer.circuits.engines.base import Proof
    from zkinfer.circuits.statement import Layout
    from zkinfer.contracts.chain import Chain

Verdicts = dict[str, str]
_REFUSALS: Final = tuple(
    f"The contract refused: {name}("
    for name in ("ProofRejected", "InputLengthMismatch", "OutputCountMismatch", "OutputOutOfRange")
)
# Let the engine verify many proofs in one separate process.
_ENGINE: Final = """
import json, sys
from zkinfer.circuits.engines.ezkl import worker
from zkinfer.circuits.errors import ProofRejectedError
folder, setup, cases = json.load(sys.stdin)
verdicts = {}
for name, (proof, instances) in cases.items():
    try:
        worker.verify(folder, setup, proof, instances)
        verdicts[name] = "accepted"
    except ProofRejectedError:
        verdicts[name] = "refused"
    except BaseException as err:
        verdicts[name] = type(err).__name__
json.dump(verdicts, sys.stdout)
"""


class Auditor:
    """The Python verifier: the engine alone for proofs of the circuit's shape, all steps for others.

    Malformed proofs never reach the engine; to show this, they go through the whole verifier, in an attestation signed
    by the attacker.
    """

    def __init__(self, home: Home, circuit: Circuit) -> None:
        self._home = home
        self._circuit = circuit
        self._verifier: Verifier = bench.verifier_of(home, bench.MODEL)

    def verdicts(self, cases: Cases) -> Verdicts:
        """For every case `accepted`, `refused`, or the name of an unexpected error."""
        shaped = {name: proof for name, proof in cases.items() if self._is_shaped(proof)}
        others = {name: proof for name, proof in cases.items() if name not in shaped}
        return {**self._by_engine(shaped), **{name: self._by_steps(proof) for name, proof in others.items()}}

    def _is_shaped(self, proof: Proof) -> bool:
        manifest = self._circuit.manifest
        return (
            len(proof.data) == manifest.keys.proof_bytes
            and len(proof.statement.inputs) == manifest.program.layout.input_bytes
            and len(proof.statement.outputs) == manifest.program.layout.outputs
        )

    def _by_engine(self, cases: Cases) -> Verdicts:
        program = self._circuit.manifest.program
        spoken = {name: spoken_to_ezkl(proof, program.layout) for name, proof in cases.items()}
        setup = self._home.setups.insecure_dev(program.setup_size)
        done = subprocess.run(
            [sys.executable, "-c", _ENGINE],
            input=json.dumps([str(self._circuit.folder), str(setup.path), spoken]),
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        found: Verdicts = json.loads(done.stdout)
        return found

    def _by_steps(self, proof: Proof) -> str:
        attestation = bench.attacker_signs(self._circuit, proof)
        try:
            self._verifier.verify(attestation.to_bytes(), bench.policy_of(self._circuit))
        except RefusedError:
            return "refused"
        return "accepted"


def spoken_to_ezkl(proof: Proof, layout: Layout) -> tuple[str, list[int]]:
    """Proof and public values as the engine's verify function expects them."""
    data, instances = instances_of(proof.statement, proof.data, layout)
    return data.hex(), instances


class Contracts:
    """The contracts, called like the ledger calls them: router, emergency stop, adapter, generated verifier."""

    def __init__(self, chain: Chain, circuit: Circuit) -> None:
        parts = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
        deploy(chain, parts)
        at = parts.addresses
        listing = Registry(chain, at["ModelRegistry"]).register(registration_of(circuit))
        program = chain.read("ModelRegistry", at["ModelRegistry"], "programOf", bytes.fromhex(listing[2:]))
        self._chain, self._router = chain, at["VerifierRouter"]
        self._layout, self._key, self._digest = program[3], program[4], program[6]

    def verdicts(self, cases: Cases) -> Verdicts:
        """For every case `accepted`, `refused`, or any other answer of the contract."""
        return {name: self._verdict(proof) for name, proof in cases.items()}

    def _verdict(self, proof: Proof) -> str:
        stated = proof.statement
        statement = (self._layout, stated.context, stated.inputs, list(stated.outputs))
        arguments = (EZKL_SELECTOR, self._digest, self._key, *statement, proof.data)
        try:
            self._chain.read("VerifierRouter", self._router, "verify", *arguments)
        except RevertedError as err:
            return "refused" if err.cause.startswith(_REFUSALS) else err.cause
        return "accepted"
