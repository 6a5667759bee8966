"""Parser of the engine's compiled program: its operators, their order, and their integer arguments.

The engine serialises it with bincode 1 in the order of the fields of its types (`GraphCircuit` in `graph/mod.rs`,
`Node` in `graph/node.rs`, the operators in `circuit/ops`): fixed-size little-endian integers, sequences prefixed by
their length, and enumerations as the number of the variant. The tables list the operators that `interpreter` supports.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.engines.ezkl.instances import MODULUS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Read = Callable[["_Reader"], Any]

LARGEST = 1 << 62
_WORD = 32  # bytes of an element of the field
_LIMBS = np.frombuffer(MODULUS.to_bytes(_WORD, "little"), np.uint64)


class UnknownProgramError(Exception):
    """The program has a feature that the interpreter does not support."""


@dataclass(frozen=True, slots=True)
class Operator:
    """The engine's name of an operator, and its arguments.

    Inputs and constants are nodes too; their last argument is whether they are range-checked. Operands are multiplied
    by `factors`, if any, and the result is divided by `divisor`.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    factors: tuple[int, ...] = ()
    divisor: float = 1


@dataclass(frozen=True, slots=True)
class Node:
    """An operator, the numbers of the nodes that compute its operands, and the shape of its result."""

    operator: Operator
    operands: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Nodes by number, in execution order, and the numbers of the inputs and outputs."""

    nodes: Mapping[int, Node]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_compiled(data: bytes) -> Compiled:
    """Parse a compiled program.

    Raises:
        UnknownProgramError: the program has unsupported operators, or another format.
    """
    reader = _Reader(data)
    try:
        nodes = {reader.natural(): _node(reader) for _ in range(reader.natural())}
        return Compiled(nodes, _naturals(reader), _outlets(reader))
    except (struct.error, UnicodeDecodeError, ValueError) as err:
        raise UnknownProgramError("The program has an unknown format.") from err


class _Reader:
    """Consumes values from the front of a byte string."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._place = 0

    def number(self, form: str) -> Any:  # noqa: ANN401 - as the form says
        return struct.unpack("<" + form, self.taken(struct.calcsize("<" + form)))[0]

    def natural(self) -> int:
        return int(self.number("Q"))

    def taken(self, size: int) -> memoryview:
        if self._place + size > len(self._data):
            raise struct.error("too short")
        self._place += size
        return self._data[self._place - size : self._place]


def _tuple_of(read: Read) -> Callable[[_Reader], tuple[Any, ...]]:
    return lambda reader: tuple(read(reader) for _ in range(reader.natural()))


def _pair_of(first: Read, second: Read) -> Callable[[_Reader], tuple[Any, Any]]:
    return lambda reader: (first(reader), second(reader))


def _optional(read: Read) -> Read:
    return lambda reader: read(reader) if reader.number("?") else None


def _integer(reader: _Reader) -> int:
    return int(reader.number("i"))


def _float(reader: _Reader) -> float:
    return float(reader.number("f"))


def _flag(reader: _Reader) -> bool:
    return bool(reader.number("?"))


def _variant(reader: _Reader) -> int:
    return int(reader.number("I"))


def _factor(reader: _Reader) -> int:
    low, high = reader.natural(), reader.natural()
    return low + (high << 64)


def _text(reader: _Reader) -> str:
    return bytes(reader.taken(reader.natural())).decode()


_natural = _Reader.natural
_naturals = _tuple_of(_natural)
_ranges = _tuple_of(_pair_of(_natural, _natural))
_factors = _tuple_of(_pair_of(_natural, _factor))


def _outlets(reader: _Reader) -> tuple[int, ...]:
    """Numbers of nodes, each with a single result."""
    return tuple(node for node, _ in _ranges(reader))


