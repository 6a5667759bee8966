"""Elementwise chains with one input, which become one stored table (section 2.4, L8, pass 3)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.engines.ashlar.draft import StoredFunction
from zkinfer.circuits.engines.ashlar.lowering.functions import DEFAULTS, FUNCTIONS, MAX_POWER, evaluated, exact

if TYPE_CHECKING:
    from fractions import Fraction

    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node

    Step = tuple[str, tuple[object, ...], dict[str, Any]]

_NO_BOUND = 3e38  # what exporters write for infinity
_POINTS = 1 << 17
_SUMS = frozenset({"Add", "Sub", "Neg", "Sum"})


def join_chains(network: Network) -> None:
    """Replace every stored chain by one activation, from the end of the file on, in place."""
    taken: set[str] = set()
    for node in sorted(network.nodes, key=lambda one: -one.position):
        chain = longest_chain(node, network, taken) if node.output not in taken else None
        if chain is None:
            continue
        source, members = chain
        taken |= {member.output for member in members}
        node.function = stored_function(members, source, network)
        node.op, node.inputs, node.attributes = "Chain" if len(members) > 1 else node.op, [source], {}
        dropped = {id(member) for member in members if member is not node}
        network.nodes = [one for one in network.nodes if id(one) not in dropped]
        network.touch()


def longest_chain(node: Node, network: Network, taken: set[str]) -> tuple[str, list[Node]] | None:
    """The stored chain with most nodes that ends in a node: its input and its nodes in order; None if there is none.

    Nodes are added from the last to the first. Whenever all nodes so far read one value in all, they are a chain.
    """
    if not is_elementwise(node, network) or node.output in taken:
        return None
    members, names, best = [node], {node.output}, None
    while True:
        sources = {name for member in members for name in network.computed(member)} - names
        if len(sources) == 1 and any(_needs_table(member, network) for member in members):
            best = (next(iter(sources)), members[::-1])
        found = [network.producer(name) for name in sources]
        latest = max((one for one in found if one is not None), key=lambda one: one.position, default=None)
        if latest is None or not _joins(latest, names, network, taken):
            return best
        members.append(latest)
        names.add(latest.output)


def _joins(node: Node, names: set[str], network: Network, taken: set[str]) -> bool:
    return (
        node.output not in taken
        and is_elementwise(node, network)
        and node.output not in network.output_values
        and all(reader.output in names for reader in network.readers(node.output))
    )


def is_elementwise(node: Node, network: Network) -> bool:
    """Whether a node may be in a chain: an elementwise operator of floats whose constants are scalars."""
    if node.op not in FUNCTIONS or node.function is not None or node.output not in network.floats:
        return False
    computed = network.computed(node)
    shape = network.shapes[node.output]
    if not computed or any(name and network.shapes.get(name) != shape for name in computed):
        return False
    if any(name and name in network.constants and network.scalar(name) is None for name in node.inputs):
        return False
    if node.op == "Pow":
        exponent = network.scalar(node.inputs[1])
        return exponent is not None and abs(float(exponent)) <= MAX_POWER
    return node.op != "PRelu" or network.scalar(node.inputs[1]) is not None


def is_rectifier(node: Node, network: Network) -> bool:
    """Whether a node is Relu or Clip(0, inf)."""
    if node.op == "Clip" and node.function is None:
        low, high = bounds(node, network)
        return low == 0 and high is None
    return node.op == "Relu"


def bounds(node: Node, network: Network) -> tuple[Fraction | None, Fraction | None]:
    """The limits of a Clip, which are inputs or, in old opsets, attributes; None where there is none."""
    result: list[Fraction | None] = []
    for at, key in enumerate(("min", "max"), start=1):
        given = node.attributes.get(key)
        if len(node.inputs) > at and node.inputs[at]:
            array = network.scalar(node.inputs[at])
            given = None if array is None else float(array)
        result.append(None if given is None or abs(given) >= _NO_BOUND else exact(given))
    return result[0], result[1]


def _needs_table(node: Node, network: Network) -> bool:
    """Whether a chain with this node is stored: blocks compute sums, products with scalars, and Relu without."""
    if node.op in _SUMS or is_rectifier(node, network):
        return False
    if node.op in ("Mul", "Div"):
        return network.scalar(node.inputs[1]) is None and (node.op == "Div" or network.scalar(node.inputs[0]) is None)
    return True


def stored_function(members: list[Node], source: str, network: Network) -> StoredFunction:
    """The function of a chain, and text that is equal for equal chains, constants and attributes."""
    numbers = {member.output: number for number, member in enumerate(members)}
    steps = [_step(member, source, numbers, network) for member in members]
    # A tuner asks for the same points again and again; those of coarser grids are among those of finer ones.
    value = lru_cache(maxsize=_POINTS)(lambda at: evaluated(steps, at))
    return StoredFunction(";".join(_written(step) for step in steps), value)


def _step(node: Node, source: str, numbers: dict[str, int], network: Network) -> Step:
    if node.op == "Clip":
        low, high = bounds(node, network)
        return node.op, (_operand(node.inputs[0], source, numbers, network),), {"low": low, "high": high}
    given: dict[str, Any] = {
        name: exact(node.attributes.get(name, default)) for name, default in DEFAULTS.get(node.op, {}).items()
    }
    if node.op == "Gelu":
        given["approximate"] = node.attributes.get("approximate", b"none").decode()
    return node.op, tuple(_operand(name, source, numbers, network) for name in node.inputs), given


def _operand(name: str, source: str, numbers: dict[str, int], network: Network) -> object:
    scalar = network.scalar(name)
    if scalar is not None:
        return exact(scalar)
    return None if name == source else numbers[name]


def _written(step: Step) -> str:
    operator, operands, attributes = step
    parts = ["x" if one is None else f"${one}" if isinstance(one, int) else str(one) for one in operands]
    return f"{operator}({','.join(parts + [f'{name}={value}' for name, value in sorted(attributes.items())])})"
