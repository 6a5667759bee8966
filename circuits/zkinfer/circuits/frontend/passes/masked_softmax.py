"""What takes the place of a Softmax with masks, and of what it reads. Imported in the child only.

Its exponentials are cut, or their table would have to reach as far as the mask. In float32 a score that is added to a
mask of 10^9 or more is lost; so where a whole row is masked, all its answers are the same, and the mask is chosen here
instead of being added. Where a whole row is masked with -inf, the float model answers NaN: the sum of the exponentials
is 0 here, and no proof divides by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.frontend.graph import Draft, Facts, attributes, replace_all
from zkinfer.circuits.frontend.passes.exponentials import (
    log_sum_exp,
    number,
    reduced,
    shifted_exponential,
    softmax,
    softmax_axes,
)
from zkinfer.circuits.frontend.passes.masks import (
    ABSORBS,
    HELD,
    HIDDEN,
    Mask,
    Masks,
    Sink,
    hides_all,
    is_masked,
    sink_of,
)
from zkinfer.circuits.frontend.passes.rewrite import all_float32, node_key

if TYPE_CHECKING:
    import onnx


def hold_masks(model: onnx.ModelProto) -> bool:
    """Rewrite every Softmax with masks, and every test of its answer for NaN, in place; returns whether any was.

    The model must carry inferred shapes, and its constants must be folded.
    """
    rewriter = _Rewriter(Facts(model))
    results = [rewriter.rewritten(node) for node in model.graph.node]
    if all(result is None for result in results):
        return False
    pairs = zip(model.graph.node, results, strict=True)
    replace_all(model.graph.node, [new for node, result in pairs for new in ([node] if result is None else result)])
    model.graph.initializer.extend(rewriter.facts.added)
    return True


class _Rewriter:
    def __init__(self, facts: Facts) -> None:
        self.facts, self._masks = facts, Masks(facts)
        self._held: dict[str, list[Mask]] = {}
        for mask in self._masks.all():
            self._held.setdefault(node_key(mask.node), []).append(mask)
        self._hidden: dict[str, str] = {}  # by result of a softmax: whether all its places are hidden
        self._tested = {node.input[0] for node in facts.producers.values() if node.op_type == "IsNaN"}

    def rewritten(self, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """What takes a node's place; None where it stays. In the order of the graph."""
        draft = Draft(self.facts, node.output[0])
        result = self._result(node, draft)
        if result is None:
            return None
        draft.named(result, node.output[0])
        return draft.nodes

    def _result(self, node: onnx.NodeProto, draft: Draft) -> str | None:
        key = node_key(node)
        if key in self._masks.sinks and self._masks.scores[key].masks:
            return self._softmax(self._masks.sinks[key], draft)
        if node.op_type == "LogSoftmax" and is_masked(node.input[0], self.facts):
            return self._log_softmax(node, draft)
        if node.op_type == "Where":
            guarded = self._guarded(node, draft)
            if guarded is not None:
                return guarded
        side = self._absorbing_side(node)
        if key not in self._held and side is None:
            return None
        inputs = list(node.input)
        for mask in self._held.get(key, []):
            inputs[mask.place] = draft.constant(mask.held)
        selected = None if side is None else self._selected(node, side, inputs, draft)
        if selected is not None:
            return selected
        plain = draft.add(node.op_type, *inputs, **attributes(node))
        return plain if side is None else self._chosen(node, side, inputs, plain, draft)

    def _softmax(self, sink: Sink, draft: Draft) -> str:
        if not hides_all(sink, self._masks.scores[node_key(sink.node)].masks, self.facts):
            return softmax(draft, sink.value, sink.axes)
        raised, top = shifted_exponential(draft, sink.value, sink.axes)
        masked = draft.add("Less", sink.value, number(draft, -HIDDEN))
        raised = draft.add("Where", masked, number(draft, 0.0), raised)
        total = reduced(draft, "ReduceSum", raised, sink.axes)
        if sink.node.output[0] in self._tested:
            hidden = draft.add("Less", top, number(draft, -HIDDEN))
            self._hidden[sink.node.output[0]] = hidden
            total = draft.add("Where", hidden, number(draft, 1.0), total)
        return draft.add("Div", raised, total)

    def _log_softmax(self, node: onnx.NodeProto, draft: Draft) -> str | None:
        """Its answer shows the masks, which are left; but its exponentials are cut too."""
        axes = softmax_axes(node, self.facts)
        if axes is None or not all_float32(self.facts, node.input[0]):
            return None
        return draft.add("Sub", node.input[0], log_sum_exp(draft, node.input[0], axes))

    def _guarded(self, node: onnx.NodeProto, draft: Draft) -> str | None:
        """Where(IsNaN(p), x, p) of a softmax p: it is NaN where all its places are hidden, and nowhere else."""
        test = self.facts.producers.get(node.input[0])
        value = test.input[0] if test is not None and test.op_type == "IsNaN" else None
        source = self.facts.producers.get(value) if value == node.input[2] else None
        if value is None or source is None or sink_of(source, self.facts) is None:
            return None
        if self.facts.shape(value) != self.facts.shape(node.output[0]):
            return None
        hidden = self._hidden.get(value)
        return value if hidden is None else draft.add("Where", hidden, node.input[1], value)

    def _absorbing_side(self, node: onnx.NodeProto) -> int | None:
        """The place of the operand of a sum that takes the place of the other where it masks."""
        sides = [self._masks.sides.get((node_key(node), place)) for place in (0, 1)]
        if node.op_type not in ("Add", "Sub") or None in sides:
            return None
        found = [place for place, side in enumerate(sides) if side is not None and side.absorbs]
        other = sides[1 - found[0]] if len(found) == 1 else None
        return found[0] if other is not None and other.computed else None

    def _selected(self, node: onnx.NodeProto, side: int, inputs: list[str], draft: Draft) -> str | None:
        """The mask as Where chooses between it and 0, so that the other operand can be chosen instead of 0."""
        source = self.facts.producers.get(node.input[side])
        masks = self._held.get(node_key(source), []) if source is not None and source.op_type == "Where" else []
        if source is None or len(masks) != 1 or node.op_type != "Add" or self._masks_too(node, 1 - side):
            return None
        [mask] = masks
        neutral = self.facts.array(source.input[3 - mask.place])
        if neutral is None or neutral.any() or np.abs(mask.held).min() < HELD / 2:
            return None
        choices = [source.input[0], inputs[1 - side], inputs[1 - side]]
        choices[mask.place] = draft.constant(mask.held)
        return draft.add("Where", *choices)

    def _chosen(self, node: onnx.NodeProto, side: int, inputs: list[str], plain: str, draft: Draft) -> str:
        """The mask alone where it masks, and what it is added to does not."""
        factor = self._masks.factors[node_key(node)]
        masked = self._is_far(inputs[side], factor * (-1.0 if node.op_type == "Sub" and side else 1.0), draft)
        if self._masks_too(node, 1 - side):
            other = self._is_far(
                inputs[1 - side], factor * (-1.0 if node.op_type == "Sub" and not side else 1.0), draft
            )
            masked = draft.add("And", masked, draft.add("Not", other))
        alone = draft.add("Neg", inputs[side]) if node.op_type == "Sub" and side else inputs[side]
        return draft.add("Where", masked, alone, plain)

    def _masks_too(self, node: onnx.NodeProto, side: int) -> bool:
        found = self._masks.sides.get((node_key(node), side))
        return found is not None and any(abs(mask.most) >= ABSORBS for mask in found.masks)

    @staticmethod
    def _is_far(value: str, factor: float, draft: Draft) -> str:
        far = np.array(-HELD / 2 / factor, np.float32)
        return draft.add("Less" if far < 0 else "Greater", value, draft.constant(far))