def _elements(reader: _Reader) -> NDArray[np.int64]:
    words = np.frombuffer(reader.taken(_WORD * reader.natural()), np.uint64).reshape(-1, _WORD // 8)
    below = _LIMBS[0] - words[:, 0]  # no borrow from the next limb: the first one is larger than 2^62
    positive = (words[:, 0] < LARGEST) & ~words[:, 1:].any(axis=1)
    negative = (below < LARGEST) & (words[:, 1:] == _LIMBS[1:]).all(axis=1)
    if not (positive | negative).all():
        raise UnknownProgramError("The program has constants of more than 62 bits.")
    return np.where(positive, words[:, 0].astype(np.int64), -below.astype(np.int64))


def _visibility(reader: _Reader) -> None:
    hashed = 2
    if _variant(reader) == hashed:
        raise UnknownProgramError("The program has hashed constants.")


def _tensor_of(values: Read) -> Read:
    def read(reader: _Reader) -> NDArray[Any]:
        array = np.asarray(values(reader))
        shape = _naturals(reader)
        _optional(_integer)(reader)  # its scale
        _optional(_visibility)(reader)
        return array.reshape(shape)

    return read


def _constant(reader: _Reader) -> Operator:
    integers = _tensor_of(_elements)(reader)
    _tensor_of(lambda rest: np.frombuffer(rest.taken(4 * rest.natural()), np.float32))(reader)  # before quantisation
    return Operator("Constant", (integers, _flag(reader)))


def _input(reader: _Reader) -> Operator:
    _integer(reader)  # its scale
    if _variant(reader) == 0:
        raise UnknownProgramError("The program has booleans as inputs.")
    return Operator("Input", (_flag(reader),))


_POLYNOMIAL: dict[int, tuple[str, tuple[Read, ...]]] = {
    0: ("Abs", ()),
    2: ("LeakyReLU", (_float, _integer)),
    7: ("MultiBroadcastTo", (_naturals,)),
    8: ("Einsum", (_text,)),
    9: ("Conv", (_ranges, _naturals, _natural, _variant, _variant)),
    12: ("Add", ()),
    13: ("Sub", ()),
    14: ("Neg", ()),
    15: ("Mult", ()),
    16: ("Identity", (_optional(_integer),)),
    17: ("Reshape", (_naturals,)),
    18: ("MoveAxis", (_natural, _natural)),
    19: ("Reshape", (_naturals,)),  # which it calls Flatten
    20: ("Pad", (_ranges,)),
    21: ("Sum", (_naturals,)),
    24: ("Pow", (_variant,)),
    25: ("Concat", (_natural,)),
    26: ("Slice", (_natural, _natural, _natural)),
}


def _polynomial(reader: _Reader) -> Operator:
    name, arguments = _chosen(_POLYNOMIAL, reader)
    return Operator(name, tuple(argument(reader) for argument in arguments))


def _division(reader: _Reader) -> Operator:
    return Operator("Identity", (None,), divisor=_float(reader))


def _sum_pool(reader: _Reader) -> Operator:
    padding, stride, kernel, normalised = _ranges(reader), _naturals(reader), _naturals(reader), _flag(reader)
    return Operator(
        "SumPool", (padding, stride, kernel, _variant(reader)), divisor=math.prod(kernel) if normalised else 1
    )


def _gather(reader: _Reader) -> Operator:
    axis, places = _natural(reader), _optional(_tensor_of(_naturals))(reader)
    if places is None:
        raise UnknownProgramError("The program gathers at computed indices.")
    return Operator("Gather", (axis, places))


_HYBRID: dict[int, Callable[[_Reader], Operator]] = {
    8: _division,
    11: _sum_pool,
    19: lambda _: Operator("Greater"),
    20: lambda _: Operator("GreaterEqual"),
    21: lambda _: Operator("Less"),
    22: lambda _: Operator("LessEqual"),
    24: _gather,
}


def _hybrid(reader: _Reader) -> Operator:
    operator: Operator = _chosen(_HYBRID, reader)(reader)
    return operator


def _rescaled(reader: _Reader) -> Operator:
    inner = _operator(reader)
    return replace(inner, factors=tuple(factor for _, factor in _factors(reader)))


def _rebased(reader: _Reader) -> Operator:
    inner, division = _operator(reader), _hybrid(reader)
    _integer(reader), _integer(reader), reader.number("d")  # scales, and the divisor again
    if inner.divisor != 1:
        raise UnknownProgramError("The program divides twice in one operator.")
    return replace(inner, divisor=division.divisor)


_KINDS: dict[int, Callable[[_Reader], Operator]] = {
    0: _polynomial,
    2: _hybrid,
    3: _input,
    4: _constant,
    6: _rescaled,
    7: _rebased,
}


def _operator(reader: _Reader) -> Operator:
    operator: Operator = _chosen(_KINDS, reader)(reader)
    return operator


def _node(reader: _Reader) -> Node:
    if _variant(reader) != 0:
        raise UnknownProgramError("The program has a nested program.")
    operator = _operator(reader)
    _integer(reader)  # the scale of its result
    node = Node(operator, _outlets(reader), _naturals(reader))
    _natural(reader)  # its number again
    if _natural(reader) == 1 and operator.name == "Constant":  # a constant that is used once has no cell of its own
        return replace(node, operator=replace(operator, arguments=(operator.arguments[0], False)))
    return node


def _chosen(table: Mapping[int, Any], reader: _Reader) -> Any:  # noqa: ANN401 - an entry of the table
    variant = _variant(reader)
    if variant not in table:
        raise UnknownProgramError(f"The program has an unsupported operator, variant {variant}.")
    return table[variant]
