"""What the child runs: every function here may be handed a hostile file. Never import this in the parent."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import helper

from zkinfer.circuits.context import LIMBS
from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.engines.ezkl.lowering import unsupported
from zkinfer.circuits.engines.ezkl.lowering.decompose import with_plain_operators
from zkinfer.circuits.engines.ezkl.lowering.input_range import with_guards
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.analyse import describe, workload
from zkinfer.circuits.frontend.equivalence import refuse_difference
from zkinfer.circuits.frontend.exporter_artifacts import as_tensors
from zkinfer.circuits.frontend.float_session import read, written
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.frontend.ml.probes import probes
from zkinfer.circuits.frontend.ml.rules import without_classical
from zkinfer.circuits.frontend.passes.pipeline import simplified, steps
from zkinfer.circuits.frontend.prune import port, seed, serialised, tidied
from zkinfer.circuits.frontend.runtime import answers
from zkinfer.circuits.frontend.summary import (
    CONTEXT_INPUT,
    CONTEXT_OUTPUT,
    NORMALISER,
    NormalisedModel,
    Objection,
    Objections,
)
from zkinfer.circuits.frontend.validate import refused_nodes, screen
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import onnx


def inspect(path: str, digest: str) -> str:
    """See `zkinfer.circuits.frontend.inspect_model`; the answer is a ModelSummary as JSON."""
    file = Path(path)
    model = load(file, Digest.parse(digest))
    return describe(model, Digest.parse(digest), file.stat().st_size).model_dump_json()


def normalise(path: str, digest: str, out: str, dimensions: dict[str, int], input_visibility: str) -> str:
    """See `zkinfer.circuits.frontend.normalise_model`; the answer is a NormalisedModel as JSON."""
    file, identity = Path(path), Digest.parse(digest)
    original = load(file, identity)
    hashed, public = input_visibility == "hashed", input_visibility == "public"
    normal, inputs, outputs = normal_form(original, dimensions, seed(identity.value), guarded=hashed)
    data = serialised(with_context(normal, output=not public))
    Path(out).write_bytes(data)
    answer = NormalisedModel(
        sha256=sha256(data),
        normaliser=NORMALISER,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        workload=workload(shapes.inferred(normal)),
        summary=describe(original, identity, file.stat().st_size),
    )
    return answer.model_dump_json()


def objections(path: str, digest: str) -> str:
    """See `zkinfer.circuits.frontend.objections`; the answer is an Objections as JSON."""
    original = as_tensors(load(Path(path), Digest.parse(digest)))
    found = list(refused_nodes(original.graph))
    if not found:
        screen(original)
        runtime.check(original)
        *_, simple = settled(original, {})
        found = list(unsupported.unsupported(simple))
    listed = (
        Objection(node=node.name or next(iter(node.output), ""), cause=problem.cause, cure=problem.cure)
        for node, problem in found
    )
    return Objections(found=tuple(listed)).model_dump_json()


def evaluate(path: str, digest: str, samples: str, out: str) -> None:
    """See `zkinfer.circuits.frontend.evaluate`."""
    model = as_tensors(load(Path(path), Digest.parse(digest)))
    screen(model)
    answers(shapes.without_constant_inputs(model), Path(samples), Path(out))


def open_floats(path: str, digest: str) -> Callable[[dict[str, dict[str, Any]]], dict[str, dict[str, Any]]]:
    """What a `zkinfer.circuits.frontend.float_session.FloatSession` answers with."""
    model = as_tensors(load(Path(path), Digest.parse(digest)))
    screen(model)
    session = runtime.Session(shapes.without_constant_inputs(model))

    def answer(inputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        outputs = session.run({name: read(array) for name, array in inputs.items()})
        return {name: written(array) for name, array in outputs.items()}

    return answer


def normal_form(
    original: onnx.ModelProto, dimensions: Mapping[str, int], seed_: int, *, guarded: bool = False
) -> tuple[onnx.ModelProto, list[TensorSpec], list[TensorSpec]]:
    """The normal form of a parsed model, without the context, and its inputs and outputs.

    With `guarded` the circuit range-checks its inputs itself, as those must that are hashed.

    (1) refuse what no circuit can take; (2) settle shapes, turn classical models into tensor arithmetic, settle the
    opset; (3) fold, rewrite, optimise and prune until nothing changes; (4) refuse what the engine could not take;
    (5) strip, and guard inputs; (6) check with onnx and against the original.
    """
    readable = as_tensors(original)
    screen(readable)  # (1)
    runtime.check(readable)
    fixed, converted, simple = settled(readable, dimensions)  # (2) (3)
    unsupported.refuse_unsupported(simple)  # (4)
    inputs, outputs = shapes.specs(simple)
    normal = tidied(simple, inputs, outputs)  # (5)
    if guarded:
        normal = with_guards(normal, inputs)
    runtime.check(normal)  # (6)
    refuse_difference(
        fixed,
        normal,
        inputs,
        seed_,
        lambda: chain([("opset", converted)], steps(converted)),
        probes(fixed, inputs, seed_),
    )
    return normal, inputs, outputs


def settled(
    original: onnx.ModelProto, dimensions: Mapping[str, int]
) -> tuple[onnx.ModelProto, onnx.ModelProto, onnx.ModelProto]:
    """The model with a size for every dimension, the same in plain operators, and that rewritten by all passes."""
    fixed = shapes.with_fixed_shapes(shapes.without_constant_inputs(original), dimensions)
    converted = shapes.with_supported_opset(with_plain_operators(without_classical(fixed)))
    return fixed, converted, simplified(converted)


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
