"""What the child runs: every function here may be handed a hostile file. Never import this in the parent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onnx import helper

from zkinfer.circuits.context import LIMBS
from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import ModelTooLargeError
from zkinfer.circuits.models import capabilities, foreign, shapes
from zkinfer.circuits.models.describing import describe
from zkinfer.circuits.models.equivalence import refuse_difference
from zkinfer.circuits.models.folding import folded
from zkinfer.circuits.models.loading import MAX_NODES, load
from zkinfer.circuits.models.lowering import lowered, with_plain_operators
from zkinfer.circuits.models.pruning import port, pruned, seed, serialised, tidied
from zkinfer.circuits.models.reference import answers
from zkinfer.circuits.models.screening import screen
from zkinfer.circuits.models.summary import CONTEXT_INPUT, CONTEXT_OUTPUT, NORMALISER, NormalisedModel
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

_MAX_ROUNDS = 20


def inspect(path: str, digest: str) -> str:
    """See `zkinfer.circuits.models.inspect_model`; the answer is a ModelSummary as JSON."""
    file = Path(path)
    model = load(file, Digest.parse(digest))
    return describe(model, Digest.parse(digest), file.stat().st_size).model_dump_json()


def normalise(path: str, digest: str, out: str, dimensions: dict[str, int], context_output: bool) -> str:
    """See `zkinfer.circuits.models.normalise_model`; the answer is a NormalisedModel as JSON."""
    file, identity = Path(path), Digest.parse(digest)
    original = load(file, identity)
    normal, inputs, outputs = normal_form(original, dimensions, seed(identity.value))
    data = serialised(with_context(normal, output=context_output))
    Path(out).write_bytes(data)
    answer = NormalisedModel(
        sha256=sha256(data),
        normaliser=NORMALISER,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        summary=describe(original, identity, file.stat().st_size),
    )
    return answer.model_dump_json()


def evaluate(path: str, digest: str, samples: str, out: str) -> None:
    """See `zkinfer.circuits.models.evaluate`."""
    model = load(Path(path), Digest.parse(digest))
    screen(model)
    answers(shapes.without_constant_inputs(model), Path(samples), Path(out))


def normal_form(
    original: onnx.ModelProto, dimensions: Mapping[str, int], seed_: int
) -> tuple[onnx.ModelProto, list[TensorSpec], list[TensorSpec]]:
    """The normal form of a parsed model, without the context, and its inputs and outputs.

    (1) refuse what no circuit can take; (2) settle shapes and opset; (3) fold, rewrite and prune until nothing
    changes; (4) refuse what the engine could not take; (5) strip; (6) check with onnx and against the original.
    """
    screen(original)  # (1)
    foreign.check(original)
    fixed = shapes.with_fixed_shapes(shapes.without_constant_inputs(original), dimensions)  # (2)
    simple = simplified(shapes.with_supported_opset(with_plain_operators(fixed)))  # (3)
    capabilities.refuse_unsupported(simple)  # (4)
    inputs, outputs = shapes.specs(simple)
    normal = tidied(simple, inputs, outputs)  # (5)
    foreign.check(normal)  # (6)
    refuse_difference(fixed, normal, inputs, seed_)
    return normal, inputs, outputs


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold, rewrite and prune until nothing changes: each step can reveal shapes and constants to the others."""
    before = b""
    for _ in range(_MAX_ROUNDS):
        model = pruned(lowered(folded(shapes.inferred(model))))
        if len(model.graph.node) > MAX_NODES:
            raise ModelTooLargeError("The model grows too large when it is rewritten.", "Use a smaller model.")
        after = form(model)
        if after == before:
            break
        before = after
    return shapes.inferred(model)


def form(model: onnx.ModelProto) -> bytes:
    """What the nodes are and how they hang together, without the weights."""
    return b"".join(node.SerializeToString(deterministic=True) for node in model.graph.node)


def with_context(model: onnx.ModelProto, *, output: bool) -> onnx.ModelProto:
    """Put the context in front of the inputs, where no node reads it, so that a proof is bound to its request.

    With `output` it is also appended to the outputs, for circuits whose inputs are not public.
    """
    spec = TensorSpec(name=CONTEXT_INPUT, dtype="float32", shape=(1, LIMBS))
    model.graph.input.insert(0, port(spec))
    if output:
        node = helper.make_node("Identity", [CONTEXT_INPUT], [CONTEXT_OUTPUT])

        model.graph.node.append(node)
        model.graph.output.append(port(spec.model_copy(update={"name": CONTEXT_OUTPUT})))
    return model
