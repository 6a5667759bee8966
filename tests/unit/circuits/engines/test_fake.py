from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import DataError, EngineCrashedError, EngineError, ProofRejectedError, RangeError
from zkinfer.circuits.frontend import Workload, normalise_model
from zkinfer.circuits.tensors import TensorSpec

FAKE = FakeEngine()
CONTEXT = bytes(range(32))
INPUTS = [[128, -320, 512]]  # 0.5, -1.25, 2.0 at scale 8
patiently = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def setup(dev_home):
    return dev_home.setups.find(3, "insecure-dev").path


@pytest.fixture
def key(folder, setup, tmp_path):
    FAKE.make_keys(folder, setup, tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def program(compiled):
    return compiled.manifest.program


@pytest.fixture
def proof(folder, program, setup, key):
    return FAKE.prove(folder, program, setup, key, INPUTS, CONTEXT)


def refused(folder, program, setup, proof):
    with pytest.raises(ProofRejectedError, match="does not hold for these public values under this verifying key"):
        FAKE.verify(folder, program, setup, proof)


# --- a fake


def test_fake_declares_that_it_proves_nothing():
    assert FAKE.production is False
    assert FAKE.id == "fake/1"


def test_fake_is_not_among_the_production_engines():
    engines = production_engines()
    assert "fake/1" not in engines
    assert not any(isinstance(engine, FakeEngine) for engine in engines.values())


def test_fake_costs_nothing(folder):
    speed = FAKE.measure_speed(lambda _: folder)
    load = Workload(multiplications=1 << 60, elements=0, heaviest=())
    assert FAKE.least_work(load) == FAKE.work(folder)
    cost = FAKE.work(folder).at(speed)
    assert (cost.keys_seconds, cost.prove_seconds, cost.work.memory_bytes, cost.work.gas) == (0, 0, 0, 0)


def test_fake_accepts_the_run_arguments_that_it_chooses():
    tuned = FAKE.tune(None)
    FAKE.check_run_arguments(tuned.run_arguments)
    assert tuned.options == ()


# --- binding


def test_honest_proof_is_valid_and_states_the_computation(folder, program, setup, proof):
    FAKE.verify(folder, program, setup, proof)
    assert program.layout.unpack(proof.statement.inputs) == INPUTS[0]
    assert (proof.statement.context, proof.statement.outputs) == (CONTEXT, (-32, -256))
    assert len(proof.data) == 32


def test_forward_and_prove_agree(folder, program, proof):
    [[answer]] = FAKE.forward(folder, program, [INPUTS])
    assert [*proof.statement.outputs] == answer


@patiently
@given(place=st.integers(0, 31), bit=st.integers(0, 7))
def test_proof_with_any_bit_changed_is_refused(folder, program, setup, proof, place, bit):
    data = bytearray(proof.data)
    data[place] ^= 1 << bit
    refused(folder, program, setup, Proof(bytes(data), proof.statement))


@patiently
@given(data=st.binary(max_size=64))
def test_proof_of_any_other_bytes_is_refused(folder, program, setup, proof, data):
    if data != proof.data:
        refused(folder, program, setup, Proof(data, proof.statement))


@patiently
@given(place=st.integers(0, 1), value=st.integers(-(1 << 62), 1 << 62))
def test_proof_for_any_other_output_is_refused(folder, program, setup, proof, place, value):
    outputs = [*proof.statement.outputs]
    if outputs[place] != value:
        outputs[place] = value
        refused(folder, program, setup, Proof(proof.data, replace(proof.statement, outputs=tuple(outputs))))


@patiently
@given(what=st.sampled_from(["context", "inputs"]), place=st.integers(0, 11), bit=st.integers(0, 7))
def test_proof_for_any_other_context_or_input_is_refused(folder, program, setup, proof, what, place, bit):
    data = bytearray(getattr(proof.statement, what))
    data[place] ^= 1 << bit
    refused(folder, program, setup, Proof(proof.data, replace(proof.statement, **{what: bytes(data)})))


@pytest.mark.parametrize(
    "change", [{"outputs": (-32,)}, {"outputs": ()}, {"inputs": b""}, {"inputs": bytes(13)}, {"context": bytes(31)}]
)
def test_statement_of_the_wrong_layout_is_refused(folder, program, setup, proof, change):
    with pytest.raises(ProofRejectedError, match="does not have the layout of this circuit"):
        FAKE.verify(folder, program, setup, Proof(proof.data, replace(proof.statement, **change)))


@pytest.mark.parametrize("name", ["network.onnx", "program.json"])
def test_key_binds_network_and_run_arguments(folder, program, setup, proof, name):
    with (folder / name).open("ab") as file:
        file.write(b" ")
    FAKE.make_keys(folder, setup, None)
    refused(folder, program, setup, proof)


def test_key_binds_the_setups_tau(folder, program, setup, proof, tmp_path):
    data = bytearray(setup.read_bytes())
    data[-1] ^= 1
    (tmp_path / "other").write_bytes(data)
    FAKE.make_keys(folder, tmp_path / "other", None)
    refused(folder, program, setup, proof)


def test_keys_are_deterministic_and_independent_of_the_setup_size(folder, dev_home, tmp_path):
    sizes = [dev_home.setups.find(k, "insecure-dev").path for k in (3, 4, 5)]
    keys = {FAKE.make_keys(folder, path, tmp_path / "key") for path in (*sizes, *sizes)}
    assert len(keys) == 1


def test_keys_without_a_proving_key_have_no_digest_of_one(folder, setup):
    keys = FAKE.make_keys(folder, setup, None)
    assert (keys.proving_key, keys.proving_key_bytes, keys.proof_bytes) == (None, 0, 32)


def test_prove_with_another_key_is_refused(folder, program, setup, tmp_path):
    (tmp_path / "other").write_bytes(b"\0" * 32)
    with pytest.raises(EngineError, match="does not hold"):
        FAKE.prove(folder, program, setup, tmp_path / "other", INPUTS, CONTEXT)


# --- hashed and private inputs


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_non_public_input_is_bound_but_not_revealed(tiny_model, setup, tmp_path, in_process, visibility):
    network = tmp_path / "network.onnx"
    normal = normalise_model(tiny_model, network, input_visibility=visibility)
    program = FAKE.build(network, normal.inputs, normal.outputs, {"scale": 8}, tmp_path)
    FAKE.make_keys(tmp_path, setup, tmp_path / "key")
    proof = FAKE.prove(tmp_path, program, setup, tmp_path / "key", INPUTS, CONTEXT)
    assert len(proof.statement.inputs) == program.layout.input_bytes
    digest = FAKE.commit(tmp_path, program, setup, 0, INPUTS[0])
    assert proof.statement.inputs == (digest if visibility == "hashed" else b"")


@given(st.lists(st.integers(-100, 100)), st.lists(st.integers(-100, 100)))
def test_commitments_of_different_tensors_differ(first, second):
    digests = [FAKE.commit(None, None, None, 0, integers) for integers in (first, second)]
    assert (digests[0] == digests[1]) == (first == second)
    assert FAKE.commit(None, None, None, 1, first) != digests[0]
    assert FAKE.commit(None, None, None, 0, first, b"salt") != digests[0]


def test_engine_without_proving_material_proves_from_the_folder(folder, program, setup):
    keyless = FakeEngine(needs_proving_key=False)
    keys = keyless.make_keys(folder, setup, None)
    proof = keyless.prove(folder, program, setup, None, INPUTS, CONTEXT)
    assert keys.proving_key is None
    FAKE.verify(folder, program, setup, proof)


@pytest.mark.parametrize("needs", [True, False])
def test_missing_or_superfluous_proving_key_is_refused(folder, program, setup, key, needs):
    engine = FakeEngine(needs_proving_key=needs)
    with pytest.raises(EngineError, match="a superfluous proving key, or lacks one"):
        engine.prove(folder, program, setup, None if needs else key, INPUTS, CONTEXT)


def test_fake_has_no_on_chain_verifier(folder):
    assert FAKE.evm_selector is None
    with pytest.raises(EngineError, match="no on-chain verifier"):
        FAKE.evm_key(folder)


# --- refusals


@pytest.mark.parametrize(
    "arguments",
    [{}, {"scale": -1}, {"scale": 17}, {"scale": True}, {"scale": 8.0}, {"scale": "8"}, {"scale": None},
     {"scale": 8, "more": 1}, {"Scale": 8}],
    ids=str,
)  # fmt: skip
def test_malformed_run_arguments_are_refused(tmp_path, arguments):
    for call in (FAKE.check_run_arguments, lambda given: FAKE.build(tmp_path / "n", [], [], given, tmp_path)):
        with pytest.raises(EngineError, match=r"one integer, scale, in 0\.\.16"):
            call(arguments)


@pytest.mark.parametrize("scale", [0, 16])
def test_run_arguments_at_the_bounds_are_accepted(scale):
    FAKE.check_run_arguments({"scale": scale})


@pytest.mark.parametrize("value", [1 << 30, -(1 << 30), 1 << 200])
def test_input_that_leaves_the_range_is_refused(folder, program, setup, key, value):
    for call in (
        lambda: FAKE.forward(folder, program, [[[value, 0, 0]]]),
        lambda: FAKE.prove(folder, program, setup, key, [[value, 0, 0]], CONTEXT),
    ):
        with pytest.raises(RangeError, match="Input 'x' exceeds the range of the circuit"):
            call()


def test_input_of_the_wrong_size_is_refused(folder, program):
    with pytest.raises(DataError, match="needs 3 values, not 2"):
        FAKE.forward(folder, program, [[[1, 2]]])


def test_build_is_reproducible(tiny_model, tmp_path, in_process):
    normal = normalise_model(tiny_model, tmp_path / "network.onnx")
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        FAKE.build(tmp_path / "network.onnx", normal.inputs, normal.outputs, {"scale": 8}, tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"network.onnx", "program.json"}


def test_integer_tensors_keep_scale_zero(tmp_path):
    (tmp_path / "network").write_bytes(b"")
    specs = [TensorSpec(name="n", dtype="int8", shape=(2,)), TensorSpec(name="x", dtype="float32", shape=(2,))]
    program = FAKE.build(tmp_path / "network", specs, specs, {"scale": 9}, tmp_path)
    assert [spec.scale for spec in program.inputs] == [0, 9]


# --- sessions


def test_session_gives_the_answers_of_the_engine(compiled):
    program = compiled.manifest.program
    session = FAKE.session(compiled.folder, program)
    assert [session.forward(INPUTS)] == FAKE.forward(compiled.folder, program, [INPUTS])


@pytest.mark.parametrize("end", ["kill", "close"])
def test_closed_session_answers_no_more(compiled, end):
    session = FAKE.session(compiled.folder, compiled.manifest.program)
    getattr(session, end)()
    assert not session.usable
    with pytest.raises(EngineCrashedError, match="session with the engine is over"):
        session.forward([[0, 0, 0]])
