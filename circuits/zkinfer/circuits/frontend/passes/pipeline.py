"""Bring a graph to a normal form: passes in order, until none finds anything to do. Imported in the child only.

An auditor makes the verifying key again from the owner's file, so every pass writes the same bytes on every machine and
under every version of the libraries: it moves data, or computes with single IEEE operations, each of which rounds one
way only. docs/decisions/0008 says why no optimiser of others is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ModelTooLargeError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.fold import folded, inlined
from zkinfer.circuits.frontend.load import MAX_NODES
from zkinfer.circuits.frontend.passes import canonicalise, fuse_linear
from zkinfer.circuits.frontend.passes.rewrite import apply_rules
from zkinfer.circuits.frontend.prune import pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import onnx

    from zkinfer.circuits.frontend.passes.rewrite import Rule

    Pass = Callable[[onnx.ModelProto], bool]

_MAX_ROUNDS = 20
_MAX_SWEEPS = 200


def rule_pass(rules: dict[str, Rule]) -> Pass:
    """The pass that applies rules by operator, once to every node."""
    return lambda model: apply_rules(model, rules)


UNREAD_OUTPUTS: Pass = canonicalise.without_unread_outputs
REPEATED_VALUES: Pass = canonicalise.merge_duplicates
DATA_MOVES: Pass = rule_pass(canonicalise.LAYOUT_RULES)
ALGEBRA: Pass = rule_pass(canonicalise.RULES)
SHIFTS: Pass = rule_pass(fuse_linear.RULES)


@dataclass(frozen=True, slots=True)
class Lowering:
    """What brings a graph to a normal form: the frontend's, by default.

    An engine lists the frontend's passes among its own, since one pass may reveal work to another of either kind.

    Args:
        passes: by name, each of which changes a model in place and says whether it did. A pass is tried when those
            before it find nothing to do.
        rewrite: applied together with constant folding until nothing changes.
    """

    passes: Mapping[str, Pass] = field(
        default_factory=lambda: {
            "unread outputs": UNREAD_OUTPUTS,
            "repeated values": REPEATED_VALUES,
            "moves of data": DATA_MOVES,
            "algebra": ALGEBRA,
            "shifts": SHIFTS,
        }
    )
    rewrite: Callable[[onnx.ModelProto], onnx.ModelProto] = inlined


def simplified(model: onnx.ModelProto, lowering: Lowering) -> onnx.ModelProto:
    """The model after the last step."""
    for _, result in steps(model, lowering):
        model = result
    return model


def steps(model: onnx.ModelProto, lowering: Lowering) -> Iterator[tuple[str, onnx.ModelProto]]:
    """What each step makes of the model, with the step's name; a yielded model is good until the next is asked for.

    Ends when no pass finds anything to do, or after a fixed number of sweeps: each step alone leaves a sound model.
    """
    model = settled(model, lowering)
    yield "lowering", model
    for _ in range(_MAX_SWEEPS):
        name = next((name for name, apply in lowering.passes.items() if apply(model)), None)
        if name is None:
            break
        model = shapes.inferred(pruned(model))
        _refuse_growth(model)
        yield name, model
    yield "lowering", settled(model, lowering)


def settled(model: onnx.ModelProto, lowering: Lowering) -> onnx.ModelProto:
    """Fold, lower and prune until nothing changes: each step can reveal shapes and constants to the others."""
    before = b""
    for _ in range(_MAX_ROUNDS):
        model = pruned(lowering.rewrite(folded(shapes.inferred(model))))
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
