"""Real proofs, changed by an attacker who signs correctly: none may be accepted."""

import pytest
from tests.integration import bench
from tests.integration.corpus import stating, with_output, with_word, word

from zkinfer.circuits.engines.base import Proof
from zkinfer.verifier import (
    CircuitMismatchError,
    ContextMismatchError,
    InvalidProofError,
    LayoutMismatchError,
    MalformedAttestationError,
    ProofLengthError,
    RefusedError,
    UnknownModelError,
    UntrustedSetupError,
    ValueRangeError,
)

WORDS = 96


@pytest.fixture(scope="module")
def proof(honest):
    return bench.proof_of(honest)


@pytest.fixture
def refusal(home, digits):
    """The error with which the verifier refuses a proof signed by the attacker."""
    verifier = bench.verifier_of(home, bench.MODEL)

    def refuse(proof, context=bench.CONTEXT, circuit=digits):
        attestation = bench.attacker_signs(circuit, proof, context)
        with pytest.raises(RefusedError) as caught:
            verifier.verify(attestation.to_bytes(), bench.policy_of(digits))
        return caught.value

    return refuse


def test_honest_proof_is_accepted_and_has_the_expected_length(home, digits, honest, proof):
    assert len(proof.data) == 32 * WORDS
    assert bench.verifier_of(home, bench.MODEL).verify(honest, bench.policy_of(digits))


@pytest.mark.parametrize("place", [0, 1, 43, 44, 70, 92, 95])
def test_flipped_bit_is_an_invalid_proof(refusal, proof, place):
    error = refusal(with_word(proof, place, word(proof, place) ^ 1))
    assert type(error) is InvalidProofError
    assert error.step.number == 7


@pytest.mark.parametrize("change", [-3072, -32, -1, 1, 32, 64])
def test_proof_of_the_wrong_length_is_refused(refusal, proof, change):
    data = proof.data + bytes(change) if change > 0 else proof.data[:change]
    assert type(refusal(Proof(data, proof.statement))) in (ProofLengthError, MalformedAttestationError)


def test_proof_of_another_inference_is_refused(refusal, proof, other):
    assert type(refusal(Proof(proof.data, bench.proof_of(other).statement))) is InvalidProofError
    assert type(refusal(Proof(bench.proof_of(other).data, proof.statement))) is InvalidProofError


@pytest.mark.parametrize(("first", "second"), [(0, 1), (8, 9)])
def test_swapped_outputs_are_refused(refusal, proof, first, second):
    outputs = proof.statement.outputs
    assert outputs[first] != outputs[second]
    forged = with_output(with_output(proof, first, outputs[second]), second, outputs[first])
    assert type(refusal(forged)) is InvalidProofError


@pytest.mark.parametrize("count", [1, 9, 11])
def test_wrong_number_of_outputs_is_refused(refusal, proof, count):
    forged = stating(proof, outputs=(*proof.statement.outputs, 0)[:count])
    assert type(refusal(forged)) is LayoutMismatchError


@pytest.mark.parametrize("size", [0, 255, 260])
def test_wrong_length_of_inputs_is_refused(refusal, proof, size):
    forged = stating(proof, inputs=(proof.statement.inputs + bytes(4))[:size])
    assert type(refusal(forged)) is LayoutMismatchError


def test_output_beyond_the_range_of_the_circuit_is_refused(refusal, proof):
    assert type(refusal(with_output(proof, 9, 1 << 60))) in (InvalidProofError, ValueRangeError)


def test_replay_for_another_request_is_refused(refusal, proof):
    replayed = bench.CONTEXT.model_copy(update={"request_id": "0x" + "6b" * 32})
    assert type(refusal(proof, replayed)) is ContextMismatchError


def test_context_rewritten_for_another_request_is_refused(refusal, proof):
    replayed = bench.CONTEXT.model_copy(update={"request_id": "0x" + "6b" * 32})
    assert type(refusal(stating(proof, context=replayed.hash), replayed)) is InvalidProofError


def disguised(circuit, **changes):
    """The circuit with another claim in its manifest."""
    manifest = circuit.manifest.model_copy(update=changes)
    return type(circuit)(circuit.folder, manifest)


def test_circuit_of_a_model_unknown_to_the_auditor_is_refused(refusal, digits, proof):
    identity = digits.manifest.identity.model_copy(update={"model": "sha256:" + "0" * 64})
    assert type(refusal(proof, circuit=disguised(digits, identity=identity))) is UnknownModelError


def test_verifying_key_of_another_circuit_is_refused(refusal, digits, proof):
    identity = digits.manifest.identity.model_copy(update={"verifying_key": "keccak256:" + "0" * 64})
    assert type(refusal(proof, circuit=disguised(digits, identity=identity))) is CircuitMismatchError


def test_recipe_without_enough_range_checks_is_refused(refusal, digits, proof):
    recipe = digits.manifest.recipe
    arguments = {**recipe.run_arguments, "decomp_legs": 2}
    error = refusal(proof, circuit=disguised(digits, recipe=recipe.model_copy(update={"run_arguments": arguments})))
    assert isinstance(error, RefusedError)
    assert error.step.number == 4


@pytest.mark.parametrize("name", ["ignore_range_check_inputs_outputs", "bounded_log_lookup"])
def test_recipe_with_a_range_check_removed_is_refused(refusal, digits, proof, name):
    recipe = digits.manifest.recipe
    arguments = {**recipe.run_arguments, name: True}
    error = refusal(proof, circuit=disguised(digits, recipe=recipe.model_copy(update={"run_arguments": arguments})))
    assert error.step.number == 4


def test_dev_proof_under_the_name_of_a_real_ceremony_is_refused(refusal, digits, proof):
    setup = digits.manifest.recipe.setup.model_copy(update={"ceremony": "hermez"})
    recipe = digits.manifest.recipe.model_copy(update={"setup": setup})
    assert type(refusal(proof, circuit=disguised(digits, recipe=recipe))) is UntrustedSetupError
