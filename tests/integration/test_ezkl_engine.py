import asyncio
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, parser
from tests.integration import bench
from tests.integration.corpus import with_output

from zkinfer.circuits.build import assemble
from zkinfer.circuits.compile import CompileOptions, compile_model
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import (
    DataError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    RangeError,
)
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.tensors import quantise
from zkinfer.prover import Prover

GOLDEN_KEY = "keccak256:9166a78120cc3dd47f7da7a684167886b211ed546bc4e7f44153d40c0508c47b"
GOLDEN_MODEL_ID = "0x758c834514d414b23527b26d4e837f4cb2f6ed8e0e8d767455263de95ec2ec04"
CALIBRATED_TO_ONE = np.random.default_rng(1).uniform(-1, 1, (16, 1, 4)).astype(np.float32)


def rebuilt(folder, home, seed):
    folder.mkdir()
    code = "import sys; from tests.integration import bench; bench.rebuild_golden(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, folder, home.root],
        env=os.environ | {"PYTHONHASHSEED": seed},
        cwd=bench.REPOSITORY,
        capture_output=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def golden(run_folder, home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    return [rebuilt(folder / seed, home, seed) for seed in ("1", "2")]


@pytest.fixture(scope="module")
def sigmoid(home, tmp_path_factory):
    """A lookup table calibrated on -1..1 only, so that other inputs leave it, with ten seconds for the engine."""
    folder = tmp_path_factory.mktemp("sigmoid")
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[1,4] x) => (float[1,4] y) { y = Sigmoid(x) }'
    )
    onnx.save(model, folder / "sigmoid.onnx")
    np.savez(folder / "samples.npz", x=CALIBRATED_TO_ONE)
    options = CompileOptions(setup="insecure-dev")
    return compile_model(
        folder / "sigmoid.onnx",
        folder / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=folder / "samples.npz",
        options=options,
    ).circuit


@pytest.fixture
def copied(digits, tmp_path):
    """A copy of the digits circuit and its proving key, to damage."""
    for path in digits.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def prover_with_timeout(home, seconds=15):
    engine = EzklEngine(Limits(seconds=seconds))
    return Prover(home=home, engines={engine.id: engine})


def proving_key(home, circuit):
    return home.keys / circuit.digest.hex


def prove_in(folder, home, circuit, *, key=None, number=0, engine=None):
    program = circuit.manifest.program
    return (engine or EzklEngine(Limits(seconds=30))).prove(
        folder,
        program,
        home.setups.insecure_dev(12).path,
        key or proving_key(home, circuit),
        [quantise(bench.image(number)["image"], program.inputs[0])],
        bench.CONTEXT.hash,
    )


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif how == "garbage":
        data = bytearray(os.urandom(64))
    else:
        data = bytearray()
    path.chmod(0o600)
    path.write_bytes(data)


# --- reproducible circuits


def test_golden_model_has_the_pinned_verifying_key_and_model_id(golden):
    assert golden[0]["vk"] == GOLDEN_KEY
    assert golden[0]["modelId"] == GOLDEN_MODEL_ID


def test_files_and_keys_are_independent_of_the_hash_seed(golden):
    assert golden[0] == golden[1]
    assert set(golden[0]["files"]) == {"network.onnx", "settings.json", "vk.key", "vka.bin"}


def test_verifying_key_of_the_engine_matches_the_circuit(digits):
    import ezkl  # noqa: PLC0415 - no other test may need it

    assert digits.manifest.recipe.engine == f"ezkl/{ezkl.__version__}"


# --- values out of range


@pytest.mark.parametrize("factor", [1, -1, 1e6, -1e20])
def test_input_beyond_the_range_checks_is_refused(home, digits, factor):
    picture, program = bench.image(0), digits.manifest.program
    picture["image"][0, 0] = factor * (program.integer_limit >> program.inputs[0].scale)
    with pytest.raises(RangeError, match="does not fit the range"):
        prover_with_timeout(home).prove(digits, picture)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_input_is_refused_without_the_engine(home, digits, value):
    picture = bench.image(0)
    picture["image"][0, 0] = value
    with pytest.raises(DataError, match="NaN or infinity"):
        Prover(home=home, engines={}).prove(digits, picture)


@pytest.mark.parametrize("value", [-1.9, 0.25, 1.9])
def test_lookup_within_its_table_agrees_with_the_float_model(home, sigmoid, value):
    answer = bench.verifier_of(home, sigmoid.folder / "model.onnx").verify(
        prover_with_timeout(home).prove(sigmoid, {"x": np.full((1, 4), value)}), bench.policy_of(sigmoid)
    )
    assert answer.outputs["y"] == pytest.approx(1 / (1 + np.exp(-value)), abs=0.02)


