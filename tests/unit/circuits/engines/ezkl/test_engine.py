"""The engine around a scripted child: timeouts, and checks of sizes and numbers that the child reports."""

import json

import pytest
from tests.unit.circuits.engines.ezkl.compiled_programs import spec
from tests.unit.circuits.engines.ezkl.test_client import ARGUMENTS, SETTINGS

from zkinfer.circuits.engines.base import Program, Proof
from zkinfer.circuits.engines.ezkl.engine import EzklEngine, layout_for
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
