"""Masks of a Softmax: constants such as -inf, the least float32 or -10000 that take a place out of its sum.

No circuit holds such numbers, and none has to: after a Softmax every place that lies `HELD` below the others is 0, as
it is in floats. So they are held at that, wherever they enter (added, chosen, or as the factor of a mask that is an
input), if nothing but a Softmax reads what they are part of. This module finds them; `masked_softmax` rewrites.
Imported in the child only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import numpy_helper

from zkinfer.circuits.frontend.graph import DTYPES, FLOATS, Facts
from zkinfer.circuits.frontend.passes.composites import before_reshapes, softmax_by_hand, unshifted
from zkinfer.circuits.frontend.passes.exponentials import softmax_axes
from zkinfer.circuits.frontend.passes.rewrite import MOVES, all_float32, is_integral, node_key
from zkinfer.circuits.frontend.validate import label

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx
    from numpy.typing import NDArray

HELD = 1024.0  # far more than scores differ by, and far less than what widens a circuit
KEPT = 65536.0  # what float16 holds, and so -10000, stays as it is: it keeps digits of the scores that are added to it
HIDDEN = 1.5 * HELD  # places that -inf hides lie below this
_ENDS = 1.8e38  # two such numbers make infinity in float32
ABSORBS = 2.0**29  # in float32, a score of 16 is lost when it is added to this
_FACTORS = (2.0**-10, 2.0**10)  # masks are not followed through larger or smaller ones
_STEPS, _DEPTH = 20_000, 64


class Sink(NamedTuple):
    """A softmax: the node that computes it, what it is of, and its axes."""

    node: onnx.NodeProto
    value: str
    axes: list[int]


@dataclass(frozen=True, slots=True)
class Mask:
    """A constant operand of a node, what is put in its place, and the number of largest magnitude in it.

    `still` says whether the node's result has the axes of the Softmax.
    """

    node: onnx.NodeProto
    place: int
    held: NDArray[Any]
    most: float
    still: bool

    @property
    def changes(self) -> bool:
        """Whether the circuit takes another number."""
        return abs(self.most) > float(np.abs(self.held).max())

    @property
    def nearest(self) -> float:
        """The number that is taken for `most`."""
        return float(np.copysign(np.abs(self.held).max(), self.most))


@dataclass(slots=True)
class Scores:
    """The masks in a value, and whether it depends on anything but masks."""

    masks: list[Mask] = field(default_factory=list)
    computed: bool = False

    @property
    def absorbs(self) -> bool:
        """Whether this takes the place of what it is added to, rather than being added."""
        return not self.computed and any(abs(mask.most) >= ABSORBS for mask in self.masks)


class Masks:
    """The masks of a model, with inferred shapes and folded constants.

    Args:
        facts: about the model.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts, self._steps = facts, 0
        self._feeds: dict[str, bool] = {}
        self.factors: dict[str, float] = {}  # by node: what multiplies its result before a Softmax
        self.sides: dict[tuple[str, int], Scores] = {}  # by node and place of an operand
        nodes = {node_key(node): node for node in facts.producers.values()}
        found = ((key, sink_of(node, facts)) for key, node in nodes.items())
        self.sinks = {key: sink for key, sink in found if sink is not None}
        self._ends: dict[str, list[Sink]] = {}
        for sink in self.sinks.values():
            self._ends.setdefault(sink.value, []).append(sink)
        self.scores = {key: self._walk(sink.value, 1.0) for key, sink in self.sinks.items()}

    def all(self) -> list[Mask]:
        """Each mask once; where two Softmaxes hold one differently, the number further away."""
        found: dict[tuple[str, int], Mask] = {}
        for mask in (mask for scores in self.scores.values() for mask in scores.masks):
            key = (node_key(mask.node), mask.place)
            if key not in found or abs(mask.nearest) > abs(found[key].nearest):
                found[key] = mask
        return list(found.values())

    def _walk(
        self, name: str, factor: float, depth: int = _DEPTH, *, still: bool = True, added: bool = False
    ) -> Scores:
        node, found = self._facts.producers.get(name), Scores()
        self._steps += 1
        if node is None or self._steps > _STEPS or not depth or not self._feeds_softmax(name):
            return Scores(computed=True)
        mask = self._factor(node, factor, still=still) if added else None
        if mask is not None:
            return Scores([mask])
        self.factors[node_key(node)] = factor
        for place, by in _operands(node, self._facts):
            side = self._constant(node, place, factor * by, still=still)
            if side is None:
                unmoved = still and node.op_type not in MOVES
                adds = added or node.op_type in ("Add", "Sub")
                side = self._walk(node.input[place], factor * by, depth - 1, still=unmoved, added=adds)
            self.sides[node_key(node), place] = side
            found.masks += side.masks
            found.computed |= side.computed
        return found if _operands(node, self._facts) else Scores(computed=True)

    def _constant(self, node: onnx.NodeProto, place: int, factor: float, *, still: bool) -> Scores | None:
        """The mask in a constant operand; None if the operand is computed."""
        array = self._facts.array(node.input[place])
        if array is None:
            return None
        if not (_FACTORS[0] <= abs(factor) <= _FACTORS[1] and array.size):
            return Scores()
        far = _held(-HELD / factor, array)
        most = float(array.min() if far < 0 else array.max())
        if abs(most) <= abs(far) or (most < 0) != (far < 0):
            return Scores()
        held = np.where(array / far > KEPT / HELD, np.where(np.isinf(array), 2 * far, far), array)
        return Scores([Mask(node, place, held, most, still)])

    def _factor(self, node: onnx.NodeProto, factor: float, *, still: bool) -> Mask | None:
        """A mask that is computed, such as 1 - x of an input x, times a constant."""
        scalar = _scalar(node, self._facts) if node.op_type == "Mul" else None
        if scalar is None or not _FACTORS[0] <= abs(factor) <= _FACTORS[1]:
            return None
        place, most = scalar
        array = numpy_helper.to_array(self._facts.constants[node.input[place]])
        whole = is_integral(node.input[1 - place], self._facts)
        if abs(most * factor) < HELD or not (whole or _is_given(node.input[1 - place], self._facts)):
            return None
        far = (HELD if whole else KEPT) / abs(factor)
        far = far if abs(most * factor) > KEPT else abs(most)
        return Mask(node, place, _held(np.copysign(far, most), array), most, still)

    def _feeds_softmax(self, name: str, depth: int = _DEPTH) -> bool:
        """Whether all that reads a value is a Softmax, or passes it on to nothing else."""
        if name not in self._feeds:
            readers = self._facts.consumers.get(name, [])
            fed = depth > 0 and bool(readers) and name not in self._facts.outputs
            self._feeds[name] = fed and all(self._passes_on(reader, name, depth) for reader in readers)
        return self._feeds[name]

    def _passes_on(self, reader: onnx.NodeProto, name: str, depth: int) -> bool:
        if any(_reads(sink, reader, self._facts) for sink in self._ends.get(name, [])):
            return True
        passed = [reader.input[place] for place, _ in _operands(reader, self._facts)]
        return list(reader.input).count(name) == passed.count(name) and self._feeds_softmax(reader.output[0], depth - 1)


