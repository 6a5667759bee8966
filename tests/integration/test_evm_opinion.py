"""The contract that ezkl generates, as the second opinion on its proofs."""

from dataclasses import replace

import pytest
from tests.integration import bench

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import ProofRejectedError
from zkinfer.cli.evm_opinion import EvmVerifier
from zkinfer.verifier import OpinionsDifferError, Trusted, Verifier

pytestmark = pytest.mark.slow


class Credulous(EzklEngine):
    """It accepts every proof."""

    def verify(self, *_):
        pass


@pytest.fixture(scope="module")
def evm():
    return EvmVerifier()


@pytest.fixture(scope="module")
def opinion(evm, digits, honest):
    """Ask the contract about the honest proof with a change."""
    proof = bench.proof_of(honest)

    def ask(*, data=None, **statement):
        changed = replace(proof, data=data or proof.data, statement=replace(proof.statement, **statement))
        evm.verify(EzklEngine().evm_key(digits.folder), digits.manifest.program.layout, changed)

    return ask


def test_honest_proof_is_accepted_by_both(evm, home, digits, honest):
    trusted = Trusted.of([bench.MODEL], home.setups, home.rebuilt)
    steps = []
    verifier = Verifier(trusted=trusted, second_opinion=True, independent={"ezkl": evm})
    verifier.verify(honest, bench.policy_of(digits), observer=steps.append)
    assert steps[6].detail == f"{EzklEngine().id} and the generated EVM verifier"


def test_proof_that_only_one_of_both_accepts_is_refused(evm, home, digits, honest):
    statement = honest.predicate.statement
    lie = replace(statement, outputs=(statement.outputs[0] + 1, *statement.outputs[1:]))
    forged = bench.attacker_signs(digits, replace(bench.proof_of(honest), statement=lie))
    engine = Credulous()
    trusted = Trusted.of([bench.MODEL], home.setups, home.rebuilt, {engine.id: engine})
    verifier = Verifier(trusted=trusted, second_opinion=True, independent={"ezkl": evm})
    with pytest.raises(OpinionsDifferError, match=r"the generated EVM verifier rejects it: .*ProofRejected"):
        verifier.verify(forged, bench.policy_of(digits))


def test_altered_output_is_rejected(opinion, honest):
    outputs = honest.predicate.statement.outputs
    with pytest.raises(ProofRejectedError, match="ProofRejected"):
        opinion(outputs=(outputs[0] + 1, *outputs[1:]))


def test_altered_input_context_and_proof_are_rejected(opinion, honest):
    statement, proof = honest.predicate.statement, bytearray(honest.proof)
    proof[100] ^= 1
    for change in ({"inputs": bytes(len(statement.inputs))}, {"context": bytes(32)}, {"data": bytes(proof)}):
        with pytest.raises(ProofRejectedError):
            opinion(**change)


@pytest.mark.parametrize("change", [lambda proof: b"\0", lambda proof: proof[:-32], lambda proof: proof + bytes(32)])
def test_proof_of_another_length_is_rejected(opinion, honest, change):
    with pytest.raises(ProofRejectedError):
        opinion(data=change(honest.proof))


def test_output_out_of_range_is_rejected(opinion, honest):
    with pytest.raises(ProofRejectedError, match="OutputOutOfRange"):
        opinion(outputs=(1 << 63, *honest.predicate.statement.outputs[1:]))
