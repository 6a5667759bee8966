"""Cut a model off before what every reader can compute of its results: labels and Softmax. Imported in the child only.

Ashlar has neither, and a circuit of any engine is smaller without them: who reads exact scores takes the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.graph import FLOATS, Facts, copy, elements, replace_all, values
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.prune import port, pruned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

_DECISIONS = words("ArgMax ArgMin Hardmax Softmax LogSoftmax Equal Greater GreaterOrEqual Less LessOrEqual")
_MOVES = words("Cast Reshape Squeeze Unsqueeze Flatten Identity Not Sub Where")


@dataclass(frozen=True, slots=True)
class Scores:
    """A model that returns scores, and one sentence for each output that changed."""

    model: onnx.ModelProto
    notes: tuple[str, ...]


def with_scores(model: onnx.ModelProto) -> Scores:
    """A copy of a model with fixed shapes that returns what its labels and probabilities are computed from.

    Integer outputs vanish if there are others. A Softmax at the end, and the pair of 1 - p and p, are cut off.

    Raises:
        UnsupportedModelError: nothing can be cut off.
    """
    model = shapes.inferred(model)
    facts = Facts(model)
    ends = {output.name: _end(output.name, facts) for output in model.graph.output}
    numbers = [name for name in ends if facts.dtype(name) in FLOATS]
    kept = list(dict.fromkeys(ends[name] for name in numbers or ends))
    if kept == list(ends):
        raise UnsupportedModelError(
            "The model ends in no label, Softmax or pair of probabilities that it computes from scores.",
            "Compile it as it is.",
        )
    names = dict(_names(kept, ends, facts))
    result = copy(model)
    known = values(result.graph)
    for node in result.graph.node:
        replace_all(node.input, [names.get(name, name) for name in node.input])
        replace_all(node.output, [names.get(name, name) for name in node.output])
    for name in kept:
        known[name].name = names[name]
    replace_all(result.graph.output, [known[name] for name in kept])
    pruned(result)
    _, outputs = shapes.specs(result)
    replace_all(result.graph.output, [port(spec) for spec in outputs])
    del result.graph.value_info[:]
    return Scores(result, tuple(_notes(ends, names, facts)))


def _names(kept: list[str], ends: dict[str, str], facts: Facts) -> Iterator[tuple[str, str]]:
    """What is returned keeps the name of an output, or is called `scores`."""
    taken = set(ends) | facts.used
    for name in kept:
        if name in ends:
            yield name, name
            continue
        number = 1
        while (new := "scores" if number == 1 else f"scores_{number}") in taken:
            number += 1
        taken.add(new)
        yield name, new


def _notes(ends: dict[str, str], names: dict[str, str], facts: Facts) -> Iterator[str]:
    for output, end in ends.items():
        operator = facts.producers[output].op_type
        if end not in names:
            yield f"{output!r} ({operator}) is left out"
        elif names[end] != output:
            yield f"{names[end]!r} replaces {output!r} ({operator}), which is computed from it"


def _end(output: str, facts: Facts) -> str:
    """The value before the first of the decisions that lead to an output; the output itself if there are none."""
    found = value = output
    while (node := facts.producers.get(value)) is not None:
        sources = _sources(node, facts)
        if len(sources) != 1:
            break
        value = sources.pop()
        if node.op_type in _DECISIONS | {"Concat"} or _picks(node, facts):
            found = value
        elif node.op_type not in _MOVES:
            break
    return output if found in facts.inputs else found


def _picks(node: onnx.NodeProto, facts: Facts) -> bool:
    """Whether a Gather takes the only column of a table, or a label from a constant one."""
    if node.op_type != "Gather":
        return False
    shape = facts.shape(node.input[0])
    return facts.array(node.input[1]) is None or (shape is not None and elements(shape) == 1)


def _sources(node: onnx.NodeProto, facts: Facts) -> set[str]:
    """The computed operands; those of a Concat are seen through 1 - p."""
    found = {name for name in node.input if name and name not in facts.constants}
    if node.op_type != "Concat":
        return found
    return {name if (mirrored := _mirrored(name, facts)) is None else mirrored for name in found}


def _mirrored(name: str, facts: Facts) -> str | None:
    """The p of a value 1 - p."""
    node = facts.producers.get(name)
    if node is None or node.op_type != "Sub":
        return None
    one = facts.array(node.input[0])
    return node.input[1] if one is not None and bool((one == 1).all()) else None
