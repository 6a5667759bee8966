"""Upper bounds, in bits, of the integers that operators compute: one rule for each group of operators.

The rules were derived from the engine's source and tested with forged proofs. They rely on these facts:

- Products are rescaled, and so range-checked, only if their scale exceeds the largest one. The scale that the engine
  gives a value is known only within bounds, `scale` and `top`.
- A multiplication by a power of two below 1 only renames the scale. Such scales grow without limit, and operands of a
  sum are multiplied by two to the difference of their scales.
- Results of lookups are any value of the table, and are not range-checked.
- The engine's reader of ONNX merges a product with constants and means that follow it, and drops the check between
  them: `unchecked` bounds a value without its last check.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from zkinfer.circuits.engines.ezkl import bounds as groups
from zkinfer.circuits.engines.ezkl.bounds import MAX_SHIFT, Bound, Step, size_of

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ezkl.run_args import EzklArguments

_TABLE_BITS = 127.0  # the largest integer that a lookup table holds
_TABLE_REACH = 27.0  # bits of the largest argument: four blocks of 2^24 rows
_UNSCALED = (groups.COMPARISONS | groups.LOGIC) - {"Equal"}  # which has the scale of its operands
_WHOLE_NUMBERS = frozenset({TensorProto.BOOL, TensorProto.INT64, TensorProto.INT32, TensorProto.INT16,
                            TensorProto.INT8, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32,
                            TensorProto.UINT64})  # fmt: skip


class Rules:
    """Rules that propagate bounds through operators, under these run arguments."""

    def __init__(self, arguments: EzklArguments) -> None:
        self._arguments = arguments
        self._param = arguments.param_scale
        self._checked = math.log2(arguments.integer_limit)
        self._common = max(arguments.input_scale, arguments.param_scale)
        self._largest = arguments.scale_rebase_multiplier * self._common

    def input(self, port: onnx.ValueInfoProto) -> Bound:
        """Inputs are range-checked; integers have no scale."""
        is_float = port.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
        scale = self._arguments.input_scale if is_float else 0
        return Bound(self._checked, scale, scale)

    def constant(self, array: NDArray[np.float64], *, typed: bool = False) -> Bound:
        """Constants have `param_scale`; integers, if `typed` as such, 0, which is conservative for whole floats."""
        if typed:
            return Bound(size_of(array), 0, 0)
        whole = not np.mod(array, 1.0).any()
        return Bound(size_of(array) + self._param, 0 if whole else self._param, self._param)

    def apply(self, step: Step) -> tuple[float, Bound]:
        """The maximum number of bits while the operator is computed, and the bound of its result."""
        before, result = self._result(step)
        unchecked = self._unchecked(step, before, result)
        return max(before, unchecked), replace(result, unchecked=unchecked)

    def _unchecked(self, step: Step, before: float, result: Bound) -> float:
        """Growth by a constant or a sum adds to that of the unchecked operand."""
        if step.kind in groups.MOVES:
            return max(before, step.unchecked)
        if step.kind in groups.MERGED_BY_READER:
            return max(before, step.unchecked + step.terms + self._param)
        if step.kind == "BatchNormalization":
            return max(before, before + step.unchecked - step.operands[0].bits)
        place = step.constant
        if place is not None and step.kind in ("Add", "Div", "Mul", "Sub"):
            return max(before, self._with_constant(step, place))
        return before if step.kind in groups.PRODUCTS | {"Pow", "ReduceSumSquare"} else result.bits

    def _with_constant(self, step: Step, place: int) -> float:
        constant, other = step.operands[place], step.operands[1 - place].widest
        if step.kind in groups.BINARY_SUMS:
            return 1 + max(other, constant.bits + self._largest + step.top)
        return other + (self._param + size_of(_inverse(step.arrays[place])) if step.kind == "Div" else constant.bits)

    def _result(self, step: Step) -> tuple[float, Bound]:  # noqa: PLR0911 - a table of groups
        kind = step.kind
        if kind == "Mul" and step.constant is not None:
            return self._scaled(step, step.constant)
        if kind == "Div":
            return self._divided(step) if step.constant == 1 else self._quotient(*step.operands)
        if kind in groups.PRODUCTS:
            return self._product(step)
        if kind in groups.MEANS | groups.SUMS:
            return self._sum(step)
        if kind in groups.ROUNDED or (kind == "Cast" and helper.get_node_attr_value(step.node, "to") in _WHOLE_NUMBERS):
            bits = 1 + max(step.operands[0].bits, step.top)
            return bits, Bound(bits, 0, step.top)
        if kind in groups.MOVES:
            return step.aligned, Bound(step.aligned, min(one.scale for one in step.data), step.top)
        return self._looked_up(step) if kind in groups.LOOKED_UP else self._other(step)

    def _looked_up(self, step: Step) -> tuple[float, Bound]:
        """Arguments are confined to the table; results are any value of it."""
        operand = step.operands[0]
        if step.kind in groups.BOUNDED:
            bits = operand.top + 2.0
        else:
            bits = _TABLE_BITS if step.kind in groups.UNBOUNDED else MAX_SHIFT + float(operand.top)
        return operand.bits, Bound(bits, operand.scale, operand.top)

    def _other(self, step: Step) -> tuple[float, Bound]:
        if step.kind in groups.DECOMPOSED | groups.DISCRETE or step.kind == "Sqrt":
            return self._decomposed(step)
        rules = {
            "BatchNormalization": self._normalised,
            "Pow": self._power,
            "Reciprocal": lambda step: self._reciprocal(step.operands[0]),
            "ReduceL2": self._norm,
            "ReduceProd": self._product_of_all,
            "ReduceSumSquare": self._sum_of_squares,
            "Softmax": self._softmax,
        }
        return rules.get(step.kind, self._composite)(step)

    def _decomposed(self, step: Step) -> tuple[float, Bound]:
        operand = step.operands[0]
        if step.kind in groups.DISCRETE:
            truth = step.kind in groups.COMPARISONS or (
                step.kind in groups.LOGIC and all(one.bits <= 1 for one in step.operands)
            )
            top = 0 if step.kind in _UNSCALED else step.top
            return step.aligned + 1, Bound(1.0 if truth else self._checked, 0, top)
        before = operand.bits + 1 if step.kind in groups.DECOMPOSED else self._root(operand)
        return before, Bound(self._checked, operand.scale, operand.top)

    def _sum_of_squares(self, step: Step) -> tuple[float, Bound]:
        """The squares are rescaled before they are summed, and the sum is not checked."""
        operand = step.operands[0]
        _, square = self._rescaled(2 * operand.bits, 2 * operand.scale, 2 * operand.top)
        return 2 * operand.bits + step.terms, replace(square, bits=square.bits + step.terms)

    def _norm(self, step: Step) -> tuple[float, Bound]:
        """Squares, their sum, and its root: three operators in the engine."""
        bits, squares = self._sum_of_squares(step)
        return max(bits, self._root(squares)), replace(squares, bits=self._checked)

    def _product_of_all(self, step: Step) -> tuple[float, Bound]:
        bits = 2**step.terms * step.operands[0].bits
        return bits, Bound(bits, step.operands[0].scale, self._largest_scale(step))

    def _largest_scale(self, step: Step) -> int:
        return max(step.top, self._largest)

    def _rescaled(self, bits: float, scale: int, top: int) -> tuple[float, Bound]:
        """A product, which the engine rescales, and so range-checks, if its scale is too large."""
        after = self._checked if scale > self._largest else bits
        return bits, Bound(after, min(scale, self._largest), min(top, self._largest))

    def _product(self, step: Step) -> tuple[float, Bound]:
        """A bias is shifted to the scale of the products that it is added to."""
        with_bias = step.kind in groups.WITH_BIAS
        factors, biases = (step.operands[:2], step.operands[2:]) if with_bias else (step.operands, ())
        bits = sum(one.bits for one in factors) + (0.0 if step.kind == "Mul" else step.terms)
        top = sum(one.top for one in factors)
        added = [1 + max(bits, one.bits + max(0, top - one.scale)) for one in biases]
        return self._rescaled(max([bits, *added]) + self._attributes(step), sum(one.scale for one in factors), top)

    def _attributes(self, step: Step) -> float:
        """Growth by factors in attributes, such as alpha."""
        values = [abs(entry.f) for entry in step.node.attribute if entry.type == entry.FLOAT]
        return sum((math.log2(1 + value) + self._param for value in values if value != 1.0), 0.0)

    def _scaled(self, step: Step, place: int) -> tuple[float, Bound]:
        """Multiplication by a constant: a product or, for a power of two below 1, only a renamed scale."""
        factor, operand = _known(step.arrays[place]), step.operands[1 - place]
        if step.kind == "Mul" and step.operands[place].top == 0:  # integers
            return self._rescaled(operand.bits + step.operands[place].bits, operand.scale, operand.top)
        constant = self.constant(factor)
        bits, product = self._rescaled(operand.bits + constant.bits, operand.scale + constant.scale, self._largest)
        if factor.size > 1:
            return bits, product
        after = max(product.bits, operand.bits) if _only_renames_scale(factor) else product.bits
        scale = min(operand.scale, product.scale) if _only_renames_scale(factor) else product.scale
        steepness = size_of(_inverse(factor)) if factor.any() else 0.0
        return bits, Bound(after, scale, operand.top + max(self._param, math.ceil(steepness)))

    def _divided(self, step: Step) -> tuple[float, Bound]:
        """Division by a constant: a product with its inverse, a lookup, or a quotient guessed and range-checked."""
        divisor = _known(step.arrays[1])
        inverse, size = _inverse(divisor), size_of(divisor)
        one = Step(step.node, step.operands, (None, inverse), step.terms)
        bits, product = self._scaled(one, 1)
        bits = max(bits, self._checked + size + 1)
        after = max(product.bits, _TABLE_REACH + size_of(inverse), self._checked)
        top = step.operands[0].top + max(self._param, math.ceil(size) if math.isfinite(size) else 0)
        return bits, Bound(after, min(step.operands[0].scale, product.scale), max(top, product.top))

    def _reciprocal(self, operand: Bound) -> tuple[float, Bound]:
        """The inverse is guessed, range-checked and multiplied by the value, and so are its neighbours."""
        top = max(self._common, operand.top)
        return 2 + max(self._checked + operand.bits, operand.top + top), Bound(self._checked, self._common, top)

    def _quotient(self, dividend: Bound, divisor: Bound) -> tuple[float, Bound]:
        before, inverse = self._reciprocal(divisor)
        bits, result = self._rescaled(
            dividend.bits + inverse.bits, dividend.scale + inverse.scale, dividend.top + inverse.top
        )
        return max(before, bits), result

    def _root(self, operand: Bound) -> float:
        """The root is guessed, range-checked, squared, and compared with the value at twice its scale."""
        return 2 + max(2 * self._checked, operand.bits + operand.top)

    def _sum(self, step: Step) -> tuple[float, Bound]:
        scale = min(one.scale for one in step.data)
        terms = 1.0 if step.kind in groups.BINARY_SUMS else step.terms
        bits = step.aligned + terms + (self._param if step.kind in groups.MEANS else 0)
        if step.kind not in groups.MEANS:
            return bits, Bound(bits, max(one.scale for one in step.data), step.top)
        return bits, Bound(bits, scale, step.top + max(self._param, math.ceil(terms)))

    def _power(self, step: Step) -> tuple[float, Bound]:
        """A power with an integer exponent is a product; any other is looked up, or a root."""
        base, exponent = step.operands[0], step.arrays[1]
        if exponent is None or np.mod(exponent, 1.0).any() or step.arrays[0] is not None:
            times = 1.0 if exponent is None else max(1.0, float(exponent.max(initial=1.0)))
            before = max(times * base.bits, step.operands[1].bits, self._root(base))
            return before, Bound(max(_TABLE_BITS, times * base.bits), 0, self._largest_scale(step))
        times = max(1.0, float(exponent.max(initial=1.0)))
        least = max(1, int(exponent.min(initial=1e9)))
        return self._rescaled(times * base.bits, base.scale * least, math.ceil(times) * base.top)

    def _softmax(self, step: Step) -> tuple[float, Bound]:
        """Softmax subtracts the maximum, so that no exponential exceeds 1; their sum is inverted."""
        operand = step.operands[0]
        each = operand.top + 1.0
        before, inverse = self._reciprocal(Bound(each + step.terms, operand.scale, operand.top))
        bits, result = self._rescaled(each + inverse.bits, operand.scale + inverse.scale, operand.top + inverse.top)
        return max(before, bits, operand.bits + 1), result

    def _normalised(self, step: Step) -> tuple[float, Bound]:
        """A constant factor and offset for each channel."""
        operand, (slope, shift, mean, variance) = step.operands[0], step.arrays[1:5]
        epsilon = next((entry.f for entry in step.node.attribute if entry.name == "epsilon"), 1e-5)
        factor = _known(slope) / np.sqrt(_known(variance) + epsilon)
        offset = _known(shift) - _known(mean) * factor
        bits = operand.bits + size_of(factor) + self._param
        bits = 1 + max(bits, size_of(offset) + self._param + self._largest + operand.top)
        return bits, Bound(bits, operand.scale, operand.top + self._param)

    def _composite(self, step: Step) -> tuple[float, Bound]:
        """An operator that the engine composes of products and checks: the maximum number of factors between checks."""
        factors = 2 * self._arguments.scale_rebase_multiplier
        widest = max(step.aligned, *(one.bits for one in step.operands))
        bits = max(2 * widest, factors * self._checked) + factors * step.terms + self._attributes(step)
        if step.kind in groups.NORMALISATIONS:
            bits += 2 * step.top
        if step.kind in groups.EXPONENTIAL or (step.kind in groups.RECURRENT and _has_unbounded_activations(step.node)):
            bits = max(bits, _TABLE_BITS + step.terms + 2 * step.top) + self._attributes(step)
        return bits, Bound(bits, 0, self._largest_scale(step))


def _has_unbounded_activations(node: onnx.NodeProto) -> bool:
    """Whether a recurrence has activations other than sigmoid and tanh, whose results are at most 1."""
    names = [name for entry in node.attribute if entry.name == "activations" for name in entry.strings]
    return not {name.decode().lower() for name in names} <= {"sigmoid", "tanh"}


def _only_renames_scale(factor: NDArray[np.float64]) -> bool:
    """Whether the engine may implement a multiplication by renaming the scale: by a single power of two below 1."""
    if factor.size != 1 or not 0 < float(factor.reshape(())) < 1:
        return False
    return math.frexp(float(factor.reshape(())))[0] == 0.5


def _known(array: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The constant, or NaN, which has no bound."""
    return np.array(np.nan) if array is None else array


def _inverse(array: NDArray[np.float64] | None) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / _known(array))
