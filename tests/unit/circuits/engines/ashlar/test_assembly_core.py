"""The compiler against the core and the verifier, which were written from the specification and not from it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.circuits.engines.ashlar import drafts as d
from tests.unit.circuits.engines.ashlar.random_drafts import inputs_of, random_drafts

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.key import commit_weights, make_key
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.srs.ceremonies import generate_insecure_dev
from zkinfer.circuits.srs.file_format import read_outline

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}
VISIBILITIES = st.sampled_from(["public", "hashed", "private"])
CHUNK_BITS = 8


@pytest.fixture(scope="module")
def core():
    return pytest.importorskip("zkinfer_ashlar", reason="the Rust core is not installed")


@pytest.fixture(scope="module")
def verifier():
    """The modules of the verifier that read and check a program."""
    names = ("program", "wellformed")
    return [
        pytest.importorskip(f"zkinfer.verifier.ashlar.{name}", reason="there is no verifier in Python")
        for name in names
    ]


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    path = tmp_path_factory.mktemp("setup") / "insecure-dev-8.srs"
    generate_insecure_dev(CHUNK_BITS, path)
    return path


def assembled(draft, visibility):
    try:
        return assemble(draft, d.recipe(CHUNK_BITS), visibility)
    except UnsupportedModelError:
        assume(False)


def packed(integers):
    return np.asarray(integers).astype("<i8").tobytes()


def plain(draft, inputs):
    return np.concatenate(ForwardPass(draft).run(inputs), axis=1)


@settings(max_examples=100, **SETTINGS)
@given(draft=random_drafts(), visibility=VISIBILITIES)
def test_random_program_is_well_formed(verifier, draft, visibility):
    program, wellformed = verifier
    made = assembled(draft, visibility)
    key = program.decode_key(make_key(made.code, bytes(64 * made.shape.chunks["F"]), bytes(128)))
    wellformed.require_well_formed(key.header, key.program)


@settings(max_examples=100, **SETTINGS)
@given(draft=random_drafts(), seed=st.integers(0, 1 << 16))
def test_core_computes_what_plain_tensors_do(core, draft, seed):
    made = assembled(draft, "public")
    inputs = inputs_of(draft, seed, count=3)
    outputs = np.frombuffer(core.forward(made.code, packed(made.weights), packed(inputs)), "<i8")
    assert outputs.reshape(3, -1).tolist() == plain(draft, inputs).tolist()


@settings(max_examples=10, **SETTINGS)
@given(draft=random_drafts(3), visibility=VISIBILITIES, seed=st.integers(0, 1 << 16))
def test_core_makes_the_same_key_and_proves_a_random_program(core, setup, draft, visibility, seed):
    made = assembled(draft, visibility)
    with setup.open("rb") as file:
        tau_g2 = read_outline(file, setup.name).tau_g2
    key = core.make_key(made.code, packed(made.weights), str(setup))
    assert key == make_key(made.code, commit_weights(made.weights, CHUNK_BITS, setup), tau_g2)
    sample = inputs_of(draft, seed)
    inputs, outputs, proof = core.prove(key, packed(made.weights), packed(sample[0]), bytes(32), str(setup))
    assert list(outputs) == plain(draft, sample)[0].tolist()
    assert len(proof) == 32 * made.shape.proof_words
    core.verify(key, bytes(32), inputs, outputs, proof)
    with pytest.raises(core.AshlarError):
        core.verify(key, bytes(32), inputs, [outputs[0] + 1, *outputs[1:]], proof)
