import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.unit.circuits import factories
from tests.unit.circuits.factories import X, engine_failing_at, engine_with, everything_under, rewritten

from zkinfer.circuits import Circuit, Context, Digest, Home, compile_model
from zkinfer.circuits import home as user_home
from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import (
    AnswerMismatchError,
    CircuitError,
    DataError,
    EngineError,
    ProofRejectedError,
    RangeError,
    SetupError,
)
from zkinfer.prover import Prover
from zkinfer.prover.quantised_inputs import integers_digest
from zkinfer.verifier import (
    AllOf,
    ContextMismatchError,
    ModelFileIs,
    RefusedError,
    SigningKey,
    Trusted,
    UnsafeAcceptDevSetup,
    Verifier,
)

FAKE = FakeEngine()
OWNER = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
REQUEST = Context(chainId=31337, requestId="0x" + "11" * 32)

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def prove(tiny):
    """Prove with the fake engine or another; further options go to the prover."""

    def call(inputs=None, context=None, *, engine=FAKE, circuit=None, home=tiny.home, **options):
        prover = Prover(home=home, engines={"fake/1": engine}, clock=lambda: NOON, **options)
        return prover.prove(circuit or tiny.circuit, {"x": X} if inputs is None else inputs, context)

    return call


@pytest.fixture
def verify(tiny):
    """Verify as an auditor who trusts only the model."""
    trusted = Trusted.of(
        [tiny.model],
        tiny.home.setups,
        tiny.folder / "cache",
        engines={"fake/1": FAKE},
        unsafe_accept_fake_engine=True,
    )
    policy = AllOf(ModelFileIs(tiny.circuit.manifest.identity.model), UnsafeAcceptDevSetup())
    return lambda attestation, **options: Verifier(trusted=trusted).verify(attestation, policy, **options)


def with_outputs(change):
    """A function that replaces the outputs of a proof."""
    return lambda proof: replace(proof, statement=replace(proof.statement, outputs=change(proof.statement.outputs)))


def lying(change):
    """An engine whose proofs are changed by `change`."""
    return engine_with(prove=lambda *arguments: change(FAKE.prove(*arguments)))


# --- proofs


def test_attestation_is_verified_independently(prove, verify):
    inference = verify(prove().to_bytes(), expected_inputs={"x": X})
    assert inference.on_expected_input
    assert inference.inputs["x"].tolist() == X.tolist()
    assert inference.outputs["y"] == pytest.approx(X @ [[1, -1], [0.5, 2], [-0.25, 1]] + [0.5, 0], abs=1 / 256)


@pytest.mark.parametrize("x", [X, X[0], X.astype(np.float64), X.ravel(), np.array([[1, 2, 3]])], ids=str)
def test_input_in_any_acceptable_form_is_proven(prove, verify, x):
    assert verify(prove({"x": x})).inputs["x"].ravel().tolist() == np.ravel(x).tolist()


def test_context_is_the_requested_one(prove, verify):
    assert verify(prove(context=REQUEST)).context == REQUEST


def test_context_without_a_request_is_fresh_each_time(prove, verify):
    first, second = verify(prove()).context, verify(prove()).context
    assert first.request_id != second.request_id
    assert first.chain_id == 0


def test_attestation_names_a_given_key(prove, verify):
    inference = verify(prove(key=OWNER))
    assert (inference.signer, inference.ephemeral) == (OWNER.public.fingerprint, False)


def test_attestation_without_a_key_is_ephemeral_and_signed_by_a_new_one(prove, verify):
    first, second = verify(prove()), verify(prove())
    assert first.ephemeral
    assert first.signer != second.signer


def test_time_is_that_of_the_clock(prove, verify):
    assert verify(prove()).created_at == NOON


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_non_public_inputs_stay_out_of_the_attestation(tiny, prove, verify, tmp_path, visibility):
    options = replace(factories.DEV, input_visibility=visibility)
    out = tmp_path / "circuit"
    circuit = compile_model(tiny.model, out, engine=FAKE, home=tiny.home, options=options).circuit
    attestation = prove(circuit=circuit, context=REQUEST)
    assert len(attestation.predicate.statement.inputs) == (32 if visibility == "hashed" else 0)
    assert verify(attestation).inputs == {}


# --- side effects


def test_stages_are_reported_to_timings_and_observer(tiny):
    seen, timings = [], {}

    class Observer:
        def progress(self, stage, fraction):
            seen.append((stage, fraction))

    prover = Prover(home=tiny.home, engines={"fake/1": FAKE})
    prover.prove(tiny.circuit, {"x": X}, observer=Observer(), timings=timings)
    assert seen == [("keys", 0.0), ("keys", 1.0), ("prove", 0.0), ("prove", 1.0)]
    assert set(timings) == {"keys", "prove"}


def test_proving_leaves_nothing_but_the_key(prove, tiny, tmp_path, monkeypatch):
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr("zkinfer.circuits.storage._volatile_parent", lambda: str(tmp_path / "memory"))
    shutil.copytree(tiny.home.root / "setups", tmp_path / "home" / "setups")
    prove(home=Home(tmp_path / "home"))
    assert everything_under(tmp_path / "home" / "keys") == {tiny.circuit.digest.hex}
    assert everything_under(tmp_path / "memory") == set()


