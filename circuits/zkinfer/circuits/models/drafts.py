"""Nodes in the making, for rewrites of one operator into many. Imported in the child only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.models.graphs import Facts


class Draft:
    """Appends nodes one by one, and names their results after the value that they lead to."""

    def __init__(self, facts: Facts, base: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._facts, self._base, self.opset = facts, base, facts.opset

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - any attribute
        """Append a node with one output, whose new name is returned."""
        result = self._facts.fresh(self._base)
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def cast(self, value: str, kind: int) -> str:
        """The same numbers in another element type."""
        return self.add("Cast", value, to=kind)

    def named(self, value: str, name: str) -> None:
        """Give a value the name of an output of the node that is replaced."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def constant(self, array: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        return self._facts.new_constant(self._base, array)

    def gathered(self, value: str, places: NDArray[Any]) -> str:
        """Pick columns of [N, M]; gives [N, *places.shape]. Costs no rows: the engine copies references."""
        return self.add("Gather", value, self.constant(places), axis=1)

    def reduced(self, operator: str, value: str) -> str:
        """Reduce [N, M] to [N, 1]; later opsets take the axis as an input."""
        if self.opset < (13 if operator == "ReduceSum" else 18):
            return self.add(operator, value, axes=[1])
        return self.add(operator, value, self.constant(np.array([1], dtype=np.int64)))

    def joined(self, values: list[str]) -> str:
        """Side by side, [N, M1 + M2 + ...]."""
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=1)
