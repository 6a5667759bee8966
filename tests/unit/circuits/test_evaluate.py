import pytest
from tests.unit.circuits.factories import X, engine_with, write_model

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import EngineError, RangeError
from zkinfer.circuits.evaluate import evaluate_circuit
from zkinfer.circuits.samples import Samples
from zkinfer.circuits.tensors import TensorSpec

Y = (X @ [[1, -1], [0.5, 2], [-0.25, 1]] + [0.5, 0]).astype("float32")
SAMPLES = Samples({"x": X[None]}, {"y": Y[None]}, "held-out", (7,))


@pytest.fixture
def judged(tmp_path):
    """What a sample says of the tiny model's program, by an engine with these calls."""
    specs = [[TensorSpec(name=name, dtype="float32", shape=(1, size))] for name, size in (("x", 3), ("y", 2))]
    network = write_model(tmp_path / "m.onnx")
    (tmp_path / "program").mkdir()
    program = FakeEngine().build(network, *specs, {"scale": 8}, tmp_path / "program")
    return lambda **calls: evaluate_circuit(engine_with(**calls), tmp_path / "program", program, {"scale": 8}, SAMPLES)


def fail(*_):
    raise RangeError("It left the range.")


def test_sample_that_the_circuit_answers_well_says_so(judged):
    fidelity, headroom = judged()
    assert (fidelity.samples, fidelity.agreement, fidelity.error_max) == (1, 1.0, 0.0)
    assert headroom > 1


@pytest.mark.parametrize("call", ["forward", "headroom"])
def test_sample_beyond_the_range_is_refused_with_what_would_help(judged, call):
    with pytest.raises(RangeError, match=r"A held-out sample leaves the range.*Give more calibration samples"):
        judged(**{call: fail})


@pytest.mark.parametrize("answers", [[], [[[1, 2]], [[1, 2]]], [[[1]]], [[]]])
def test_answers_of_another_number_or_size_are_refused(judged, answers):
    with pytest.raises(EngineError, match="of another number or size"):
        judged(forward=lambda *_: answers)
