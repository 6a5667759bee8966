"""What is folded into what before blocks are formed: passes 1, 2 and 4 of section 2.4, L8, each in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering.network import RESHAPES
from zkinfer.circuits.engines.ashlar.lowering.weights import LINEAR, constant_factor, read_linear
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend.graph import FLOATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.linear import Linear
    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node

_FOLDED = ("Add", "Div", "Mul", "Sub")


def drop_copies(network: Network) -> None:
    """Remove Identity, Dropout and Cast of numbers that stay what they are (pass 1).

    Raises:
        UnsupportedModelError: a Cast would cut fractions off, or a node computes with integers.
    """
    for node in list(network.nodes):
        if node.op in ("Identity", "Dropout") or (node.op == "Cast" and _keeps(node, network)):
            network.drop(node)


def _keeps(node: Node, network: Network) -> bool:
    if node.attributes["to"] in FLOATS or node.inputs[0] not in network.floats:
        return True
    raise UnsupportedModelError(
        f"{node.label} rounds a computed value to an integer.", "Leave it out: outputs are exact integers anyway."
    )


def drop_end_views(network: Network, *, listed: bool) -> None:
    """Remove views that alone read the input, unless it has a list of scales, and those before outputs (pass 1)."""
    changed = True
    while changed:
        changed = False
        for node in list(network.nodes):
            if node.op not in RESHAPES:
                continue
            source = node.inputs[0]
            if source == network.input and not listed and network.read_once(source) is node:
                network.shapes[source] = network.shapes[node.output]
                network.drop(node)
                changed = True
            elif (
                node.output in network.output_values
                and not network.readers(node.output)
                and source != network.input
                and network.read_once(source) is node
            ):
                network.drop(node)
                changed = True


def fold_behind(network: Network) -> None:
    """Fold constants behind a Conv, Gemm or MatMul into its weights and bias (pass 2).

    Raises:
        UnsupportedModelError: the weights are computed, or the geometry is not supported.
    """
    for node in network.nodes:
        if node.op in LINEAR:
            node.linear = read_linear(node, network)
    network.touch()
    for node in list(network.nodes):
        while node.linear is not None:
            reader = network.read_once(node.output)
            if reader is None or not _fold(node.linear, node.output, reader, network):
                break
            network.nodes.remove(reader)
            node.output = reader.output
            network.touch()


def _fold(linear: Linear, value: str, reader: Node, network: Network) -> bool:
    """Fold the only reader of a linear node's value into it; returns whether that was possible."""
    axis, shape = linear.feature_axis, network.shapes[value]
    if reader.op == "BatchNormalization":
        return axis == 1 and _fold_normalisation(linear, reader, network)
    if reader.op not in _FOLDED or network.shapes[reader.output] != shape:
        return False
    if axis is None:
        found = constant_factor(reader, network, (*shape, 1), -1) if _is_scalar(reader, network) else None
    else:
        found = constant_factor(reader, network, shape, axis)
    if found is None:
        return False
    if reader.op in ("Mul", "Div"):
        if reader.op == "Div" and not found[1].all():
            return False
        linear.scaled(found[1], divide=reader.op == "Div")
    else:
        linear.shifted(found[1] if reader.op == "Add" else -found[1])
    return True


def _is_scalar(node: Node, network: Network) -> bool:
    return any(network.scalar(name) is not None for name in node.inputs)


def _fold_normalisation(linear: Linear, node: Node, network: Network) -> bool:
    found = [network.constants.get(name) for name in node.inputs[1:5]]
    arrays = [array.astype(np.float64) for array in found if array is not None]
    if len(arrays) != len(node.inputs[1:5]) or len(arrays) != 4 or node.attributes.get("training_mode"):
        return False
    gamma, beta, mean, variance = arrays
    linear.normalised(gamma, beta, mean, variance + float(node.attributes.get("epsilon", 1e-5)))
    return True


def fold_before(network: Network) -> None:
    """Fold constants between a value and the linear nodes that read it into all of these (pass 4)."""
    taken: dict[int, int] = {}  # by the identity of a folded node, the axis that its readers sum over
    for node in sorted(network.nodes, key=lambda one: -one.position):
        axis = _folded_axis(node, network, taken)
        if axis is not None:
            taken[id(node)] = axis
    for node in network.nodes:
        if node.linear is None:
            continue
        steps: list[tuple[str, NDArray[np.float64]]] = []
        while (before := network.producer(node.inputs[0])) is not None and id(before) in taken:
            found = constant_factor(before, network, network.shapes[before.output], taken[id(before)])
            if found is None:
                raise TypeError("a folded node has no constant")
            steps.append((before.op, found[1]))
            node.inputs = [found[0]]
        for op, vector in reversed(steps):
            node.linear.behind(op, vector)
    network.nodes = [node for node in network.nodes if id(node) not in taken]
    network.touch()


def _folded_axis(node: Node, network: Network, taken: dict[int, int]) -> int | None:
    """The axis along which a node has a constant that all readers can take; None if it stays."""
    readers = network.readers(node.output)
    if node.op not in _FOLDED or not readers or node.output in network.output_values:
        return None
    axes, convolved = set(), False
    for reader in readers:
        if id(reader) in taken:
            axes.add(taken[id(reader)])
        elif reader.linear is not None:
            axes.add(reader.linear.summed)
            convolved |= bool(reader.linear.windows)
            if reader.linear.windows and (reader.linear.groups != 1 or node.op in ("Add", "Sub")):
                return None
        else:
            return None
    if len(axes) != 1:
        return None
    [axis] = axes
    shape = network.shapes[node.output]
    found = constant_factor(node, network, shape, axis)
    if found is None or network.shapes.get(found[0]) != shape or (node.op in ("Mul", "Div") and not found[1].all()):
        return None
    convolves = convolved or any(id(reader) in taken and _convolved(reader, network, taken) for reader in readers)
    return None if convolves and node.op in ("Add", "Sub") else axis


def _convolved(node: Node, network: Network, taken: dict[int, int]) -> bool:
    """Whether a folded node reaches a Conv, into which no addend can be folded."""
    return any(
        bool(reader.linear.windows) if reader.linear is not None else _convolved(reader, network, taken)
        for reader in network.readers(node.output)
    )
