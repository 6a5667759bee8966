"""The engine around a scripted child: timeouts, and checks of sizes and numbers that the child reports."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.unit.circuits.engines.ezkl.compiled_programs import spec
from tests.unit.circuits.engines.ezkl.test_client import ARGUMENTS, SETTINGS

from zkinfer.circuits.engines.base import Program, Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine, layout_for
from zkinfer.circuits.engines.ezkl.lowering.pipeline import with_context
from zkinfer.circuits.errors import CircuitError, EngineError, EngineTimeoutError, ProofRejectedError
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.statement import Statement

ENGINE = EzklEngine(Limits(seconds=3600))
INPUTS, OUTPUTS = (spec("x"),), (spec("y"),)
PROGRAM = Program(
    inputs=INPUTS,
    outputs=OUTPUTS,
    layout=layout_for(INPUTS, OUTPUTS, 1 << 27),
    setup_size=10,
    integer_limit=1 << 27,
    figures={"rows": 800, "log2(rows)": 10},
)


@pytest.fixture
def proving(tmp_path, monkeypatch):
    """Prove in a folder with given settings and a scripted child; returns the proof and the limits of the child."""

    def call(answer, settings=SETTINGS):
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        given = []

        def run(function, arguments, *, limits, progress=None):
            given.append(limits)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(child, "run", run)
        return ENGINE.prove(tmp_path, PROGRAM, tmp_path, tmp_path, [[1, 2]], bytes(32)), given[0]

    return call


def test_proof_is_taken_from_the_child(proving):
    proof, _ = proving({"proof": "00ff", "instances": [0, 0, 0, 0, 0, 5, 6, 7, 8]})
    assert proof == Proof(b"\x00\xff", Statement(bytes(32), bytes.fromhex("0000000500000006"), (7, 8)))


@pytest.mark.parametrize("count", [0, 8, 10, 1000])
def test_proof_with_the_wrong_number_of_public_values_is_refused(proving, count):
    with pytest.raises(EngineError, match="another number of public values than the program has"):
        proving({"proof": "00ff", "instances": [0] * count})


def test_timeout_grows_with_the_work_up_to_the_limit(proving):
    answer = {"proof": "", "instances": [0] * 9}
    run_args = SETTINGS["run_args"]
    waits = [
        proving(answer, SETTINGS | {"run_args": run_args | {"logrows": log_rows}})[1].seconds
        for log_rows in (10, 15, 24)
    ]
    assert 60 < waits[0] < waits[1] < waits[2] == 3600


@pytest.mark.parametrize("error", [EngineTimeoutError, ProofRejectedError, EngineError])
def test_failing_child_gives_no_proof(proving, error):
    with pytest.raises(error, match="It failed"):
        proving(error("It failed."))


USES = {
    "work": ENGINE.work,
    "prove": lambda folder: ENGINE.prove(folder, PROGRAM, folder, folder, [[1, 2]], bytes(32)),
    "headroom": lambda folder: ENGINE.headroom(folder, ARGUMENTS.to_run_arguments(), [[[1, 2]]]),
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@every_use
def test_folder_without_settings_is_not_a_circuit_of_this_engine(tmp_path, use):
    with pytest.raises(CircuitError, match=r"settings\.json is missing, damaged"):
        use(tmp_path)


@every_use
@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"7", b"[" * 100_000], ids=lambda data: repr(data[:9]))
def test_settings_that_are_not_json_mean_a_damaged_circuit(tmp_path, use, data):
    (tmp_path / "settings.json").write_bytes(data)
    with pytest.raises(CircuitError, match="missing, damaged or not the engine's"):
        use(tmp_path)


@pytest.mark.parametrize("name", ["run_args", "num_shuffles", "total_assignments", "model_instance_shapes"])
@pytest.mark.parametrize("value", ["missing", None, "7", -1, [[-1]], {}], ids=repr)
def test_incomplete_settings_have_no_work(tmp_path, name, value):
    rest = {key: kept for key, kept in SETTINGS.items() if key != name}
    (tmp_path / "settings.json").write_text(json.dumps(rest if value == "missing" else rest | {name: value}))
    with pytest.raises(CircuitError, match="missing, damaged or not the engine's"):
        ENGINE.work(tmp_path)


@pytest.mark.parametrize("change", [{"logrows": 1 << 40}, {"logrows": 4}, {"num_inner_cols": 0}, {"lookup_range": [1]}])
def test_settings_of_an_impossible_circuit_have_no_work(tmp_path, change):
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS | {"run_args": SETTINGS["run_args"] | change}))
    with pytest.raises(CircuitError, match="missing, damaged or not the engine's"):
        ENGINE.work(tmp_path)


@pytest.mark.parametrize("arguments", [{}, {"scale": 8}, {"logrows": 10}])
def test_run_arguments_of_another_engine_are_refused(arguments):
    with pytest.raises(EngineError, match="is not acceptable"):
        ENGINE.check_run_arguments(arguments)


def test_missing_or_damaged_on_chain_key_is_refused(tmp_path):
    with pytest.raises(EngineError, match=r"vka\.bin cannot be read: no such file"):
        ENGINE.evm_key(tmp_path)
    (tmp_path / "vka.bin").write_bytes(b"\1")
    with pytest.raises(EngineError, match="unexpected length"):
        ENGINE.evm_key(tmp_path)


# --- one recipe for each circuit


WEIGHTS = np.array([[0.5, -0.25], [1.5, 0.75]], np.float32)
BODIES = {
    "dense": ("h = MatMul(x, w) y = Relu(h)", "float"),
    "square": ("y = Mul(x, x)", "float"),
    "powers": ("h = Mul(x, x) i = Mul(h, h) y = Add(i, b)", "float"),
    "cube": ("h = Mul(x, x) y = Mul(h, x)", "float"),
    "relu": ("h = Relu(x) y = Add(h, x)", "float"),
    "whole": ("f = Cast<to=1>(x) y = MatMul(f, w)", "int64"),
    "whole sum": ("f = Cast<to=1>(x) y = Add(f, f)", "int64"),
}


@pytest.fixture
def built(tmp_path):
    """Build one of the bodies with the real engine under these scales; returns the folder."""

    def build(name, multiplier, input_scale, param_scale, visibility="public"):
        body, kind = BODIES[name]
        text = f'<ir_version: 8, opset_import: ["": 17]> g ({kind}[1,2] x) => (float[1,2] y) {{ {body} }}'
        model = onnx.parser.parse_model(text)
        read = {value for node in model.graph.node for value in node.input}
        constants = {"w": WEIGHTS, "b": np.array([[1.0, -0.5]], np.float32)}
        model.graph.initializer.extend(
            numpy_helper.from_array(constants[it], it) for it in sorted(read & set(constants))
        )
        network = tmp_path / "network.onnx"
        onnx.save(with_context(model, output=visibility != "public"), network)
        arguments = ARGUMENTS.model_copy(
            update={"scale_rebase_multiplier": multiplier, "input_scale": input_scale, "param_scale": param_scale,
                    "decomp_base": 512, "decomp_legs": 3, "logrows": 10, "input_visibility": visibility}
        )  # fmt: skip
        dtype = "float32" if kind == "float" else kind
        inputs = [spec("x", dtype=dtype, visibility=visibility)]
        ENGINE.build(network, inputs, OUTPUTS, arguments.to_run_arguments(), tmp_path)
        return tmp_path

    return build


@pytest.mark.parametrize(
    ("name", "given", "least"),
    [
        ("dense", {"scale_rebase_multiplier": 3}, {"scale_rebase_multiplier": 2}),
        ("square", {"scale_rebase_multiplier": 2}, {"scale_rebase_multiplier": 1, "param_scale": 14}),
        ("powers", {"scale_rebase_multiplier": 3, "input_scale": 2, "param_scale": 3}, {"scale_rebase_multiplier": 1}),
        ("cube", {"scale_rebase_multiplier": 3, "input_scale": 9}, {"scale_rebase_multiplier": 2, "param_scale": 14}),
        ("relu", {"scale_rebase_multiplier": 2}, {"scale_rebase_multiplier": 1}),
        ("relu", {"param_scale": 7}, {"param_scale": 1}),
        ("whole", {"scale_rebase_multiplier": 3}, {"scale_rebase_multiplier": 1}),
        ("whole", {"input_scale": 5}, {"input_scale": 1}),
        ("whole sum", {"param_scale": 4, "input_scale": 3}, {"param_scale": 1, "input_scale": 1}),
    ],
)
def test_run_arguments_that_are_not_the_least_are_refused_with_the_least(name, given, least, built):
    usual = {"scale_rebase_multiplier": 1, "input_scale": 1 if name.startswith("whole") else 7}
    usual["param_scale"] = 1 if name == "relu" else 7
    values = usual | given
    with pytest.raises(EngineError, match=r"give the same program as .*; a circuit has one recipe") as refusal:
        built(name, values["scale_rebase_multiplier"], values["input_scale"], values["param_scale"])
    better = refusal.value.cause.partition(" as ")[2]
    assert all(f"{argument} {value}" in better for argument, value in least.items())


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("dense", (2, 7, 7)), ("dense", (1, 7, 7)), ("dense", (1, 9, 7)), ("dense", (1, 7, 9)),
        ("square", (1, 7, 14)), ("relu", (1, 7, 1)), ("whole", (1, 1, 7)), ("whole sum", (1, 1, 1)),
    ],
)  # fmt: skip
def test_least_run_arguments_are_accepted(name, least, built):
    assert (built(name, *least) / "settings.json").is_file()


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_hidden_inputs_have_one_recipe_too(visibility, built):
    built("dense", 2, 7, 7, visibility)
    with pytest.raises(EngineError, match="scale_rebase_multiplier 3 give the same program"):
        built("dense", 3, 7, 7, visibility)
