"""Interpreter of the engine's compiled programs on 64-bit integers: the same answers, about a hundred times faster.

The engine computes a witness: every cell of every column, in a field of 254 bits. The answer alone needs only the
integers, which follow from the compiled program (`program`): each function here implements its operator as
`circuit/ops/layouts.rs` does, and records the values that the circuit range-checks. Programs and integers beyond this
arithmetic raise an error, and the engine computes them; nothing is approximated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ezkl.program import LARGEST, UnknownProgramError, read_compiled
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ezkl.program import Operator

    Integers = NDArray[np.int64]
    Rule = Callable[..., Integers]

_EXACT = 1 << 53  # below it the engine's division, in doubles, is exact
_CHANNELS_FIRST, _OUTPUTS_FIRST = 0, 1  # the formats NCHW and OIHW


class TooLargeError(Exception):
    """An integer exceeds 64-bit arithmetic; it may still fit the circuit."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The outputs of a forward pass, row-major, and the largest magnitude that the circuit decomposes."""

    outputs: list[list[int]]
    widest: int


class Arithmetic:
    """The forward pass of one compiled program; thread-safe.

    `input_sizes` are the numbers of integers per input, in the engine's order.

    Raises:
        UnknownProgramError: the program has unsupported operators.
    """

    def __init__(self, program: bytes) -> None:
        self._compiled = read_compiled(program)
        self.input_sizes = [math.prod(self._compiled.nodes[number].shape) for number in self._compiled.inputs]
        operators = [node.operator for node in self._compiled.nodes.values()]
        for operator in operators:
            _require_known(operator)
        constants = [operator.arguments for operator in operators if operator.name == "Constant"]
        self._widest_constant = max((_magnitude(values) for values, checked in constants if checked), default=0)

    def forward(self, inputs: Sequence[Sequence[int]]) -> Pass:
        """Run one pass over inputs in row-major order.

        Raises:
            EngineError: the sizes of the inputs differ from those of the program.
            TooLargeError: an integer exceeds this arithmetic.
        """
        if [len(tensor) for tensor in inputs] != self.input_sizes:
            raise EngineError("The sizes of the inputs differ from those of the program.")
        given = dict(zip(self._compiled.inputs, inputs, strict=True))
        results: dict[int, Integers] = {}
        widest = _Widest(self._widest_constant)
        for number, node in self._compiled.nodes.items():
            operands = [_as_array(given[number])] if number in given else [results[one] for one in node.operands]
            results[number] = _computed(node.operator, operands, widest).reshape(node.shape)
        return Pass([results[number].ravel().tolist() for number in self._compiled.outputs], widest.magnitude)


class _Widest:
    """Tracks the largest magnitude that the circuit decomposes into digits, which must not exceed their range."""

    def __init__(self, magnitude: int) -> None:
        self.magnitude = magnitude

    def note(self, *decomposed: Integers) -> None:
        self.magnitude = max(self.magnitude, *map(_magnitude, decomposed))


def _computed(operator: Operator, operands: list[Integers], widest: _Widest) -> Integers:
    if operator.factors:
        operands = [_product(one, np.array(factor)) for one, factor in zip(operands, operator.factors, strict=True)]
    if operator.name in _COMPARED:
        operands = [_COMPARED[operator.name](*operands)]
    if operator.name in _DECOMPOSED or (operator.name == "Input" and operator.arguments[-1]):
        widest.note(*operands)
    return _divided(_RULES[operator.name](*operands, *operator.arguments), operator.divisor, widest)


def _divided(values: Integers, divisor: float, widest: _Widest) -> Integers:
    """Division with rounding to the nearest integer, half away from 0; the circuit decomposes both sides."""
    if divisor == 1:
        return values
    _require(_magnitude(values) < _EXACT)
    exact = values / divisor
    whole = np.trunc(exact)
    up = np.abs(exact - whole) >= 0.5
    quotient = (whole + np.copysign(up, exact)).astype(np.int64)
    rest = np.abs(values - quotient * int(divisor))
    widest.note(quotient, rest, int(divisor) - rest)
    return quotient


def _require_known(operator: Operator) -> None:
    """Raise UnknownProgramError for arguments that the rules do not cover."""
    formats = {"Conv": operator.arguments[-2:], "SumPool": operator.arguments[-1:]}.get(operator.name, ())
    if formats not in ((), (_CHANNELS_FIRST,), (_CHANNELS_FIRST, _OUTPUTS_FIRST)):
        raise UnknownProgramError("The program has images in an unsupported format.")
    if operator.name == "LeakyReLU" and operator.arguments[0] != 0:
        raise UnknownProgramError("The program has a slope below 0.")
    if operator.divisor < 1 or operator.divisor % 1:  # looked up in a table
        raise UnknownProgramError("The program divides by a fraction.")


# --- integers


def _require(fits: bool) -> None:
    """Raise TooLargeError unless a condition holds under which numpy computes the same as the engine."""
    if not fits:
        raise TooLargeError("An integer exceeds 64 bits.")


