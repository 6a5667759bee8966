"""Circuits with hidden inputs and the real engine: what a proof reveals, and what it still binds."""

import pytest
from tests.integration import bench
from tests.integration.corpus import stating, with_limb, with_output

from zkinfer.circuits import CompileOptions, Context, Home, compile_model
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.prover import Prover
from zkinfer.verifier import (
    CircuitMismatchError,
    ContextMismatchError,
    InputMismatchError,
    InvalidProofError,
    claimed_tensors,
)

OTHER_REQUEST = Context.model_validate({"requestId": "0x" + "a5" * 32})


@pytest.fixture(scope="session", params=["hashed", "private"])
def hidden(request, run_folder, home):
    """The demo's model, compiled with hidden inputs."""
    arguments = bench.GOLDEN_ARGUMENTS | {"input_visibility": request.param}
    options = CompileOptions(setup="insecure-dev", input_visibility=request.param, run_arguments=arguments)
    engine, folder = EzklEngine(), run_folder / f"{request.param}.circuit"
    return compile_model(
        bench.MODEL, folder, engine=engine, home=home, calibration=bench.CALIBRATION, options=options
    ).circuit


@pytest.fixture(scope="session")
def attestation(hidden, home):
    return Prover(home=home).prove(hidden, bench.image(0), bench.CONTEXT)


@pytest.fixture
def verifier(home):
    return bench.verifier_of(home, bench.MODEL)


def visibility(circuit):
    return circuit.manifest.recipe.input_visibility


def tampered(proof):
    """Every public value of a hidden circuit changed, one at a time."""
    for place, value in enumerate(proof.statement.outputs):
        yield with_output(proof, place, value + 1)
    for place in range(5):
        yield with_limb(proof, place)
    for place in range(len(proof.statement.inputs) // 32):
        digest = bytearray(proof.statement.inputs)
        digest[32 * place + 31] ^= 1
        yield stating(proof, inputs=bytes(digest))
    if proof.statement.inputs:  # the context digest of the engine
        yield Proof(proof.data[:31] + bytes([proof.data[31] ^ 1]) + proof.data[32:], proof.statement)


def test_hidden_input_is_proven_and_verified(hidden, attestation, verifier, digits, home):
    inference = verifier.verify(attestation, bench.policy_of(hidden))
    shown = Prover(home=home).prove(digits, bench.image(0))
    assert inference.inputs == {}
    assert inference.outputs["logits"].tolist() == claimed_tensors(shown.predicate, "output")["logits"].tolist()


def test_attestation_holds_no_value_of_the_hidden_image(hidden, attestation):
    assert len(attestation.predicate.statement.inputs) == (32 if visibility(hidden) == "hashed" else 0)
    assert claimed_tensors(attestation.predicate, "input") == {}


def test_expected_input_is_compared_by_digest_or_refused(hidden, attestation, verifier):
    policy = bench.policy_of(hidden)
    if visibility(hidden) == "hashed":
        assert verifier.verify(attestation, policy, expected_inputs=bench.image(0)).on_expected_input
    else:
        with pytest.raises(InputMismatchError, match="inputs are private, so they cannot be compared"):
            verifier.verify(attestation, policy, expected_inputs=bench.image(0))


def test_other_expected_input_is_refused(hidden, attestation, verifier):
    with pytest.raises(InputMismatchError, match=r"'image'|are private"):
        verifier.verify(attestation, bench.policy_of(hidden), expected_inputs=bench.image(1))


def test_replay_for_another_request_is_refused(hidden, attestation, verifier):
    forged = bench.attacker_signs(hidden, bench.proof_of(attestation), OTHER_REQUEST)
    with pytest.raises(ContextMismatchError, match="made for another request"):
        verifier.verify(forged, bench.policy_of(hidden))


def test_every_public_value_of_a_hidden_circuit_is_bound(hidden, attestation, verifier):
    for proof in tampered(bench.proof_of(attestation)):
        altered = proof.statement.context != bench.CONTEXT.hash
        forged = bench.attacker_signs(hidden, proof)
        with pytest.raises(InvalidProofError, match="does not hold"):
            verifier.verify(forged, bench.policy_of(hidden))
        assert altered or forged.predicate.public_context == "0x" + bench.CONTEXT.hash.hex()


def test_proof_of_a_hidden_circuit_is_invalid_for_the_public_one(hidden, attestation, verifier, digits):
    forged = bench.attacker_signs(digits, bench.proof_of(attestation))
    with pytest.raises(Exception, match=r"outputs|inputs|length") as refusal:
        verifier.verify(forged, bench.policy_of(digits))
    assert refusal.type.__name__ in ("LayoutMismatchError", "ProofLengthError")


def test_recipe_that_claims_public_inputs_is_another_circuit(hidden, attestation, verifier):
    """The claim of public inputs is checked by building such a circuit."""
    manifest = hidden.manifest
    arguments = manifest.recipe.run_arguments | {"input_visibility": "public"}
    recipe = manifest.recipe.model_copy(update={"input_visibility": "public", "run_arguments": arguments})
    lying = type(hidden)(hidden.folder, manifest.model_copy(update={"recipe": recipe}))
    with pytest.raises(CircuitMismatchError, match="verifying key"):
        verifier.verify(bench.attacker_signs(lying, bench.proof_of(attestation)), bench.policy_of(hidden))


def test_foreign_circuit_is_rebuilt_before_it_gets_an_input(hidden, tmp_path):
    """A home without keys has not verified the folder, and rebuilds it before proving."""
    stranger = Home(tmp_path / "home")
    attestation = Prover(home=stranger).prove(hidden, bench.image(2))
    assert bench.verifier_of(stranger, bench.MODEL).verify(attestation, bench.policy_of(hidden)).inputs == {}
    assert [key.name for key in (stranger.keys).iterdir()] == [hidden.digest.hex]
