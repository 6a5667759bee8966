"""Real proofs, mangled by an attacker who signs everything flawlessly: none may be accepted."""

import pytest
from tests.integration import bench, corpus
from tests.integration.corpus import with_instance, with_word, word
from tests.integration.judges import Auditor

from zkinfer.circuits import field
from zkinfer.circuits.engines.base import Proof
from zkinfer.verifier import (
    CircuitMismatchError,
    ContextMismatchError,
    InstanceCountError,
    InvalidProofError,
    MalformedAttestationError,
    NonCanonicalInstanceError,
    ProofLengthError,
    RefusedError,
    UnknownModelError,
    UntrustedSetupError,
    ValueRangeError,
)

WORDS = 96
# Words of real proofs may be zero, or no points; so many cases there are at least.
LEAST = {
    "a bit flipped in every word": WORDS,
    "every word plus either modulus": WORDS,
    "every word zeroed": 80,
    "every pair of words the point at infinity": 40,
    "every point negated": 10,
    "words swapped": 6,
    "cut or extended": 6,
    "proof and public values of two inferences": 2,
    "every public value plus one": 79,
    "every public value plus the modulus": 79,
    "public values swapped": 3,
    "public values missing or added": 3,
}


@pytest.fixture(scope="module")
def proof(honest):
    return bench.proof_of(honest)


@pytest.fixture
def refusal(home, digits):
    """How the verifier refuses a proof that the attacker has signed."""
    verifier = bench.verifier_of(home, bench.MODEL)

    def refuse(proof, context=bench.CONTEXT, circuit=digits):
        attestation = bench.attacker_signs(circuit, proof, context)
        with pytest.raises(RefusedError) as caught:
            verifier.verify(attestation.to_bytes(), bench.policy_of(digits))
        return caught.value

    return refuse


def test_honest_proof_is_accepted_and_has_the_length_tested_here(home, digits, honest, proof):
    assert len(proof.data) == 32 * WORDS
    assert Auditor(home, digits).verdicts({"honest": proof}) == {"honest": "accepted"}
    assert bench.verifier_of(home, bench.MODEL).verify(honest, bench.policy_of(digits))


@pytest.mark.parametrize("kind", corpus.KINDS)
def test_every_case_of_the_corpus_is_refused(home, digits, proof, other, kind):
    cases = corpus.KINDS[kind](proof, bench.proof_of(other))
    assert len(cases) >= LEAST[kind]
    assert proof not in cases.values()
    assert set(Auditor(home, digits).verdicts(cases).values()) == {"refused"}


# --- through the verifier, which must name the right reason


@pytest.mark.parametrize("place", [0, 1, 43, 44, 70, 92, 95])
def test_flipped_bit_is_an_invalid_proof(refusal, proof, place):
    error = refusal(with_word(proof, place, word(proof, place) ^ 1))
    assert type(error) is InvalidProofError
    assert error.step.number == 7


@pytest.mark.parametrize("change", [-3072, -32, -1, 1, 32, 64])
def test_proof_of_another_length_is_refused(refusal, proof, change):
    data = proof.data + bytes(change) if change > 0 else proof.data[:change]
    assert type(refusal(Proof(data, proof.instances))) in (ProofLengthError, MalformedAttestationError)


def test_proof_of_another_inference_is_refused(refusal, proof, other):
    assert type(refusal(Proof(proof.data, bench.proof_of(other).instances))) is InvalidProofError
    assert type(refusal(Proof(bench.proof_of(other).data, proof.instances))) is InvalidProofError


@pytest.mark.parametrize(("first", "second"), [(69, 70), (77, 78), (5, 69)])
def test_swapped_public_values_are_refused(refusal, proof, first, second):
    values = list(proof.instances)
    assert values[first] != values[second]
    values[first], values[second] = values[second], values[first]
    assert type(refusal(Proof(proof.data, tuple(values)))) is InvalidProofError


@pytest.mark.parametrize("place", [0, 5, 78])
def test_public_value_plus_the_modulus_is_refused(refusal, proof, place):
    error = refusal(with_instance(proof, place, proof.instances[place] + field.MODULUS))
    assert type(error) is NonCanonicalInstanceError


@pytest.mark.parametrize("count", [1, 78, 80])
def test_other_number_of_public_values_is_refused(refusal, proof, count):
    values = (*proof.instances, 0)[:count]
    assert type(refusal(Proof(proof.data, values))) is InstanceCountError


def test_output_beyond_the_circuit_is_refused(refusal, proof):
    error = refusal(with_instance(proof, 78, field.encode(1 << 60)))
    assert type(error) in (InvalidProofError, ValueRangeError)


def test_replay_for_another_request_is_refused(refusal, proof):
    replayed = bench.CONTEXT.model_copy(update={"request_id": "0x" + "6b" * 32})
    assert type(refusal(proof, replayed)) is ContextMismatchError


def test_context_limbs_rewritten_for_another_request_are_refused(refusal, proof):
    replayed = bench.CONTEXT.model_copy(update={"request_id": "0x" + "6b" * 32})
    forged = Proof(proof.data, (*replayed.limbs, *proof.instances[5:]))
    assert type(refusal(forged, replayed)) is InvalidProofError


def disguised(circuit, **changes):
    """The circuit, its manifest claiming something else."""
    manifest = circuit.manifest.model_copy(update=changes)
    return type(circuit)(circuit.folder, manifest)


def test_circuit_of_a_model_the_auditor_lacks_is_refused(refusal, digits, proof):
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
def test_recipe_with_a_check_removed_is_refused(refusal, digits, proof, name):
    recipe = digits.manifest.recipe
    arguments = {**recipe.run_arguments, name: True}
    error = refusal(proof, circuit=disguised(digits, recipe=recipe.model_copy(update={"run_arguments": arguments})))
    assert error.step.number == 4


def test_dev_proof_called_a_real_ceremonys_is_refused(refusal, digits, proof):
    setup = digits.manifest.recipe.setup.model_copy(update={"ceremony": "hermez"})
    recipe = digits.manifest.recipe.model_copy(update={"setup": setup})
    assert type(refusal(proof, circuit=disguised(digits, recipe=recipe))) is UntrustedSetupError