def hides_all(sink: Sink, masks: list[Mask], facts: Facts) -> bool:
    """Whether -inf, or a sum that is, may hide all places of a softmax, so that the float model answers NaN."""
    partial = [mask.still and _leaves_some(mask, sink, facts) for mask in masks]
    infinite = [index for index, mask in enumerate(masks) if np.isinf(mask.most)]
    if len(infinite) > 1 or any(not partial[index] for index in infinite):
        return True
    return sum(abs(mask.most) > _ENDS for mask in masks) > 1 and not any(partial)


def held_masks(facts: Facts) -> Iterator[str]:
    """A sentence for each constant of which another number is taken."""
    for mask in Masks(facts).all():
        if mask.changes:
            yield (
                f"the mask constant {mask.most:.7g} of {mask.node.op_type} {label(mask.node)} is held at "
                f"{mask.nearest:.7g}: only a Softmax reads it, and its answers stay the same"
            )


def sink_of(node: onnx.NodeProto, facts: Facts) -> Sink | None:
    """The softmax that a node computes, as an operator or by its definition; None for other nodes."""
    if not node.input or not all_float32(facts, *node.output[:1]):
        return None
    if node.op_type == "Softmax":
        axes = softmax_axes(node, facts)
        return None if axes is None else Sink(node, node.input[0], axes)
    found = softmax_by_hand(node, facts)
    return None if found is None else Sink(node, unshifted(found[0], facts) or found[0], found[1])