def _magnitude(values: Integers) -> int:
    """The largest magnitude."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _as_array(values: Sequence[int]) -> Integers:
    try:
        array = np.array(values, np.int64)
    except OverflowError as err:
        raise TooLargeError("An input exceeds 64 bits.") from err
    _require(_magnitude(array) < LARGEST)
    return array


def _same_rank(*operands: Integers) -> None:
    """Require equal ranks: otherwise the engine broadcasts from the first axis, numpy from the last."""
    _require(len({one.ndim for one in operands}) == 1)


# --- operators: operands first, then the arguments of the engine's operator


def _sum_of(left: Integers, right: Integers) -> Integers:
    _same_rank(left, right)
    _require(_magnitude(left) + _magnitude(right) < LARGEST)
    return left + right


def _difference(left: Integers, right: Integers) -> Integers:
    return _sum_of(left, -right)


def _product(left: Integers, right: Integers) -> Integers:
    _require(_magnitude(left) * _magnitude(right) < LARGEST)
    return np.multiply(left, right)


def _pairwise_product(left: Integers, right: Integers) -> Integers:
    _same_rank(left, right)
    return _product(left, right)


def _power(values: Integers, exponent: int) -> Integers:
    result = values
    for _ in range(1, exponent):
        result = _product(result, values)
    return result


def _einsum(*operands_and_equation: Any) -> Integers:  # noqa: ANN401 - tensors, and the equation last
    *operands, equation = operands_and_equation
    terms, _, kept = equation.partition("->")
    # The engine gives a scalar, which has no axes, the shape [1].
    operands = [one if axes else one.reshape(()) for axes, one in zip(terms.split(","), operands, strict=True)]
    sizes = {
        axis: size
        for axes, operand in zip(terms.split(","), operands, strict=True)
        for axis, size in zip(axes, operand.shape, strict=True)
    }
    summed = math.prod(size for axis, size in sizes.items() if axis not in kept)
    _require(math.prod(_magnitude(operand) for operand in operands) * summed < LARGEST)
    result_axes = "".join(axis for axis in kept if axis in sizes)  # other axes have one element; the node has the shape
    return np.asarray(np.einsum(f"{terms}->{result_axes}", *operands))


def _summed(values: Integers, axes: Sequence[int]) -> Integers:
    _require(_magnitude(values) * math.prod(values.shape[axis] for axis in axes) < LARGEST)
    return np.asarray(values.sum(axis=tuple(axes), keepdims=True))


def _windows(image: Integers, padding: Sequence[tuple[int, int]], stride: Sequence[int], kernel: Sequence[int]) -> Any:  # noqa: ANN401
    """Sliding windows: batch, channels, places..., offsets..."""
    padded = np.pad(image, [(0, 0), (0, 0), *padding])
    axes = tuple(range(2, image.ndim))
    found = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel), axis=axes)
    return found[(slice(None), slice(None), *(slice(None, None, step) for step in stride))]


def _convolution(image: Integers, kernel: Integers, *rest: Any) -> Integers:  # noqa: ANN401 - a bias, if any, and arguments
    *bias, padding, stride, groups, _, _ = rest
    _require(_magnitude(image) * _magnitude(kernel) * math.prod(kernel.shape[1:]) < LARGEST)
    windows = _windows(image, padding, stride, kernel.shape[2:])
    batch, _, *shape = windows.shape
    grouped = windows.reshape(batch, groups, kernel.shape[1], *shape)
    filters = kernel.reshape(groups, -1, *kernel.shape[1:])
    offsets = "xyzw"[: kernel.ndim - 2]
    places = "abcd"[: kernel.ndim - 2]
    found = np.einsum(f"ngi{places}{offsets},goi{offsets}->ngo{places}", grouped, filters)
    found = found.reshape(batch, -1, *shape[: kernel.ndim - 2])
    return _sum_of(found, bias[0].reshape(1, -1, *[1] * (kernel.ndim - 2))) if bias else found


def _sum_pool(image: Integers, padding: Any, stride: Any, kernel: Sequence[int], _: int) -> Integers:  # noqa: ANN401
    _require(_magnitude(image) * math.prod(kernel) < LARGEST)
    windows = _windows(image, padding, stride, kernel)
    return np.asarray(windows.sum(axis=tuple(range(-len(kernel), 0))))


def _broadcast(values: Integers, shape: Sequence[int]) -> Integers:
    _require(values.ndim == len(shape))
    return np.broadcast_to(values, tuple(shape))


def _sliced(values: Integers, axis: int, start: int, end: int) -> Integers:
    return values[(slice(None),) * axis + (slice(start, end),)]


def _unchanged(values: Integers, *_: object) -> Integers:
    """Operators that only change the shape, which the node declares."""
    return values


def _taken(values: Integers, axis: int, places: Integers) -> Integers:
    return values.take(places.ravel(), axis)


_COMPARED: Mapping[str, Rule] = {  # the difference, which is compared with 0
    "Greater": _difference,
    "GreaterEqual": lambda left, right: _difference(left + 1, right),
    "Less": lambda left, right: _difference(right, left),
    "LessEqual": lambda left, right: _difference(right + 1, left),
}
_DECOMPOSED = frozenset({"Abs", "LeakyReLU", *_COMPARED})
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_COMPARED, lambda difference: (difference > 0).astype(np.int64)),
    "Abs": np.abs,
    "Add": _sum_of,
    "Concat": lambda *given: np.concatenate(given[:-1], axis=given[-1]),
    "Constant": _unchanged,
    "Conv": _convolution,
    "Einsum": _einsum,
    "Gather": _taken,
    "Identity": _unchanged,
    "Input": _unchanged,
    "LeakyReLU": lambda values, *_: np.maximum(values, 0),
    "MoveAxis": np.moveaxis,
    "Mult": _pairwise_product,
    "MultiBroadcastTo": _broadcast,
    "Neg": np.negative,
    "Pad": np.pad,
    "Pow": _power,
    "Reshape": _unchanged,
    "Slice": _sliced,
    "Sub": _difference,
    "Sum": _summed,
    "SumPool": _sum_pool,
}
