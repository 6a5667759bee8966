"""Which function of a network has the widest arguments."""

import numpy as np
import onnx
import pytest

from zkinfer.circuits.engines.ezkl import worker
from zkinfer.circuits.engines.ezkl.lowering.pipeline import with_context

SAMPLES = [[[-8, 4, 0, 24]], [[2, -2, 16, 0]]]  # at scale 2: -2, 1, 0, 6 and 0.5, -0.5, 4, 0


@pytest.fixture
def widest(model, tmp_path):
    """The function with the widest arguments in a network of these nodes, for the samples."""

    def call(body, outputs="float[1,4] y", *, hidden=False):
        constants = "<float ten = {10.0}, float[1,4] w = {1.0,1.0,1.0,1.0}>"
        network = tmp_path / "network.onnx"
        onnx.save(with_context(model(body, outputs=outputs, constants=constants), output=hidden), network)
        return worker.widest_lookup(str(network), [2], SAMPLES)

    return call


@pytest.mark.parametrize(
    ("body", "operator", "low", "high"),
    [
        ("y = Sigmoid(x)", "Sigmoid", -2, 6),
        ("h = Mul(x, ten) i = Tanh(h) j = Exp(x) y = Add(i, j)", "Tanh", -20, 60),
        ("h = Tanh(x) y = Softmax<axis=1>(x)", "Softmax", -8, 0),
        ("h = Mul(x, ten) i = Exp(h) j = Sigmoid(i) y = Add(i, j)", "Sigmoid", np.exp(-20), np.exp(60)),
    ],
)
def test_widest_function_is_found_with_its_range(body, operator, low, high, widest):
    found = widest(body)
    assert (found["operator"], found["output"]) == (operator, "y")
    assert (found["low"], found["high"]) == pytest.approx((low, high))


def test_widest_function_leads_to_the_output_that_depends_on_it(widest):
    found = widest("h = Sigmoid(x) z = Add(h, x) y = Relu(x)", "float[1,4] y, float[1,4] z")
    assert (found["node"], found["output"]) == ("h", "z")


def test_function_of_an_output_is_found(widest):
    assert widest("y = Add(x, x) z = Exp(y)", "float[1,4] y, float[1,4] z", hidden=True)["high"] == 12


@pytest.mark.parametrize("body", ["y = Relu(x)", "h = Sigmoid(w) y = Add(x, h)"])
def test_network_without_functions_of_its_inputs_has_no_widest(body, widest):
    assert widest(body) is None
