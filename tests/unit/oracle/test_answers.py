import numpy as np
import onnxruntime
import pytest
from tests.unit.oracle import volatility
from tests.unit.oracle.series import recipe

from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.errors import AnswerOutOfBoundsError, FeedFormatError
from zkinfer.oracle.answers import answer_of, integers_in, require_fit, scale_of_output
from zkinfer.oracle.errors import RecipeError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def circuit(run_folder):
    return volatility.circuit_in(run_folder)


@pytest.fixture(scope="module")
def observation(circuit):
    return volatility.observation_of(circuit)


def answered(circuit, inputs, **changes):
    return answer_of(circuit, engine_named("ashlar"), volatility.feed_of(circuit, **changes).spec, inputs)


def test_answer_is_that_of_the_float_model_up_to_rounding(circuit, observation):
    closes = np.array(volatility.closes()[-25:])
    returns = (closes[1:] / closes[:-1] - 1).astype(np.float32)[None]
    (expected,) = onnxruntime.InferenceSession(volatility.MODEL).run(None, {"returns": returns})
    assert answered(circuit, observation.inputs).value / 10**8 == pytest.approx(float(expected[0, 0]), abs=0.002)


def test_outputs_are_the_circuits_integers(circuit, observation):
    found = answered(circuit, observation.inputs)
    assert len(found.outputs) == circuit.manifest.program.layout.outputs == 1
    assert found.value == found.outputs[0] * 10**8 >> scale_of_output(circuit, 0)


def test_inputs_are_split_by_tensor(circuit, observation):
    assert integers_in(circuit, observation.inputs) == [volatility.recipe_of(circuit).integers(observation.numbers)]


def test_answer_outside_the_feeds_bounds_is_refused(circuit, observation):
    with pytest.raises(AnswerOutOfBoundsError, match="outside the feed's bounds"):
        answered(circuit, observation.inputs, most=10)


def test_output_that_does_not_exist_is_refused(circuit, observation):
    with pytest.raises(FeedFormatError, match="output 1"):
        answered(circuit, observation.inputs, output=1)


@pytest.mark.parametrize("inputs", [b"", b"\0" * 47, b"\0" * 49])
def test_inputs_of_another_length_are_refused(circuit, inputs):
    with pytest.raises(InputError, match="bytes"):
        answered(circuit, inputs)


def test_feed_of_this_circuit_fits(circuit):
    feed = volatility.feed_of(circuit)
    require_fit(circuit, feed.spec, feed.recipe)


def test_recipe_of_another_circuit_is_refused(circuit):
    with pytest.raises(RecipeError, match="another input"):
        require_fit(circuit, volatility.feed_of(circuit).spec, recipe())


def test_scale_of_another_circuit_is_refused(circuit):
    feed = volatility.feed_of(circuit)
    with pytest.raises(RecipeError, match="another scale"):
        require_fit(circuit, volatility.spec(scale=feed.spec.scale + 1), feed.recipe)


def test_scale_of_a_missing_output_is_refused(circuit):
    with pytest.raises(RecipeError, match="no output 1"):
        scale_of_output(circuit, 1)
