"""Partial functions of a float model: which value left which domain."""

import numpy as np
import pytest

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.frontend.domains import DomainCheck

CONSTANTS = "<float half = {0.5}, float one = {1}, float[4] s = {1,1,1,1}>"


def found(model, values, tolerance=0.0, **more):
    return DomainCheck(model).violation({"x": np.float32([values]), **more}, tolerance)


@pytest.mark.parametrize(
    ("body", "value", "domain"),
    [
        ("y = Sqrt(x)", -1, "x >= 0"),
        ("y = Log(x)", 0, "x > 0"),
        ("y = Reciprocal(x)", 0, "x != 0"),
        ("y = Div(one, x)", 0, "x != 0"),
        ("y = Acos(x)", 1.5, "-1 <= x <= 1"),
        ("y = Asin(x)", -1.5, "-1 <= x <= 1"),
        ("y = Atanh(x)", 1, "-1 < x < 1"),
        ("y = Acosh(x)", 0.5, "x >= 1"),
        ("y = Pow(x, half)", -0.5, "x >= 0"),
        ("p = Constant<value_float=0.5>() y = Pow(x, p)", -0.5, "x >= 0"),
        ("p = Constant<value_float=-1.5>() y = Pow(x, p)", 0, "x > 0"),
        ("p = Constant<value_float=-2.0>() y = Pow(x, p)", 0, "x != 0"),
    ],
)
def test_first_value_outside_a_domain_is_named(model, body, value, domain):
    wrong = found(model(body, constants=CONSTANTS), [2.0 if "cosh" in body else 0.5, value, value, 1])
    assert (wrong.value, wrong.element, wrong.domain.text, wrong.operand) == (value, 1, domain, "x")
    assert wrong.certain
    assert f"'y' is defined for {domain}, but the value 'x' is {value:g} at element 1." in wrong.cause


@pytest.mark.parametrize("body", ["y = Sqrt(x)", "y = Log(x)", "y = Div(one, x)", "y = Relu(x)", "y = Pow(x, one)"])
def test_values_inside_their_domains_are_no_violation(model, body):
    assert found(model(body, constants=CONSTANTS), [1, 2, 3, 4], tolerance=0.5) is None


@pytest.mark.parametrize(("body", "value"), [("y = Log(x)", 0.01), ("y = Div(one, x)", -0.01), ("y = Acos(x)", 1.0)])
def test_value_near_the_outside_is_a_possible_violation(model, body, value):
    inside = found(model(body, constants=CONSTANTS), [0.5, value, 0.5, 0.5])
    near = found(model(body, constants=CONSTANTS), [0.5, value, 0.5, 0.5], tolerance=0.02)
    assert inside is None
    assert not near.certain
    assert near.cause.startswith("A value on the edge of an operator's domain")


def test_node_is_named_as_in_the_file_and_the_first_in_its_order(model):
    made = model("d = Sub(x, one) r = Sqrt(d) y = Log(r)", constants=CONSTANTS)
    made.graph.node[1].name = "/encoder/Sqrt"
    wrong = found(made, [1, 0.5, 2, 2])
    assert wrong.cause.endswith("Sqrt '/encoder/Sqrt' is defined for x >= 0, but the value 'd' is -0.5 at element 1.")


def test_domain_of_a_logarithm_of_sums_is_that_of_the_sum(model):
    made = model("y = ReduceLogSum<axes=[1]>(x)", outputs="float[1,1] y")
    assert found(made, [-1, 2, 3, 4]) is None
    assert found(made, [-1, -2, 1, 1]).value == -1


def test_domain_of_a_normalisation_is_that_of_its_variance(model):
    made = model("y = BatchNormalization(x, s, s, s, v)", "float[1,4] x, float[4] v", constants=CONSTANTS)
    assert found(made, [1, 2, 3, 4], v=np.float32([1, 1, 1, 0])) is None
    wrong = found(made, [1, 2, 3, 4], v=np.float32([1, 1, -1, 0]))
    assert (wrong.operand, wrong.element) == ("v", 2)


def test_value_that_is_not_selected_is_no_violation(model):
    made = model("c = Greater(x, half) l = Log(x) m = Mul(l, l) y = Where(c, m, x)", constants=CONSTANTS)
    assert found(made, [-1, 2, 3, 0]) is None


def test_value_that_is_selected_is_a_violation(model):
    made = model("c = Less(x, half) l = Log(x) y = Where(c, l, x)", constants=CONSTANTS)
    assert found(made, [1, 2, 3, 0]).element == 3


def test_model_that_cannot_be_run_is_an_error(model):
    with pytest.raises(ModelError):
        found(model("y = Sqrt(x)"), [1, 2, 3])
