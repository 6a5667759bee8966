"""The functions that the child runs. Every file they read may be malicious: never import this in the parent."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.analyse import describe, workload
from zkinfer.circuits.frontend.api import array_from_json, array_to_json
from zkinfer.circuits.frontend.fold import with_plain_operators
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.frontend.ml.rules import probes, without_classical
from zkinfer.circuits.frontend.passes.pipeline import Lowering, simplified, steps
from zkinfer.circuits.frontend.prune import seed, serialised, stripped
from zkinfer.circuits.frontend.runtime import evaluate_samples, refuse_difference
from zkinfer.circuits.frontend.summary import (
    NORMALISER,
    Finding,
    Findings,
    NormalisedModel,
)
from zkinfer.circuits.frontend.validate import as_tensors, refuse_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import onnx

    from zkinfer.circuits.errors import ModelError
    from zkinfer.circuits.tensors import TensorSpec

    Check = Callable[[onnx.ModelProto], None]


class NormalForm(NamedTuple):
    """A normal form, its ports, and what its owner should know about how it was made."""

    model: onnx.ModelProto
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    notes: tuple[str, ...] = ()


def inspect(path: str, digest: str) -> str:
    """See `zkinfer.circuits.frontend.inspect_model`; returns a ModelSummary as JSON."""
    file = Path(path)
    model = load(file, Digest.parse(digest))
    return describe(model, Digest.parse(digest), file.stat().st_size).model_dump_json()


def normalise(path: str, digest: str, out: str, dimensions: dict[str, int], input_visibility: str) -> str:  # noqa: ARG001
    """Write the normal form made by the frontend's own passes, the same for every visibility; see `lowered`."""
    return lowered(path, digest, out, lambda model, seed_: normal_form(model, dimensions, seed_, Lowering()))


def lowered(path: str, digest: str, out: str, lower: Callable[[onnx.ModelProto, int], NormalForm]) -> str:
    """Write the normal form that `lower` computes from the model and a seed; returns a NormalisedModel as JSON."""
    file, identity = Path(path), Digest.parse(digest)
    original = load(file, identity)
    normal = lower(original, seed(identity.value))
    data = serialised(normal.model)
    Path(out).write_bytes(data)
    answer = NormalisedModel(
        sha256=sha256(data),
        normaliser=NORMALISER,
        inputs=tuple(normal.inputs),
        outputs=tuple(normal.outputs),
        workload=workload(shapes.inferred(normal.model)),
        summary=describe(original, identity, file.stat().st_size),
        notes=normal.notes,
    )
    return answer.model_dump_json()


def evaluate(path: str, digest: str, samples: str, out: str) -> None:
    """See `zkinfer.circuits.frontend.evaluate`."""
    model = as_tensors(load(Path(path), Digest.parse(digest)))
    refuse_problems(model)
    evaluate_samples(shapes.without_constant_inputs(model), Path(samples), Path(out))


def open_session(path: str, digest: str) -> Callable[[dict[str, dict[str, Any]]], dict[str, dict[str, Any]]]:
    """The function that answers a `zkinfer.circuits.frontend.api.FloatSession`."""
    model = as_tensors(load(Path(path), Digest.parse(digest)))
    refuse_problems(model)
    session = runtime.Session(shapes.without_constant_inputs(model))

    def answer(inputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        outputs = session.run({name: array_from_json(array) for name, array in inputs.items()})
        return {name: array_to_json(array) for name, array in outputs.items()}

    return answer


def normal_form(
    original: onnx.ModelProto,
    dimensions: Mapping[str, int],
    seed_: int,
    lowering: Lowering,
    *,
    refuse: Check = lambda _: None,
    refuse_lowered: Check = lambda _: None,
    finish: Callable[[onnx.ModelProto, Sequence[TensorSpec]], onnx.ModelProto] = lambda model, _: model,
) -> NormalForm:
    """The normal form of a parsed model, and its inputs and outputs.

    (1) reject what no engine, or this one, supports; (2) fix shapes, turn classical models into tensor arithmetic, and
    fix the opset; (3) fold, rewrite, optimise and prune until nothing changes; (4) reject a result that the engine does
    not support; (5) strip, and let the engine finish; (6) check with onnx and against the original.

    Args:
        original: the model as loaded.
        dimensions: sizes of symbolic dimensions, by name.
        seed_: for the inputs on which both models are compared.
        lowering: the passes of step (3).
        refuse: raises if the engine does not support the model as loaded.
        refuse_lowered: raises if the engine does not support the result of all passes.
        finish: adds the engine's own nodes to the stripped model.
    """
    readable = as_tensors(original)
    refuse_problems(readable)  # (1)
    refuse(readable)
    runtime.check(readable)
    fixed, converted, simple = lowering_stages(readable, dimensions, lowering)  # (2) (3)
    refuse_lowered(simple)  # (4)
    inputs, outputs = shapes.specs(simple)
    normal = finish(stripped(simple, inputs, outputs), inputs)  # (5)
    runtime.check(normal)  # (6)
    refuse_difference(
        fixed,
        normal,
        inputs,
        seed_,
        lambda: chain([("opset", converted)], steps(converted, lowering)),
        probes(fixed, inputs, seed_),
    )
    return NormalForm(normal, inputs, outputs, tuple(dict.fromkeys(lowering.notes(converted))))


def lowering_stages(
    original: onnx.ModelProto, dimensions: Mapping[str, int], lowering: Lowering
) -> tuple[onnx.ModelProto, onnx.ModelProto, onnx.ModelProto]:
    """Three stages of the model: with fixed shapes, then in plain operators, then rewritten by all passes."""
    fixed = shapes.with_fixed_shapes(shapes.without_constant_inputs(original), dimensions)
    converted = shapes.with_supported_opset(with_plain_operators(without_classical(fixed)))
    return fixed, converted, simplified(converted, lowering)


def findings(found: Iterable[tuple[onnx.NodeProto, ModelError]]) -> str:
    """Why an engine does not support nodes, as the JSON of a Findings."""
    listed = (
        Finding(node=node.name or next(iter(node.output), ""), cause=problem.cause, cure=problem.cure)
        for node, problem in found
    )
    return Findings(found=tuple(listed)).model_dump_json()
