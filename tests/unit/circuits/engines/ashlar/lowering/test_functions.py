import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from zkinfer.circuits.engines.ashlar.lowering.functions import DEFAULTS, FUNCTIONS, evaluated, exact
from zkinfer.circuits.errors import UnsupportedModelError

POINTS = [Fraction(n, 8) for n in (-200, -33, -20, -8, -5, -1, 0, 1, 3, 8, 13, 27, 64, 200)]
UNARY = sorted(set(FUNCTIONS) - {"Add", "Sub", "Sum", "Mul", "Div", "Max", "Min", "Pow", "PRelu", "Clip"})


def run(operator, *operands, **attributes):
    return evaluated([(operator, operands or (None,), attributes)], Fraction(5, 2))


def defaults(operator):
    return {name: exact(value) for name, value in DEFAULTS.get(operator, {}).items()}


def standard(operator, point):
    """The value of the ONNX standard's own implementation in float64, where it has one."""
    ports = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with np.errstate(all="ignore"):
        return float(ReferenceEvaluator(model).run(None, {"x": np.array([float(point)])})[0][0])


@pytest.mark.parametrize("operator", UNARY)
def test_functions_are_those_of_the_standard(operator):
    for point in POINTS:
        value = evaluated([(operator, (None,), defaults(operator))], point)
        wanted = standard(operator, point)
        if value is None:
            assert not math.isfinite(wanted)
        else:
            rough = 1e-4 if operator == "Gelu" else 1e-6  # the standard's own code rounds the root of 2 to float32
            assert float(value) == pytest.approx(wanted, rel=rough, abs=1e-12)


@pytest.mark.parametrize("operator", ["Exp", "Sigmoid", "Tanh", "Erf", "Gelu", "Elu", "Mish"])
def test_transcendental_functions_are_rational_at_zero_only(operator):
    assert isinstance(evaluated([(operator, (None,), defaults(operator))], Fraction(0)), Fraction) or operator == "Mish"
    assert isinstance(evaluated([(operator, (None,), defaults(operator))], Fraction(-1, 3)), Decimal)


@pytest.mark.parametrize(
    "operator", ["LeakyRelu", "HardSigmoid", "HardSwish", "Relu", "Softsign", "ThresholdedRelu", "Abs"]
)
def test_piecewise_rational_functions_stay_rational(operator):
    for point in POINTS:
        assert isinstance(evaluated([(operator, (None,), defaults(operator))], point), Fraction)


def test_attributes_are_numbers_of_float32():
    assert exact(0.01) == Fraction(float(np.float32(0.01)))
    assert exact(0.01) != Fraction(1, 100)


def test_division_by_zero_is_undefined():
    assert run("Div", None, Fraction(0)) is None
    assert run("Reciprocal", Fraction(0)) is None
    assert run("Div", Fraction(0), None) == 0


def test_undefined_step_makes_the_chain_undefined():
    steps = [("Sub", (None, Fraction(5, 2)), {}), ("Reciprocal", (0,), {}), ("Mul", (1, Fraction(0)), {})]
    assert evaluated(steps, Fraction(5, 2)) is None
    assert evaluated(steps, Fraction(3)) == 0


@pytest.mark.parametrize(
    ("exponent", "value"),
    [(Fraction(2), Fraction(25, 4)), (Fraction(-1), Fraction(2, 5)), (Fraction(0), 1), (Fraction(3), Fraction(125, 8))],
)
def test_whole_powers_are_rational(exponent, value):
    assert run("Pow", None, exponent) == value


def test_roots_of_squares_are_rational():
    assert run("Sqrt", Fraction(9, 16)) == Fraction(3, 4)
    assert isinstance(run("Sqrt", Fraction(2)), Decimal)
    assert run("Sqrt", Fraction(-1)) is None
    assert run("Pow", Fraction(9, 4), Fraction(1, 2)) == Fraction(3, 2)


def test_broken_powers_of_negative_numbers_are_undefined():
    assert run("Pow", Fraction(-2), Fraction(3, 2)) is None
    assert run("Pow", Fraction(0), Fraction(-2)) is None
    assert run("Pow", Fraction(0), Fraction(3, 2)) == 0


def test_logarithm_is_undefined_from_zero_down():
    assert run("Log", Fraction(0)) is None
    assert float(run("Log", Fraction(5))) == pytest.approx(math.log(5))


def test_clip_keeps_rationals():
    assert run("Clip", None, low=Fraction(0), high=Fraction(2)) == 2
    assert run("Clip", None, low=Fraction(3)) == 3
    assert isinstance(run("Clip", None, high=Fraction(2)), Fraction)


def test_what_depends_on_a_decimal_is_one():
    steps = [("Exp", (None,), {}), ("Clip", (0,), {"high": Fraction(1, 2)})]
    assert evaluated(steps, Fraction(1)) == Decimal("0.5")
    assert isinstance(evaluated(steps, Fraction(1)), Decimal)


def test_huge_and_tiny_results_are_short():
    assert evaluated([("Exp", (None,), {})], Fraction(10**6)) == Decimal(10) ** 60
    assert 0 < evaluated([("Exp", (None,), {})], Fraction(-(10**6))) < Decimal(10) ** -50


def test_error_function_has_sixty_digits():
    # erf(1/2) from tables of mathematical constants
    wanted = Decimal("0.5204998778130465376827466538919645287364515757579637000588")
    assert abs(evaluated([("Erf", (None,), {})], Fraction(1, 2)) - wanted) < Decimal(10) ** -57


def test_error_function_near_one_keeps_its_sign():
    for point in (Fraction(13), Fraction(15), Fraction(-15)):
        assert float(evaluated([("Erf", (None,), {})], point)) == math.copysign(1, point)


def test_attribute_names_are_those_of_the_standard():
    for operator, names in DEFAULTS.items():
        known = onnx.defs.get_schema(operator).attributes
        for name, value in names.items():
            assert known[name].default_value.f == np.float32(value)


@pytest.mark.parametrize("point", [Fraction(5), Fraction(30_000)])
def test_chain_beyond_what_decimals_hold_is_refused_with_its_point(point):
    steps = [("Exp", (None,), {}), ("Exp", (0,), {}), ("Exp", (1,), {})]
    with pytest.raises(UnsupportedModelError, match=rf"with Exp has no number .* at {point}\.") as caught:
        evaluated(steps, point)
    assert caught.value.cure == "Clip the input of the activation."
