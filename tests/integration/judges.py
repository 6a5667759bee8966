"""Verifiers of proofs to compare: all steps of the verifier, an independent implementation, and the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.integration import bench
from tests.unit.verifier import forge

from zkinfer.chain import registration_of
from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import ProofRejectedError
from zkinfer.circuits.statement import OUTPUT_LIMIT, Statement
from zkinfer.cli.evm_opinion import EvmVerifier
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.registry import Registry
from zkinfer.verifier import AllOf, EngineIs, RefusedError, Trusted, Verifier, ashlar
from zkinfer.verifier.statement import output_digest, to_base64

if TYPE_CHECKING:
    from tests.integration.corpus import Cases

    from zkinfer.circuits import Circuit, Home
    from zkinfer.circuits.statement import Layout
    from zkinfer.contracts.chain import Chain
    from zkinfer.verifier.opinions import IndependentVerifier

ENGINES: Final[dict[str, type[EzklEngine | AshlarEngine]]] = {"ezkl": EzklEngine, "ashlar": AshlarEngine}
Verdicts = dict[str, str]
"""For every case `accepted`, `refused`, or another answer, which nobody expects."""
_REFUSALS: Final = tuple(
    f"The contract refused: {name}("
    for name in ("ProofRejected", "InputLengthMismatch", "OutputCountMismatch", "OutputOutOfRange")
)


class RealEngine:
    """The engine alone, as step 7 asks it, also about proofs that the earlier steps refuse."""

    def __init__(self, home: Home, circuit: Circuit) -> None:
        self._circuit, self._engine = circuit, ENGINES[engine_of(circuit)]()
        self._setup = home.setups.insecure_dev(circuit.manifest.program.setup_size).path

    def verdicts(self, cases: Cases) -> Verdicts:
        return {name: self._verdict(proof) for name, proof in cases.items()}

    def _verdict(self, proof: Proof) -> str:
        try:
            self._engine.verify(self._circuit.folder, self._circuit.manifest.program, self._setup, proof)
        except ProofRejectedError:
            return "refused"
        return "accepted"


class Auditor:
    """`Verifier.verify` of the demo's model, given an attestation of each proof that the attacker signed correctly."""

    def __init__(self, home: Home, circuit: Circuit) -> None:
        self._circuit = circuit
        self._verifier = Verifier(trusted=Trusted.of([bench.MODEL], home.setups, home.rebuilt))
        self._policy = AllOf(*bench.policy_of(circuit).policies, EngineIs(engine_of(circuit)))

    def verdicts(self, cases: Cases) -> Verdicts:
        return {name: self._verdict(proof) for name, proof in cases.items()}

    def _verdict(self, proof: Proof) -> str:
        try:
            self._verifier.verify(attested(self._circuit, proof), self._policy)
        except RefusedError:
            return "refused"
        return "accepted"


def attested(circuit: Circuit, proof: Proof) -> bytes:
    """The attestation of any statement; `Attestation.create` refuses those that cannot be written in one."""
    honest = bench.attacker_signs(circuit, Proof(proof.data, Statement(proof.statement.context, b"", (0,))))
    document, stated = forge.taken_over(forge.statement(honest)), proof.statement
    document["predicate"] |= {
        "publicInputs": to_base64(stated.inputs),
        "publicOutputs": [str(value) for value in stated.outputs],
    }
    if all(abs(value) < OUTPUT_LIMIT for value in stated.outputs):
        document["subject"][0]["digest"]["sha256"] = output_digest(stated.outputs)
    data: bytes = forge.signed(document)
    return data


class SecondOpinion:
    """The implementation that `--second-opinion` asks beside the engine, asked alone about every case."""

    def __init__(self, circuit: Circuit) -> None:
        engine = ENGINES[engine_of(circuit)]()
        self._asked: IndependentVerifier = EvmVerifier() if engine_of(circuit) == "ezkl" else PythonVerifier()
        self._key, self._layout = engine.evm_key(circuit.folder), circuit.manifest.program.layout

    def verdicts(self, cases: Cases) -> Verdicts:
        return {name: self._verdict(proof) for name, proof in cases.items()}

    def _verdict(self, proof: Proof) -> str:
        try:
            self._asked.verify(self._key, self._layout, proof)
        except ProofRejectedError:
            return "refused"
        return "accepted"


class PythonVerifier:
    """Ashlar's verifier in Python."""

    name = "the independent verifier"

    def verify(self, key: bytes, _: Layout, proof: Proof) -> None:
        stated = proof.statement
        ashlar.verify(key, stated.context, stated.inputs, stated.outputs, proof.data)


class Contracts:
    """The contracts, called like the ledger calls them: router, emergency stop, verifier of the engine."""

    def __init__(self, chain: Chain, circuit: Circuit) -> None:
        parts = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
        deploy(chain, parts)
        at, registration = parts.addresses, registration_of(circuit)
        listing = Registry(chain, at["ModelRegistry"]).register(registration)
        program = chain.read("ModelRegistry", at["ModelRegistry"], "programOf", bytes.fromhex(listing[2:]))
        self.chain, self.router = chain, at["VerifierRouter"]
        self.selector, self.digest, self.key, self.layout = registration.selector, program[6], program[4], program[3]

    def verdicts(self, cases: Cases) -> Verdicts:
        return {name: self._verdict(proof) for name, proof in cases.items()}

    def _verdict(self, proof: Proof) -> str:
        cause = self.refusal(proof)
        return "accepted" if not cause else "refused" if cause.startswith(_REFUSALS) else cause

    def refusal(self, proof: Proof, **changes: object) -> str:
        """The router's error about a proof; empty if it accepts it. Changes replace selector, digest, key or layout."""
        stated = proof.statement
        call = {"selector": self.selector, "digest": self.digest, "key": self.key, "layout": self.layout} | changes
        statement = (stated.context, stated.inputs, list(stated.outputs), proof.data)
        try:
            self.chain.read("VerifierRouter", self.router, "verify", *call.values(), *statement)
        except RevertedError as err:
            return err.cause
        return ""


def engine_of(circuit: Circuit) -> str:
    """The name of the circuit's engine."""
    return circuit.manifest.recipe.engine.partition("/")[0]