def is_masked(name: str, facts: Facts, depth: int = _DEPTH) -> bool:
    """Whether a value, or what passes into it, has a constant further away than `HELD`."""
    array, node = facts.array(name), facts.producers.get(name)
    if array is not None:
        return bool((np.abs(array) > HELD).any())
    if node is None or not depth:
        return False
    scalar = _scalar(node, facts) if node.op_type == "Mul" else None
    far = scalar is not None and abs(scalar[1]) > HELD
    return far or any(is_masked(node.input[place], facts, depth - 1) for place, _ in _operands(node, facts))


def _reads(sink: Sink, reader: onnx.NodeProto, facts: Facts) -> bool:
    """Whether a node that reads the value of a softmax is part of it."""
    if sink.node.op_type == "Softmax":
        return node_key(reader) == node_key(sink.node)
    exponential = facts.producers[sink.node.input[0]]
    if exponential.input[0] == sink.value:
        return node_key(reader) == node_key(exponential)
    difference = facts.producers[exponential.input[0]]
    largest = facts.producers[before_reshapes(difference.input[1], facts)]
    own = facts.only_reader(largest.output[0]) is not None and facts.only_reader(difference.output[0]) is not None
    return own and node_key(reader) in (node_key(difference), node_key(largest))


def _operands(node: onnx.NodeProto, facts: Facts) -> list[tuple[int, float]]:
    """The operands that a node passes on, by place, and what each is multiplied by; none for other nodes."""
    kind = node.op_type
    if kind in ("Add", "Max", "Concat"):
        return [(place, 1.0) for place in range(len(node.input))]
    if kind in ("Mul", "Div"):
        scalar = _scalar(node, facts)
        if scalar is None or (kind == "Div" and scalar[0] == 0) or not scalar[1]:
            return []
        return [(1 - scalar[0], scalar[1] if kind == "Mul" else 1.0 / scalar[1])]
    if kind == "Cast":
        known = facts.dtype(node.input[0]) in DTYPES and facts.dtype(node.output[0]) in FLOATS
        return [(0, 1.0)] if known else []
    if kind == "Clip":
        return [(place, 1.0) for place in range(min(2, len(node.input))) if node.input[place]]
    fixed = {"Sub": [(0, 1.0), (1, -1.0)], "Where": [(1, 1.0), (2, 1.0)], "Neg": [(0, -1.0)]}
    return fixed.get(kind, [(0, 1.0)] if kind in MOVES else [])


def _held(far: float, array: NDArray[Any]) -> NDArray[Any]:
    """A number in the element type of a constant; an integer is not nearer to 0."""
    whole = np.copysign(np.ceil(abs(far)), far) if array.dtype.kind in "iu" else far
    return np.array(whole).astype(array.dtype)


def _scalar(node: onnx.NodeProto, facts: Facts) -> tuple[int, float] | None:
    """Place and value where one of two operands is a finite constant of one number."""
    arrays = [facts.array(name) for name in node.input]
    held = [place for place, array in enumerate(arrays) if array is not None]
    array = arrays[held[0]] if len(held) == 1 and len(arrays) == 2 else None
    if array is None or array.size != 1 or not np.isfinite(array).all():
        return None
    return held[0], float(array.reshape(()))


def _is_given(name: str, facts: Facts) -> bool:
    """Whether a value is an input of the model, but for shifts and moves."""
    for _ in range(_DEPTH):
        node = facts.producers.get(name)
        if node is None or node.op_type not in MOVES | {"Add", "Sub"}:
            break
        computed = [one for one in node.input if one and one not in facts.constants]
        name = computed[0] if len(computed) == 1 else ""
    return name in facts.inputs


def _leaves_some(mask: Mask, sink: Sink, facts: Facts) -> bool:
    node, shape = mask.node, facts.shape(mask.node.output[0])
    array, chosen = facts.array(node.input[mask.place]), facts.array(node.input[0])
    if array is None or shape is None or shape != facts.shape(sink.value):
        return False
    hidden = np.broadcast_to(np.abs(array) >= HELD, shape)
    if node.op_type == "Where":
        if chosen is None:
            return False
        hidden = hidden & (np.broadcast_to(chosen, shape) == (mask.place == 1))
    return not bool(hidden.all(axis=tuple(sink.axes)).any())
