"""Bring a graph to its normal form: apply passes in order until none changes it. Imported in the child only.

An auditor rebuilds the verifying key from the owner's file, so every pass writes the same bytes on every machine and
with every version of the libraries: it moves data, or computes with single IEEE operations, whose rounding is exactly
defined. docs/decisions/0008 says why no existing optimiser is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ModelTooLargeError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.fold import folded, rewritten
from zkinfer.circuits.frontend.graph import Facts, copy
from zkinfer.circuits.frontend.load import MAX_NODES
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes import canonicalise, fuse_linear
from zkinfer.circuits.frontend.passes.composites import shift_exponents
from zkinfer.circuits.frontend.passes.masked_softmax import hold_masks
from zkinfer.circuits.frontend.passes.masks import held_masks
from zkinfer.circuits.frontend.passes.rewrite import apply_rules
from zkinfer.circuits.frontend.prune import pruned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import onnx

    from zkinfer.circuits.frontend.passes.rewrite import Rule

    Pass = Callable[[onnx.ModelProto], bool]

_EXPONENTIALS = words("Exp Log LogSoftmax ReduceLogSumExp Softmax Softplus")
_MAX_ROUNDS = 20
_MAX_SWEEPS = 200


def rule_pass(rules: dict[str, Rule]) -> Pass:
    """The pass that applies rules, given by operator, once to every node."""
    return lambda model: apply_rules(model, rules)


UNREAD_OUTPUTS: Pass = canonicalise.without_unread_outputs
REPEATED_VALUES: Pass = canonicalise.merge_duplicates
DATA_MOVES: Pass = rule_pass(canonicalise.LAYOUT_RULES)
ALGEBRA: Pass = rule_pass(canonicalise.RULES)
SHIFTS: Pass = rule_pass(fuse_linear.RULES)


def notes_on_masks(model: onnx.ModelProto) -> Iterator[str]:
    """One sentence for each mask constant of which the normal form takes another number."""
    if _has_exponentials(model):
        yield from held_masks(Facts(fixed_point(model, Lowering())))


@dataclass(frozen=True, slots=True)
class Lowering:
    """The passes that bring a graph to its normal form; by default, the frontend's.

    An engine lists the frontend's passes among its own, since each pass can enable any other.

    Args:
        passes: by name; each changes a model in place and returns whether it did. A pass is tried when those before it
            find nothing to do.
        rewrite: applied together with constant folding until nothing changes.
        notes: one sentence for each change that the model's owner should know of, given the model before all passes.
        input_scales: bits by which single inputs should be finer than the others, by name, given the same model.
        keep_trees: whether tree ensembles stay operators that sum leaf values, instead of becoming tensor arithmetic.
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
    rewrite: Callable[[onnx.ModelProto], onnx.ModelProto] = rewritten
    notes: Callable[[onnx.ModelProto], Iterable[str]] = notes_on_masks
    input_scales: Callable[[onnx.ModelProto], Mapping[str, int]] = lambda _: {}
    keep_trees: bool = False


def simplified(model: onnx.ModelProto, lowering: Lowering) -> onnx.ModelProto:
    """The model after the last step."""
    for _, result in steps(model, lowering):
        model = result
    return model


def steps(model: onnx.ModelProto, lowering: Lowering) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The model after each step, with the step's name; a yielded model is valid until the next is requested.

    Ends when no pass finds anything to do, or after a fixed number of sweeps: every step leaves a valid model.
    """
    shifted = _shifted(model)
    if shifted is not None:
        yield "exponentials", shifted
    model = fixed_point(model if shifted is None else shifted, lowering)
    yield "lowering", model
    for _ in range(_MAX_SWEEPS):
        name = next((name for name, apply in lowering.passes.items() if apply(model)), None)
        if name is None:
            break
        model = shapes.inferred(pruned(model))
        _refuse_growth(model)
        yield name, model
    yield "lowering", fixed_point(model, lowering)


def _shifted(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model without exponentials that grow, and without masks that no circuit holds; None if it has none.

    Once, before all other passes: what they make of the forms that are written here would be recognised again.
    """
    if not _has_exponentials(model):
        return None
    result = fixed_point(copy(model), Lowering())
    held = hold_masks(result)
    if held:
        result = shapes.inferred(pruned(result))
    shifted = shift_exponents(result)
    return shapes.inferred(pruned(result)) if held or shifted else None


def _has_exponentials(model: onnx.ModelProto) -> bool:
    return any(node.op_type in _EXPONENTIALS for node in model.graph.node)


def fixed_point(model: onnx.ModelProto, lowering: Lowering) -> onnx.ModelProto:
    """Fold, lower and prune until nothing changes: each step can reveal shapes and constants to the others."""
    before = b""
    for _ in range(_MAX_ROUNDS):
        model = pruned(lowering.rewrite(folded(shapes.inferred(model))))
        _refuse_growth(model)
        after = _structure(model)
        if after == before:
            break
        before = after
    return shapes.inferred(model)


def _refuse_growth(model: onnx.ModelProto) -> None:
    if len(model.graph.node) > MAX_NODES:
        raise ModelTooLargeError("The model grows too large when it is rewritten.", "Use a smaller model.")


def _structure(model: onnx.ModelProto) -> bytes:
    """The nodes and their connections, without the weights."""
    return b"".join(node.SerializeToString(deterministic=True) for node in model.graph.node)
