"""Form blocks: who becomes a view, a term of another block, a table or a block of its own (section 2.4, L8)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.engines.ashlar.lowering import ensembles, maximum, pools, trees
from zkinfer.circuits.engines.ashlar.lowering.axes import copied_axes
from zkinfer.circuits.engines.ashlar.lowering.chains import is_rectifier
from zkinfer.circuits.engines.ashlar.lowering.joints import Joint, absorbed, pooled_view, viewed
from zkinfer.circuits.engines.ashlar.lowering.network import VIEWS
from zkinfer.circuits.engines.ashlar.lowering.operators import ConvMaker, MatrixMaker, result_of, shown
from zkinfer.circuits.engines.ashlar.lowering.plan import Copied, PlannedBlock, PlannedOutput, Reading
from zkinfer.circuits.engines.ashlar.lowering.refusals import refuse_operator
from zkinfer.circuits.engines.ashlar.lowering.sums import ProductMaker, SumMaker, common_factors, product_maker
from zkinfer.circuits.engines.ashlar.lowering.views import Dim, View, moved, natural, sizes_of
from zkinfer.circuits.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.ashlar.lowering.linear import Linear
    from zkinfer.circuits.engines.ashlar.lowering.network import Network, Node
    from zkinfer.circuits.engines.ashlar.lowering.plan import Part

    Maker = MatrixMaker | ConvMaker | SumMaker | ProductMaker | pools.PoolMaker | ensembles.LeafMaker
    Operand = MatrixMaker | ConvMaker | View | NDArray[np.float64]


@dataclass(slots=True)
class Builder:
    """Visits the nodes in order; afterwards `blocks` and `outputs` are complete.

    `values` says how each value is read. A maker in `waiting` may become a term of the Add that alone reads it; one in
    `ending` makes outputs only.
    """

    network: Network
    values: dict[str, View | Joint] = field(default_factory=dict)
    found: list[tuple[int, PlannedBlock]] = field(default_factory=list)
    waiting: dict[str, tuple[Node, MatrixMaker | ConvMaker]] = field(default_factory=dict)
    ending: dict[str, Maker] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def run(self) -> tuple[list[PlannedBlock], list[PlannedOutput]]:
        """The blocks in the order of the last node that each contains, and the outputs."""
        network = self.network
        self.values[network.input] = natural(network.input, [[size] for size in network.shapes[network.input]])
        for node in network.nodes:
            network.current = node
            self._visit(node)
        network.current = None
        outputs = [self._output(port, value) for port, value in network.outputs]
        return [block for _, block in sorted(self.found, key=lambda one: one[0])], outputs

    def _visit(self, node: Node) -> None:
        if node.output in self.taken:
            self.values[node.output] = self.values[node.inputs[0]]
        elif node.function is not None or is_rectifier(node, self.network):
            self._activation(node)
        elif node.linear is not None:
            self._linear(node, node.linear)
        else:
            _RULES.get(node.op, Builder._refuse)(self, node)

    def _refuse(self, node: Node) -> None:
        raise refuse_operator(node)

    # --- values

    def _value(self, node: Node, at: int) -> View | Joint:
        found = self.values.get(node.inputs[at])
        if found is None:
            raise UnsupportedModelError(f"{node.label} reads a constant.", "Fold constants before the export.")
        return found

    def _view(self, node: Node, at: int = 0) -> View:
        found = self._value(node, at)
        if isinstance(found, Joint):
            raise UnsupportedModelError(
                f"{node.label} reads a Concat, which only Gemm, MatMul and Conv can.",
                "Concatenate directly before one of them.",
            )
        return found

    def _layout(self, node: Node) -> None:
        self.values[node.output] = viewed(node, self._value(node, 0), self.network)

    def _concat(self, node: Node) -> None:
        axis = int(node.attributes["axis"]) % len(self.network.shapes[node.output])
        parts = list[View]()
        for at in range(len(node.inputs)):
            part = self._value(node, at)
            parts += part.parts if isinstance(part, Joint) and part.axis == axis else [self._view(node, at)]
        self.values[node.output] = Joint(axis, tuple(parts))

    # --- blocks

    def _place(self, node: Node, maker: Maker) -> None:
        """Give a node's value a block of its own, unless it makes outputs only."""
        if self._ends(node.output):
            self.ending[node.output] = maker
            block = natural(node.output, maker.dims)
        else:
            block = self._block(node, maker.dims, maker.parts)
        self.values[node.output] = result_of(maker, block) if isinstance(maker, (MatrixMaker, ConvMaker)) else block

    def _block(
        self, node: Node, dims: tuple[tuple[int, ...], ...], parts: Callable[[tuple[Dim, ...]], tuple[Part, ...]]
    ) -> View:
        """A block with the table of the activation that alone reads the value, through views (pass 7)."""
        last = self._table_of(node)
        view = natural(last.output, dims)
        block = PlannedBlock(last.output, node.output, view.factors, parts(view.dims))
        self.found.append((last.position, self._with_table(block, last)))
        return view

    def _table_of(self, node: Node) -> Node:
        """The activation whose table a node's block takes, or the node itself."""
        reader = self.network.next(node.output)
        if reader is None or (reader.function is None and not is_rectifier(reader, self.network)):
            return node
        self.taken.add(reader.output)
        return reader

    def _with_table(self, block: PlannedBlock, node: Node) -> PlannedBlock:
        return replace(block, function=node.function, rectified=is_rectifier(node, self.network))

    def _activation(self, node: Node) -> None:
        source = self._view(node)
        view = natural(node.output, sizes_of(source.dims))
        part = Copied(Reading(source.block, source.pooled), copied_axes(view.dims, source, node.label))
        block = PlannedBlock(node.output, node.inputs[0], view.factors, (part,))
        self.found.append((node.position, self._with_table(block, node)))
        self.values[node.output] = view

    def _ends(self, value: str) -> bool:
        """Whether nothing but outputs that no node reads comes of a value, seen through views."""
        readers = self.network.readers(value)
        if value in self.network.output_values:
            return not readers
        return bool(readers) and all(reader.op in VIEWS and self._ends(reader.output) for reader in readers)

    # --- operators

    def _linear(self, node: Node, linear: Linear) -> None:
        source, shape = self._value(node, 0), self.network.shapes[node.output]
        maker: MatrixMaker | ConvMaker
        if linear.windows or node.op == "Conv":
            maker = ConvMaker(node.label, node.output, linear, source, shape[2:])
        else:
            maker = MatrixMaker(node.label, node.output, linear, source)
        reader = self.network.read_once(node.output)
        adds = reader is not None and reader.function is None and reader.op in ("Add", "Sub", "Sum")
        if reader is not None and adds and self.network.shapes[reader.output] == shape:
            self.waiting[node.output] = (node, maker)
        else:
            self._place(node, maker)

    def _sum(self, node: Node) -> None:
        """Add, Sub, Sum or Neg; linear nodes with the factors of the result become terms of it (pass 6)."""
        views = [
            shown(self.waiting[name][1]) if name in self.waiting else self._view(node, at)
            for at, name in enumerate(node.inputs)
            if name not in self.network.constants
        ]
        dims = common_factors(node, views, self.network)
        operands: list[tuple[Operand, int]] = []
        for at, name in enumerate(node.inputs):
            sign = -1 if node.op == "Neg" or (node.op == "Sub" and at) else 1
            operands.append((self._operand(node, at, name, dims), sign))
        self._place(node, SumMaker(node.label, dims, tuple(operands)))

    def _operand(self, node: Node, at: int, name: str, dims: tuple[tuple[int, ...], ...]) -> Operand:
        array = self.network.constants.get(name)
        if array is not None:
            return array.astype(np.float64)
        if name in self.waiting:
            linear, maker = self.waiting.pop(name)
            if sizes_of(shown(maker).dims) == sizes_of(natural("", dims).dims):
                return maker
            self._place(linear, maker)
        return self._view(node, at)

    def _product(self, node: Node) -> None:
        at = 0 if node.inputs[0] not in self.network.constants else 1
        self._place(node, product_maker(node, self._view(node, at), self.network))

    def _average(self, node: Node) -> None:
        """A view, if all readers sum over it (pass 5), else a block."""
        source = self._view(node)
        logs = None if node.op == "GlobalAveragePool" else pools.logs_of(node, self.network)
        view = None if logs is None else pooled_view(source, logs)
        if view is not None and logs is not None and absorbed(node.output, view, source, logs, self.network):
            self.values[node.output] = view
        else:
            self._place(node, pools.average_maker(node, source, self.network))

    def _maximum(self, node: Node) -> None:
        logs = pools.logs_of(node, self.network)
        if logs is None:
            raise pools.refuse_pool(node, "is no maximum over windows of 2^p places side by side")
        source, last = self._view(node), self._table_of(node)
        *steps, block = maximum.blocks_of(node, last.output, source, logs)
        if last is not node:
            block = replace(self._with_table(block, last), given=None)
        self.found += [(last.position, one) for one in (*steps, block)]
        self.values[node.output] = natural(block.name, maximum.last_dims(source, logs))

    def _trees(self, node: Node) -> None:
        ensemble, source = trees.read_ensemble(node, self.network), self._view(node)
        ends = self._ends(node.output)
        position = node.position if ends else self._peek(node).position
        inner, maker = ensembles.blocks_of(node, ensemble, source)
        self.found += [(position, block) for block in inner]
        self._place(node, maker)

    def _peek(self, node: Node) -> Node:
        last = self._table_of(node)
        self.taken.discard(last.output)
        return last

    # --- outputs

    def _output(self, port: str, value: str) -> PlannedOutput:
        view = self.values.get(value)
        if not isinstance(view, View):
            raise UnsupportedModelError(
                f"Output {port[:80]!r} is a constant, or a Concat.",
                "Return the parts as outputs of their own; `zkinfer scores` does that for pairs of probabilities.",
            )
        box = natural(port, sizes_of(view.dims))
        maker = self.ending.get(view.block)
        if maker is None:
            part = Copied(Reading(view.block, view.pooled), copied_axes(box.dims, view, f"Output {port[:80]!r}"))
            return PlannedOutput(port, box.factors, (part,))
        return PlannedOutput(port, box.factors, maker.parts(tuple(moved(maker.dims, view, box))))


_RULES: dict[str, Callable[[Builder, Node], None]] = {
    **dict.fromkeys(VIEWS, Builder._layout),
    **dict.fromkeys(("Add", "Neg", "Sub", "Sum"), Builder._sum),
    **dict.fromkeys(("Div", "Mul"), Builder._product),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool"), Builder._average),
    **dict.fromkeys(trees.OPERATORS, Builder._trees),
    "Concat": Builder._concat,
    "MaxPool": Builder._maximum,
}