def test_failed_proof_leaves_nothing(prove, tiny, tmp_path):
    shutil.copytree(tiny.home.root / "setups", tmp_path / "home" / "setups")
    with pytest.raises(EngineError, match="It broke at make_keys"):
        prove(home=Home(tmp_path / "home"), engine=engine_failing_at("make_keys"))
    assert everything_under(tmp_path / "home" / "keys") == set()


# --- inputs


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"The input 'x' is missing\. The model takes x float32\[1, 3\]"),
        ({"X": X}, "The input 'x' is missing"),
        ({"x": X, "y": X}, r"The model has no input 'y'\. It takes x float32\[1, 3\]"),
        ({"x": X, "ctx": X}, "no input 'ctx'"),
        ({"x": X[:, :2]}, r"has shape \[1, 2\]"),
        ({"x": np.repeat(X, 2, axis=0)}, r"has shape \[2, 3\]"),
        ({"x": np.array([["a", "b", "c"]])}, "has dtype <U1"),
        ({"x": X.astype(object)}, "has dtype object"),
        ({"x": X.astype(complex)}, "has dtype complex128"),
        ({"x": X * np.float32("nan")}, "holds NaN or infinity"),
        ({"x": np.array([[0, 0, 1e300]])}, "exceeds the range of float32"),
    ],
    ids=range(11),
)
def test_invalid_input_is_refused_before_the_engine_runs(prove, inputs, message):
    with pytest.raises(DataError, match=message):
        prove(inputs, engine=engine_failing_at("prove"))


@pytest.mark.parametrize("value", [2.0**22, -(2.0**22), 3e38])
def test_input_that_leaves_the_range_is_refused(prove, value):
    with pytest.raises(
        RangeError, match=r"Input 'x' is .* at element \[0, 2\], which does not fit the range .*: -4\.19"
    ):
        prove({"x": np.array([[0, 0, value]], dtype=np.float32)})


# --- engines and setups


def test_circuit_of_another_engine_is_refused(tiny):
    installed = r"installed: ashlar/.*, ezkl/.*compile the model again"
    with pytest.raises(CircuitError, match=f"made for the engine fake/1; {installed}"):
        Prover(home=tiny.home).prove(tiny.circuit, {"x": X})


@pytest.mark.parametrize("call", ["prove", "make_keys"])
def test_error_of_the_engine_is_propagated(prove, tiny, tmp_path, call):
    shutil.copytree(tiny.home.root / "setups", tmp_path / "home" / "setups")
    with pytest.raises(EngineError, match=f"It broke at {call}"):
        prove(engine=engine_failing_at(call), home=Home(tmp_path / "home"))


@pytest.mark.parametrize("what", ["context", "inputs"])
@pytest.mark.parametrize("place", range(12))
def test_engine_that_proves_another_context_or_input_is_refused(prove, what, place):
    def change(proof):
        data = bytearray(getattr(proof.statement, what))
        data[place] ^= 1
        return replace(proof, statement=replace(proof.statement, **{what: bytes(data)}))

    with pytest.raises(EngineError, match=r"proved (another context|other inputs) than it was given"):
        prove(engine=lying(change))


def test_engine_that_proves_another_inference_soundly_is_refused(prove):
    def other(folder, program, setup, key, inputs, context):
        return FAKE.prove(folder, program, setup, key, [[0, 0, 0]], context)

    with pytest.raises(EngineError, match="other inputs than it was given"):
        prove(engine=engine_with(prove=other))


@pytest.mark.parametrize("change", [lambda outputs: outputs[:-1], lambda outputs: (*outputs, 0), lambda _: ()])
def test_engine_that_proves_the_wrong_number_of_outputs_is_refused(prove, change):
    with pytest.raises(EngineError, match="another number of outputs than the program has"):
        prove(engine=lying(with_outputs(change)))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b""])
def test_engine_that_returns_a_proof_of_the_wrong_length_is_refused(prove, change):
    with pytest.raises(EngineError, match=r"A proof has .* bytes where the keys say 32"):
        prove(engine=lying(lambda proof: Proof(change(proof.data), proof.statement)))


def test_circuit_with_a_mislabelled_setup_is_refused(prove, tiny, tmp_path):
    folder = shutil.copytree(tiny.circuit.folder, tmp_path / "circuit")
    rewritten(folder, lambda document: document["recipe"]["setup"].update(tauG2="sha256:" + "00" * 32))
    with pytest.raises(SetupError, match="insecure-dev is not the one"):
        prove(circuit=Circuit.open(folder))


@pytest.mark.parametrize("ceremony", ["hermez", "perpetual-powers-of-tau"])
def test_circuit_whose_setup_is_missing_is_refused(prove, tiny, tmp_path, ceremony):
    folder = shutil.copytree(tiny.circuit.folder, tmp_path / "circuit")
    rewritten(folder, lambda document: document["recipe"]["setup"].update(ceremony=ceremony))
    with pytest.raises(SetupError, match=f"No setup of {ceremony} with k = 3 or more"):
        prove(circuit=Circuit.open(folder), home=Home(tmp_path / "home"))


