"""The passes that bring a graph to its normal form, and the order in which they are applied. In the child only.

An auditor makes the verifying key again from the owner's file, so every pass writes the same bytes on every machine and
under every version of the libraries: it moves data, or computes with single IEEE operations, each of which rounds one
way only. docs/decisions/0008 says why no optimiser of others is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ezkl.lowering import activations, batch_axis, fuse_scales, reorder
from zkinfer.circuits.engines.ezkl.lowering.decompose import lowered
from zkinfer.circuits.errors import ModelTooLargeError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.fold import folded
from zkinfer.circuits.frontend.load import MAX_NODES
from zkinfer.circuits.frontend.passes import canonicalise, fuse_linear
from zkinfer.circuits.frontend.passes.rewrite import swept
from zkinfer.circuits.frontend.prune import pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import onnx

    from zkinfer.circuits.frontend.passes.rewrite import Rule

    Pass = Callable[[onnx.ModelProto], bool]

_MAX_ROUNDS = 20
_MAX_SWEEPS = 200


def _rules(rules: dict[str, Rule]) -> Pass:
    return lambda model: swept(model, rules)


# Each changes a model in place and says whether it did. A pass is tried when those before it find nothing to do.
PASSES: dict[str, Pass] = {
    "unread outputs": canonicalise.without_unread_outputs,
    "repeated values": canonicalise.shared,
    "moves of data": _rules(canonicalise.LAYOUT_RULES),
    "algebra": _rules(canonicalise.RULES),
    "rising functions after maxima": _rules(reorder.MAXIMA),
    "compound operators": _rules(activations.COMPOUND),
    "shifts": _rules(fuse_linear.RULES),
    "factors": _rules(fuse_scales.RULES),
    "bent lines": _rules(activations.BENT),
    "cheaper products": _rules(reorder.PRODUCTS),
    "batch axes": _rules(batch_axis.RULES),
}


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after the last step."""
    for _, result in steps(model):
        model = result
    return model


def steps(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """What each step makes of the model, with the step's name; a yielded model is good until the next is asked for.

    Ends when no pass finds anything to do, or after a fixed number of sweeps: each step alone leaves a sound model.
    """
    model = settled(model)
    yield "lowering", model
    for _ in range(_MAX_SWEEPS):
        name = next((name for name, apply in PASSES.items() if apply(model)), None)
        if name is None:
            break
        model = shapes.inferred(pruned(model))
        _refuse_growth(model)
        yield name, model
    yield "lowering", settled(model)


def settled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold, lower and prune until nothing changes: each step can reveal shapes and constants to the others."""
    before = b""
    for _ in range(_MAX_ROUNDS):
        model = pruned(lowered(folded(shapes.inferred(model))))
        _refuse_growth(model)
        after = _form(model)
        if after == before:
            break
        before = after
    return shapes.inferred(model)


def _refuse_growth(model: onnx.ModelProto) -> None:
    if len(model.graph.node) > MAX_NODES:
        raise ModelTooLargeError("The model grows too large when it is rewritten.", "Use a smaller model.")


def _form(model: onnx.ModelProto) -> bytes:
    """What the nodes are and how they hang together, without the weights."""
    return b"".join(node.SerializeToString(deterministic=True) for node in model.graph.node)
