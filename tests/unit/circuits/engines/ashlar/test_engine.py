"""The engine on a small network, in child processes, with the native core where it is installed."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import parser

from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.ashlar import core, worker
from zkinfer.circuits.engines.ashlar import engine as engine_module
from zkinfer.circuits.engines.ashlar.engine import LABELS, AshlarEngine
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.base import Proof, TuneRequest
from zkinfer.circuits.errors import EngineError, ProofRejectedError, RangeError, UnsupportedModelError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload
from zkinfer.circuits.home import Home
from zkinfer.circuits.statement import Statement
from zkinfer.verifier.ashlar import commit_input, verify

CONTEXT, X = bytes(range(32)), [3, -7, 0, 15]
RECIPE = {
    "semantics": 1,
    "profile": "plain",
    "chunkBits": 10,
    "input": {"scale": 4, "bits": 6, "signed": True},
    "activations": {},
    "weights": {},
}
TEXT = """<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => (float[1,3] y)
<float[4,8] a, float[8] b, float[8,3] c> { h = MatMul(x, a) i = Add(h, b) j = Relu(i) y = MatMul(j, c) }"""

needs_core = pytest.mark.skipif(bool(core.missing()), reason=core.missing())


def write_model(path, text=TEXT):
    model, generator = parser.parse_model(text), np.random.default_rng(7)
    shapes = {"a": (4, 8), "b": (8,), "c": (8, 3)}
    for name, shape in shapes.items():
        array = generator.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path.write_bytes(model.SerializeToString())
    return path


@dataclasses.dataclass
class Made:
    folder: object
    program: object
    setup: object
    keys: object


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def build(tmp_path_factory, home):
    def call(visibility="public", engine=None):
        engine, folder = engine or AshlarEngine(), tmp_path_factory.mktemp("circuit")
        model = write_model(tmp_path_factory.mktemp("model") / "m.onnx")
        normal = engine.lower(model, folder / "network.onnx", dimensions={}, input_visibility=visibility)
        inputs = [spec.model_copy(update={"visibility": visibility}) for spec in normal.inputs]
        names = plan(onnx.load(folder / "network.onnx"))
        settings = {"activations": {name: [4, 8] for name in names.clamps}, "weights": dict.fromkeys(names.weights, 6)}
        program = engine.build(folder / "network.onnx", inputs, normal.outputs, RECIPE | settings, folder)
        setup = home.setups.find_or_generate(program.setup_size, "insecure-dev").path
        return Made(folder, program, setup, engine.make_keys(folder, setup, None))

    return call


@pytest.fixture(scope="module")
def made(build):
    return build()


@pytest.fixture(scope="module")
def proof(made):
    return AshlarEngine().prove(made.folder, made.program, made.setup, None, [X], CONTEXT)


def test_engine_is_registered_as_experimental_and_says_so():
    engine = engine_named("ashlar")
    assert (engine.id, engine.experimental, engine.labels) == ("ashlar/0.1.0", True, LABELS)
    assert engine.evm_selector == keccak256(b"ashlar-1-kzg-bn254").value[:4]


def test_program_says_layout_scales_and_setup(made):
    layout = made.program.layout
    assert (layout.visibility, layout.input_width, layout.signed, layout.inputs, layout.outputs) == (
        "public",
        1,
        True,
        4,
        3,
    )
    assert (made.program.inputs[0].scale, made.program.outputs[0].scale, made.program.setup_size) == (4, 10, 10)


def test_build_twice_gives_the_same_files(made, build):
    again = build()
    for path in made.folder.iterdir():
        assert (again.folder / path.name).read_bytes() == path.read_bytes()


@needs_core
def test_proof_holds_for_both_verifiers_and_states_the_forward_pass(made, proof):
    engine = AshlarEngine()
    engine.verify(made.folder, made.program, made.setup, proof)
    statement = proof.statement
    verify(engine.evm_key(made.folder), statement.context, statement.inputs, statement.outputs, proof.data)
    assert list(statement.outputs) == engine.forward(made.folder, made.program, [[X]])[0][0]
    assert (statement.inputs, len(proof.data)) == (made.program.layout.pack(X), made.keys.proof_bytes)


@needs_core
@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_hidden_input_is_a_digest_or_nothing(build, visibility):
    engine, hidden = AshlarEngine(), build(visibility)
    proof = engine.prove(hidden.folder, hidden.program, hidden.setup, None, [X], CONTEXT)
    engine.verify(hidden.folder, hidden.program, hidden.setup, proof)
    if visibility == "private":
        assert proof.statement.inputs == b""
        return
    assert proof.statement.inputs == engine.commit(hidden.folder, hidden.program, hidden.setup, 0, X)
    assert proof.statement.inputs == commit_input(engine.evm_key(hidden.folder), X, hidden.setup)


@needs_core
@pytest.mark.parametrize("part", ["context", "inputs", "outputs", "proof"])
def test_changed_proof_or_statement_is_rejected(made, proof, part):
    statement, data = proof.statement, proof.data
    changed = {
        "context": Statement(bytes(32), statement.inputs, statement.outputs),
        "inputs": Statement(CONTEXT, made.program.layout.pack([X[0] + 1, *X[1:]]), statement.outputs),
        "outputs": Statement(CONTEXT, statement.inputs, (statement.outputs[0] + 1, *statement.outputs[1:])),
        "proof": statement,
    }[part]
    data = bytes([data[0] ^ 1]) + data[1:] if part == "proof" else data
    with pytest.raises(ProofRejectedError, match="step"):
        AshlarEngine().verify(made.folder, made.program, made.setup, Proof(data, changed))


@needs_core
@pytest.mark.parametrize("value", [32, -33, 1 << 62, 1 << 70])
def test_input_out_of_range_is_refused_in_its_own_units_and_leaves_the_session_usable(made, value):
    engine = AshlarEngine()
    refused = rf"'x' holds {value / 16:.6g} at element 1; this circuit takes -2 to 1\.9375 there"
    refused = refused.replace("+", r"\+")
    with pytest.raises(RangeError, match=refused):
        engine.prove(made.folder, made.program, made.setup, None, [[0, value, 0, 0]], CONTEXT)
    with pytest.raises(RangeError, match=refused):
        engine.forward(made.folder, made.program, [[X], [[0, value, 0, 0]]])
    session = engine.session(made.folder, made.program)
    try:
        with pytest.raises(RangeError, match=refused):
            session.forward([[0, value, 0, 0]])
        assert session.forward([X]) == engine.forward(made.folder, made.program, [[X]])[0]
        assert session.usable
    finally:
        session.close()


@needs_core
def test_headroom_is_the_distance_to_the_range_of_the_input(made):
    recipe = RECIPE | {"activations": {}, "weights": {}}
    assert AshlarEngine().headroom(made.folder, recipe, [[[3, -4]], [[15, 0]]]) == 31 / 15
    assert AshlarEngine().headroom(made.folder, recipe, [[[3, -30]]]) == 32 / 30


@pytest.fixture
def without_core(monkeypatch):
    monkeypatch.setattr(core, "missing", lambda: "Its core is not installed.")


def test_everything_but_a_rebuild_is_refused_without_the_core(made, without_core):
    engine, proof = AshlarEngine(), Proof(b"", Statement(CONTEXT, b"", ()))
    calls = [
        lambda: engine.forward(made.folder, made.program, [[X]]),
        lambda: engine.session(made.folder, made.program),
        lambda: engine.prove(made.folder, made.program, made.setup, None, [X], CONTEXT),
        lambda: engine.commit(made.folder, made.program, made.setup, 0, X),
        lambda: engine.verify(made.folder, made.program, made.setup, proof),
    ]
    for call in calls:
        with pytest.raises(EngineError, match=r"^Its core is not installed\.$"):
            call()


@needs_core
def test_key_is_the_same_with_and_without_the_core(made, monkeypatch, tmp_path):
    key = (made.folder / "key.bin").read_bytes()
    monkeypatch.setattr(core, "missing", lambda: "Its core is not installed.")
    for name in ("program.bin", "weights.bin"):
        (tmp_path / name).write_bytes((made.folder / name).read_bytes())
    worker.make_key(str(tmp_path), str(made.setup))
    assert (tmp_path / "key.bin").read_bytes() == key


def test_proving_key_is_refused(made, tmp_path):
    with pytest.raises(EngineError, match="needs no proving key"):
        AshlarEngine().make_keys(made.folder, made.setup, tmp_path / "pk")


READERS = {
    "program.bin": lambda made, folder: AshlarEngine().make_keys(folder, made.setup, None),
    "weights.bin": lambda made, folder: AshlarEngine().make_keys(folder, made.setup, None),
    "key.bin": lambda _, folder: AshlarEngine().evm_key(folder),
    "estimate.json": lambda _, folder: AshlarEngine().work(folder),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", [None, b"no"])
def test_missing_or_damaged_file_is_refused(made, tmp_path, name, data):
    for path in made.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(EngineError):
        READERS[name](made, tmp_path)


def test_unsupported_operator_is_found_with_its_node(tmp_path):
    write_model(tmp_path / "m.onnx", TEXT.replace("y = MatMul(j, c)", "k = Softmax(j) y = MatMul(k, c)"))
    engine = AshlarEngine()
    [finding] = engine.supports(tmp_path / "m.onnx")
    assert "Softmax" in finding.cause
    with pytest.raises(UnsupportedModelError, match="Softmax"):
        engine.lower(tmp_path / "m.onnx", tmp_path / "n.onnx", dimensions={}, input_visibility="public")


@pytest.mark.parametrize(("given", "survey", "tune"), [(None, 3600, 3600), (20.0, 20, 25), (9999.0, 3600, 3600)])
def test_children_of_a_search_are_killed_soon_after_its_time(monkeypatch, given, survey, tune):
    seen, figures = [], dict.fromkeys(("keys", "prove", "memory_bytes", "proving_key_bytes", "proof_bytes", "gas"), 1)

    def run(function, arguments, *, limits, progress):
        seen.append(limits.seconds)
        return figures

    monkeypatch.setattr(engine_module.child, "run", run)
    monkeypatch.setattr(engine_module, "pack_request", lambda request, folder: {})
    monkeypatch.setattr(engine_module, "unpack_result", lambda answer: answer)
    monkeypatch.setattr(AshlarEngine, "_require_core", lambda self: None)
    engine, request = AshlarEngine(), SimpleNamespace(search_seconds=given)
    engine.survey(request)
    engine.tune(request)
    assert seen == [survey, tune]


@pytest.mark.parametrize("size", [1, 3])
def test_setup_that_is_too_small_for_any_chunk_is_refused_with_its_cure(made, size):
    samples = np.random.default_rng(1).normal(size=(8, 1, 4)).astype(np.float32)
    request = TuneRequest(
        network=made.folder / "network.onnx",
        inputs=made.program.inputs,
        outputs=made.program.outputs,
        samples={"x": samples},
        reference={"y": samples[:, :, :3]},
        budget=Budget(),
        max_setup_size=size,
        max_memory=None,
        workload=Workload(multiplications=56, elements=11, heaviest=()),
    )
    with pytest.raises(
        UnsupportedModelError, match=rf"2\^4 or more; the largest available one has 2\^{size}"
    ) as caught:
        AshlarEngine().survey(request)
    assert caught.value.cure == "Run `zkinfer setup fetch 15`."