def test_circuit_whose_keys_are_of_another_engine_version_is_refused(prove, tiny, tmp_path):
    folder = shutil.copytree(tiny.circuit.folder, tmp_path / "circuit")
    rewritten(folder, lambda document: document["keys"].update(provingKey="sha256:" + "00" * 32))
    with pytest.raises(
        CircuitError, match=r"differs from a rebuild from its own ONNX file and recipe.*compile the model"
    ):
        prove(circuit=Circuit.open(folder))


def test_damaged_proving_key_is_regenerated(prove, verify, tiny, tmp_path):
    shutil.copytree(tiny.home.root, tmp_path / "home")
    for key in (tmp_path / "home" / "keys").iterdir():
        key.write_bytes(b"\0" * 32)
    assert verify(prove(home=Home(tmp_path / "home"))).outputs["y"].shape == (1, 2)


@pytest.mark.parametrize("value", [1 << 200, 1 << 40, -(1 << 30)])
def test_engine_that_proves_an_impossible_output_is_refused(prove, value):
    with pytest.raises(EngineError, match="an output beyond the range of the circuit"):
        prove(engine=lying(with_outputs(lambda outputs: (*outputs[:-1], value))))


def test_engine_without_proving_keys_proves_and_caches_an_empty_key(tiny, verify, tmp_path):
    keyless, out = FakeEngine(needs_proving_key=False), tmp_path / "circuit"
    circuit = compile_model(tiny.model, out, engine=keyless, home=tiny.home, options=factories.DEV).circuit
    assert circuit.manifest.keys.proving_key is None
    kept = tiny.home.keys / circuit.digest.hex
    kept.write_bytes(b"damaged")
    attestation = Prover(home=tiny.home, engines={keyless.id: keyless}).prove(circuit, {"x": X}, REQUEST)
    assert kept.read_bytes() == b""
    assert verify(attestation).outputs["y"].shape == (1, 2)


# --- integers, and the check of an attestation


@pytest.fixture
def prover(tiny):
    return Prover(home=tiny.home, engines={"fake/1": FAKE}, clock=lambda: NOON, key=OWNER)


INTEGERS = [[128, -320, 512]]  # X at scale 8


@pytest.fixture
def answer(tiny):
    return integers_digest(FAKE.forward(tiny.circuit.folder, tiny.circuit.manifest.program, [INTEGERS])[0])


def test_proof_of_integers_equals_the_proof_of_the_inputs(prover, tiny):
    assert prover.prove_integers(tiny.circuit, INTEGERS, REQUEST) == prover.prove(tiny.circuit, {"x": X}, REQUEST)


def test_fresh_attestation_passes_its_check(prover, tiny, answer):
    prover.check(tiny.circuit, prover.prove_integers(tiny.circuit, INTEGERS, REQUEST).to_bytes(), REQUEST, answer)


def test_attestation_of_another_answer_is_detected(prover, tiny, answer):
    other = prover.prove_integers(tiny.circuit, [[0, 0, 0]], REQUEST).to_bytes()
    with pytest.raises(AnswerMismatchError, match="another answer than the one given"):
        prover.check(tiny.circuit, other, REQUEST, answer)


def test_attestation_for_another_request_is_detected(prover, tiny, answer):
    other = prover.prove_integers(tiny.circuit, INTEGERS).to_bytes()
    with pytest.raises(ContextMismatchError, match="another request"):
        prover.check(tiny.circuit, other, REQUEST, answer)


def test_attestation_with_an_invalid_proof_is_detected(prover, tiny, answer):
    broken = Prover(home=tiny.home, engines={"fake/1": lying(lambda proof: Proof(bytes(32), proof.statement))})
    with pytest.raises(ProofRejectedError, match="does not hold"):
        prover.check(tiny.circuit, broken.prove(tiny.circuit, {"x": X}, REQUEST).to_bytes(), REQUEST, answer)


@pytest.mark.parametrize("place", [10, 100, 500])
def test_damaged_attestation_is_detected(prover, tiny, answer, place):
    data = bytearray(prover.prove_integers(tiny.circuit, INTEGERS, REQUEST).to_bytes())
    data[place] ^= 1
    with pytest.raises(RefusedError):
        prover.check(tiny.circuit, bytes(data), REQUEST, answer)


def test_proving_key_is_hashed_once_and_again_after_its_file_changes(tiny, tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(user_home, "sha256_file", lambda path: hashed.append(path) or sha256_file(path))
    shutil.copytree(tiny.home.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    prover = Prover(home=home, engines={"fake/1": FAKE})
    for _ in range(3):
        prover.prove(tiny.circuit, {"x": X})
    assert len(hashed) == 1
    key = home.keys / tiny.circuit.digest.hex
    key.write_bytes(b"\0" * 32)
    prover.prove(tiny.circuit, {"x": X})
    assert sha256_file(key) == Digest.parse(tiny.circuit.manifest.keys.proving_key)
