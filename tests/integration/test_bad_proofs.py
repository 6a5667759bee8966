"""Real proofs, mangled by an attacker who signs everything flawlessly: none may be accepted."""

import itertools
import json
import subprocess
import sys

import pytest
from tests.integration import bench

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

Q = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
WORDS = 96
# What the engine says to many proofs, asked in one process that has nothing else to do.
JUDGE = """
import json, sys
from zkinfer.circuits.engines import ezkl_calls
from zkinfer.circuits.errors import ProofRejectedError
folder, setup, cases = json.load(sys.stdin)
verdicts = {}
for name, (proof, instances) in cases.items():
    try:
        ezkl_calls.verify(folder, setup, proof, instances)
        verdicts[name] = "accepted"
    except ProofRejectedError:
        verdicts[name] = "refused"
    except BaseException as err:
        verdicts[name] = type(err).__name__
json.dump(verdicts, sys.stdout)
"""


def judge(home, circuit, cases):
    spoken = {name: (proof.data.hex(), proof.instances) for name, proof in cases.items()}
    question = [str(circuit.folder), str(home.setups.insecure_dev(12).path), spoken]
    done = subprocess.run(
        [sys.executable, "-c", JUDGE],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


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


def word(proof, place):
    return int.from_bytes(proof.data[32 * place : 32 * place + 32], "big")


def with_word(proof, place, value):
    data = proof.data[: 32 * place] + value.to_bytes(32, "big") + proof.data[32 * place + 32 :]
    return Proof(data, proof.instances)


def with_instance(proof, place, value):
    return Proof(proof.data, (*proof.instances[:place], value, *proof.instances[place + 1 :]))


def test_honest_proof_is_accepted_and_has_the_length_tested_here(home, digits, honest, proof):
    assert len(proof.data) == 32 * WORDS
    assert judge(home, digits, {"honest": proof}) == {"honest": "accepted"}
    assert bench.verifier_of(home, bench.MODEL).verify(honest, bench.policy_of(digits))


def test_bit_flip_in_every_word_is_refused(home, digits, proof):
    bits = {f"word {place}, bit {7 * place % 256}": (place, 1 << 7 * place % 256) for place in range(WORDS)}
    cases = {name: with_word(proof, place, word(proof, place) ^ bit) for name, (place, bit) in bits.items()}
    assert set(judge(home, digits, cases).values()) == {"refused"}


def test_every_word_plus_a_modulus_is_refused(home, digits, proof):
    places = itertools.product(range(WORDS), (("r", field.MODULUS), ("q", Q)))
    sums = {f"word {place} + {name}": (place, word(proof, place) + modulus) for place, (name, modulus) in places}
    cases = {name: with_word(proof, place, value) for name, (place, value) in sums.items() if value < 1 << 256}
    assert len(cases) >= WORDS
    assert set(judge(home, digits, cases).values()) == {"refused"}


def test_zeroes_and_the_point_at_infinity_are_refused(home, digits, proof):
    cases = {f"zero {place}": with_word(proof, place, 0) for place in range(WORDS) if word(proof, place)}
    cases |= {
        f"infinity {place}": with_word(with_word(proof, place, 0), place + 1, 0)
        for place in range(0, WORDS, 2)
        if word(proof, place) or word(proof, place + 1)
    }
    assert set(judge(home, digits, cases).values()) == {"refused"}


def test_negated_points_are_refused(home, digits, proof):
    cases = {}
    for place in range(0, WORDS, 2):
        x, y = word(proof, place), word(proof, place + 1)
        if (y * y - x * x * x - 3) % Q == 0:
            cases[f"point {place}"] = with_word(proof, place + 1, Q - y)
    assert len(cases) >= 10
    assert set(judge(home, digits, cases).values()) == {"refused"}


def test_swapped_words_are_refused(home, digits, proof):
    cases = {}
    for first, second in ((0, 2), (1, 3), (44, 45), (46, 47), (92, 94), (0, WORDS - 1)):
        swapped = with_word(with_word(proof, first, word(proof, second)), second, word(proof, first))
        cases[f"{first} and {second}"] = swapped
    assert all(case.data != proof.data for case in cases.values())
    assert set(judge(home, digits, cases).values()) == {"refused"}


def test_every_public_value_plus_one_is_refused(home, digits, proof):
    cases = {
        f"instance {place}": with_instance(proof, place, (value + 1) % field.MODULUS)
        for place, value in enumerate(proof.instances)
    }
    assert len(cases) == digits.manifest.program.instance_count
    assert set(judge(home, digits, cases).values()) == {"refused"}


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
