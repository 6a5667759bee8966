"""A refusal of the circuit in terms of the owner's model."""

import onnx
import pytest

from zkinfer.circuits.engines.ezkl.bounds import OUT_OF_RANGE
from zkinfer.circuits.engines.ezkl.departures import explained
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.errors import RangeError

CONTEXT = [0] * 5
REFUSED = RangeError(*OUT_OF_RANGE)


@pytest.fixture
def explain(model, tmp_path):
    """The cause that is told for a sample of a model at scale 7."""

    def call(body, *sample, inputs="float[1,4] x", scales=(7,), folder=tmp_path):
        original = model(body, inputs)
        onnx.save(original, tmp_path / "model.onnx")
        onnx.save(pipeline.with_context(original, output=False), tmp_path / "network.onnx")
        settings = {"model_input_scales": [7, *scales], "run_args": {"input_scale": 7}}
        return explained(folder, settings, [CONTEXT, *sample], REFUSED)

    return call


def test_node_value_and_domain_are_told(explain):
    told = explain("y = Sqrt(x)", [128, -64, 0, 0])
    assert "Sqrt 'y' is defined for x >= 0, but the value 'x' is -0.5 at element 1." in told.cause
    assert "NaN" in told.cure


def test_value_on_the_edge_is_told_as_such(explain):
    told = explain("y = Log(x)", [128, 1, 128, 128])
    assert told.cause.startswith("A value on the edge of an operator's domain")


def test_integers_have_no_scale(explain):
    told = explain("f = Cast<to=1>(x) y = Log(f)", [3, 2, 1, 0], inputs="uint8[1,4] x", scales=(0,))
    assert "the value 'f' is 0 at element 3" in told.cause


@pytest.mark.parametrize("sample", [[128, 64, 9, 9], [1 << 70] * 4, [1, 2]], ids=["inside", "too large", "too few"])
def test_refusal_for_another_reason_stays_as_it_is(explain, sample):
    assert explain("y = Sqrt(x)", sample) is REFUSED


def test_integers_beyond_their_type_leave_the_refusal_as_it_is(explain):
    assert explain("f = Cast<to=1>(x) y = Log(f)", [1 << 70] * 4, inputs="int64[1,4] x", scales=(0,)) is REFUSED


def test_folder_without_the_model_leaves_the_refusal_as_it_is(explain, tmp_path):
    assert explain("y = Sqrt(x)", [-64] * 4, folder=tmp_path / "other") is REFUSED