@pytest.mark.parametrize("value", [-10.0, 1e6])
def test_lookup_beyond_its_table_is_never_proven(home, sigmoid, value):
    with pytest.raises(EngineError):
        prover_with_timeout(home, seconds=4).prove(sigmoid, {"x": np.full((1, 4), value)})


@pytest.mark.parametrize("value", [10.0])
def test_lookup_beyond_its_table_is_a_range_error(home, sigmoid, value):
    with pytest.raises(RangeError):
        prover_with_timeout(home, seconds=4).prove(sigmoid, {"x": np.full((1, 4), value)})


def test_forward_pass_beyond_the_table_is_a_range_error(sigmoid):
    program = sigmoid.manifest.program
    with pytest.raises(RangeError):
        EzklEngine().forward(sigmoid.folder, program, [[quantise(np.full((1, 4), 1e6), program.inputs[0])]])


# --- damaged files


@pytest.mark.parametrize("how", ["cut", "flipped", "garbage", "empty"])
@pytest.mark.parametrize("name", ["network.onnx", "settings.json", "vk.key"])
def test_damaged_program_file_never_verifies_another_answer(home, digits, honest, copied, name, how):
    """Circuit.open refuses such a folder; here the engine gets it directly."""
    damage(copied / name, how)
    proof = bench.proof_of(honest)
    wrong = with_output(proof, 9, proof.statement.outputs[9] ^ 1)
    with pytest.raises(EngineError):
        EzklEngine(Limits(seconds=30)).verify(copied, digits.manifest.program, home.setups.insecure_dev(12).path, wrong)


@pytest.mark.parametrize("how", ["cut", "garbage", "empty"])
def test_damaged_network_is_an_engine_error(home, digits, copied, how):
    damage(copied / "network.onnx", how)
    with pytest.raises(EngineError):
        prove_in(copied, home, digits)


@pytest.mark.parametrize("how", ["cut", "flipped", "garbage", "empty"])
def test_damaged_proving_key_is_an_engine_error(home, digits, copied, how):
    key = copied / "proving.key"
    key.write_bytes(proving_key(home, digits).read_bytes())
    damage(key, how)
    with pytest.raises(EngineError):
        prove_in(digits.folder, home, digits, key=key)


@pytest.mark.parametrize("how", ["cut", "garbage", "empty"])
def test_damaged_verifying_key_is_an_engine_error(home, digits, honest, copied, how):
    damage(copied / "vk.key", how)
    with pytest.raises(EngineError):
        EzklEngine(Limits(seconds=30)).verify(
            copied, digits.manifest.program, home.setups.insecure_dev(12).path, bench.proof_of(honest)
        )


# --- limits, panics, surroundings


@pytest.mark.parametrize("megabytes", [90, 280])  # too little for the engine's threads, and for the proof
def test_too_little_memory_is_a_memory_error(home, digits, megabytes):
    with pytest.raises(EngineMemoryError, match="ran out of memory"):
        prove_in(digits.folder, home, digits, engine=EzklEngine(Limits(seconds=30, memory=megabytes << 20)))


def test_too_little_time_is_a_timeout_error(home, digits):
    with pytest.raises(EngineTimeoutError, match="time limit"):
        prove_in(digits.folder, home, digits, engine=EzklEngine(Limits(seconds=0.2)))


@pytest.mark.parametrize("data", [b"", b"\xff" * 3072, bytes(3072), b"\x00" * 31])
def test_malformed_proof_is_an_engine_error(home, digits, honest, data):
    proof = Proof(data, bench.proof_of(honest).statement)
    with pytest.raises(EngineError):
        EzklEngine(Limits(seconds=30)).verify(
            digits.folder, digits.manifest.program, home.setups.insecure_dev(12).path, proof
        )


@pytest.mark.parametrize("value", [1 << 127, -(1 << 127), 1 << 256])
def test_output_outside_the_field_is_an_engine_error(home, digits, honest, value):
    proof = bench.proof_of(honest)
    with pytest.raises(EngineError):
        EzklEngine(Limits(seconds=30)).verify(
            digits.folder,
            digits.manifest.program,
            home.setups.insecure_dev(12).path,
            with_output(proof, 0, value),
        )


