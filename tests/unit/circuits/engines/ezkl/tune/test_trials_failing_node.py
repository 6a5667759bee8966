"""The node at which the engine fails is named as the owner's file names it, with the engine's reason."""

import numpy as np
import pytest
from tests.unit.circuits.engines.ezkl.compiled_programs import request, spec

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.tune.trials import naming_nodes
from zkinfer.circuits.errors import (
    BudgetError,
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    RangeError,
    UnsupportedModelError,
)
from zkinfer.circuits.frontend.prune import serialised

NODES = [["Relu", "v1"], ["Pad", "v2"], ["Gemm", "v3"], ["Relu", "y"]]


class Failing:
    """A process in which the engine fails from one node on."""

    def __init__(self, first, reason="no such form", error=None):
        self.first, self.reason, self.error, self.samples = first, reason, error, []

    def call(self, name, progress=None, /, **arguments):
        if name == "nodes_of":
            return NODES
        self.samples.append(arguments["sample"])
        if arguments["nodes"] <= self.first:
            return None
        if self.error is not None:
            raise self.error
        return self.reason


def failed(process, error=None, *, computing=False, **changes):
    with (
        pytest.raises(Exception) as failure,  # noqa: PT011 - which one is the question
        naming_nodes(process, request(**changes), computing=computing),
    ):
        raise error or EngineError("The engine finds no layout.")
    return failure.value


@pytest.mark.parametrize("first", range(len(NODES)))
def test_first_node_that_fails_is_named_with_the_reason(first):
    error = failed(Failing(first), names={"v1": "first", "v2": "padded", "v3": "dense"})
    operator, value = NODES[first]
    name = {"v1": "first", "v2": "padded", "v3": "dense", "y": "y"}[value]
    assert isinstance(error, UnsupportedModelError)
    assert error.cause == f"The engine rejects {operator} '{name}': no such form"
    assert f"Replace this {operator}" in error.cure


def test_node_that_makes_the_engine_panic_is_named():
    error = failed(Failing(1, error=EngineCrashedError("PanicException: index")), EngineCrashedError("It stopped."))
    assert str(error).startswith("The engine rejects Pad 'v2': PanicException: index")


def test_failure_that_no_node_causes_is_kept():
    error = EngineError("The engine finds no layout.")
    assert failed(Failing(len(NODES)), error) is error


@pytest.mark.parametrize(
    "error", [RangeError("r"), BudgetError("b"), EngineMemoryError("m"), UnsupportedModelError("u")]
)
def test_failure_with_its_own_reason_is_kept_and_nothing_is_tried(error):
    process = Failing(0)
    assert failed(process, error) is error
    assert process.samples == []


def test_memory_that_runs_out_in_the_meantime_is_told():
    assert isinstance(failed(Failing(0, error=EngineMemoryError("m"))), EngineMemoryError)


@pytest.mark.parametrize("computing", [False, True])
def test_sample_is_computed_if_the_engine_had_computed_samples(computing):
    process = Failing(2)
    failed(process, computing=computing)
    assert all((sample is not None) == computing for sample in process.samples)


def test_hostile_name_is_shortened():
    assert len(str(failed(Failing(0), names={"v1": "n" * 10_000}))) < 500


def test_engine_itself_names_the_node_that_its_reader_rejects(model, tmp_path):
    constants = "<int64[2] pads = {1,2}, int64[1] last = {1}>"
    unlowered = model("h = Relu(x) p = Pad(h, pads, , last) y = Neg(p)", "float[1,4] x", "float[1,7] y", constants, 18)
    network = tmp_path / "network.onnx"
    network.write_bytes(serialised(pipeline.with_context(unlowered, output=False)))
    asked = request(
        network=network,
        inputs=(spec("x", shape=(1, 4)),),
        outputs=(spec("y", shape=(1, 7)),),
        samples={"x": np.zeros((2, 1, 4))},
        names={"p": "padded"},
    )
    with pytest.raises(UnsupportedModelError, match=r"The engine rejects Pad 'padded': .*Failed analyse.*Pad"):
        EzklEngine().survey(asked)
