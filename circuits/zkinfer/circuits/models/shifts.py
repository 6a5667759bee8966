"""Additions of constants, merged into the bias of the linear operator before them, or into each other.

They are never moved behind themselves, into an operator that reads the sum: an addition takes half a row for each
element, and centred values keep more digits in fixed point. Imported in the child only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import helper

from zkinfer.circuits.models import linear
from zkinfer.circuits.models.rewriting import factor, fits, key

if TYPE_CHECKING:
    import onnx

    from zkinfer.circuits.models.graphs import Facts
    from zkinfer.circuits.models.rewriting import Edit, Rule


def merge(node: onnx.NodeProto, facts: Facts) -> Edit | None:
    """Add of a constant to a value that nothing else reads."""
    found = factor(node, facts)
    if found is None or facts.only_reader(found[0]) is None or not fits(found[1], facts.shape(found[0])):
        return None
    value, shift = found
    source = facts.producers.get(value)
    if source is None:
        return None
    merged = linear.shifted(source, shift, facts) or linear.together(source, shift, facts)
    if merged is None:
        return None
    return {key(source): [merged], key(node): [helper.make_node("Identity", [value], node.output)]}


RULES: dict[str, Rule] = {"Add": merge}