def test_hostile_environment_has_no_effect_and_leaks_no_value(home, digits, monkeypatch, capfd):
    hostile = {"EZKL_REPO_PATH": "/nonexistent", "EZKL_DISABLE_SELECTOR_COMPRESSION": "true", "RUST_LOG": "trace"}
    hostile |= {
        "ENABLE_ICICLE_GPU": "true",
        "RUST_BACKTRACE": "full",
        "PYTHONPATH": "/nonexistent",
        "EZKL_LOG": "trace",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    proof = prove_in(digits.folder, home, digits)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    attestation = bench.attacker_signs(digits, proof)
    assert bench.verifier_of(home, bench.MODEL).verify(attestation, bench.policy_of(digits))


def test_proof_does_not_disturb_the_callers_event_loop(home, digits):
    async def inside():
        return prove_in(digits.folder, home, digits)

    assert asyncio.run(inside()).data


# --- one recipe for each circuit


def test_recipes_that_are_refused_for_a_lesser_one_have_its_verifying_key(home, tmp_path, monkeypatch):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[1,2] x) => (float[1,2] y) '
        "<float[2,2] w = {0.5, -0.25, 1.5, 0.75}> { h = MatMul(x, w) y = Relu(h) }"
    )
    onnx.save(model, tmp_path / "model.onnx")
    setup = home.setups.find_or_generate(12, "insecure-dev", lambda _: None)

    def verifying_key(multiplier):
        folder = tmp_path / str(multiplier)
        folder.mkdir()
        arguments = bench.GOLDEN_ARGUMENTS | {"scale_rebase_multiplier": multiplier}
        made = assemble(
            tmp_path / "model.onnx", folder, engine=EzklEngine(), run_arguments=arguments, setup=setup, dimensions={}
        )
        return made.identity.verifying_key

    least = verifying_key(2)
    with pytest.raises(
        EngineError, match="scale_rebase_multiplier 3 give the same program as scale_rebase_multiplier 2"
    ):
        verifying_key(3)
    (tmp_path / "3").rename(tmp_path / "refused")
    monkeypatch.setattr("zkinfer.circuits.engines.ezkl.engine._refuse_larger_than_least", lambda *_: None)
    assert verifying_key(3) == least


# --- a model with its scaler inside


RAW = {"age": (48.0, 17.0), "income": (56_000.0, 30_000.0), "rate": (0.3, 0.14), "loans": (2.0, 1.4)}


def scored(folder, *layers):
    """A pipeline of skl2onnx with a StandardScaler in front, and samples of features that differ in range."""
    means, deviations = (np.array(numbers, np.float32) for numbers in zip(*RAW.values(), strict=True))
    scaler = helper.make_node(
        "Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=means.tolist(), scale=(1 / deviations).tolist()
    )
    ports = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, len(RAW)]),
        helper.make_tensor_value_info("label", onnx.TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [None, 2]),
    ]
    graph = helper.make_graph([scaler, *layers], "pipeline", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "model.onnx")
    rows = np.random.default_rng(4).normal(means, deviations, (120, len(RAW))).astype(np.float32)
    np.savez(folder / "samples.npz", x=rows[:, None])


@pytest.mark.parametrize("visibility", ["public", "hashed"])
def test_logistic_regression_behind_a_scaler_takes_few_rows(visibility, home, tmp_path):
    coefficients = [-0.9, -2.1, 2.5, 1.1, 0.9, 2.1, -2.5, -1.1]
    classifier = helper.make_node(
        "LinearClassifier", ["s"], ["label", "probabilities"], domain="ai.onnx.ml", classlabels_ints=[0, 1],
        post_transform="LOGISTIC", coefficients=coefficients, intercepts=[-0.5, 0.5],
    )  # fmt: skip
    scored(tmp_path, classifier)
    compiled = compile_model(
        tmp_path / "model.onnx",
        tmp_path / "circuit",
        engine=EzklEngine(),
        home=home,
        calibration=tmp_path / "samples.npz",
        options=CompileOptions(setup="insecure-dev", effort="quick", input_visibility=visibility),
    )
    manifest = compiled.circuit.manifest
    assert manifest.program.setup_size <= (11 if visibility == "hashed" else 10)
    assert manifest.program.inputs[0].scale > manifest.recipe.run_arguments["input_scale"]
    assert manifest.fidelity.agreement >= 0.95
    row = np.load(tmp_path / "samples.npz")["x"][0]
    assert Prover(home=home).prove(compiled.circuit, {"x": row}, bench.CONTEXT)
