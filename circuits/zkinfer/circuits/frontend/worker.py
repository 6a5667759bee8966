"""The functions that the child runs. Every file they read may be malicious: never import this in the parent."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import runtime, shapes
from zkinfer.circuits.frontend.analyse import describe, workload
from zkinfer.circuits.frontend.api import array_from_json, array_to_json
from zkinfer.circuits.frontend.element_types import in_float32, other_floats
from zkinfer.circuits.frontend.fold import with_plain_operators
from zkinfer.circuits.frontend.graph import type_name
from zkinfer.circuits.frontend.indices import IndexCheck
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.frontend.ml.rules import probes, without_classical
from zkinfer.circuits.frontend.passes.pipeline import Lowering, simplified, steps
from zkinfer.circuits.frontend.prune import origins, seed, serialised, stripped
from zkinfer.circuits.frontend.quantised import has_quantised, with_plain_constants
from zkinfer.circuits.frontend.runtime import evaluate_samples, refuse_difference
from zkinfer.circuits.frontend.scores import with_scores
from zkinfer.circuits.frontend.summary import (
    NORMALISER,
    Finding,
    Findings,
    NormalisedModel,
)
from zkinfer.circuits.frontend.validate import as_tensors, refuse_problems, unheld
from zkinfer.circuits.tensor_files import from_npz

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from zkinfer.circuits.errors import ModelError
    from zkinfer.circuits.tensors import TensorSpec

    Check = Callable[[onnx.ModelProto], None]

# They are less exact than the circuit's form of the model, so a difference from it proves nothing.
_ROUGH = frozenset({onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT16})


class NormalForm(NamedTuple):
    """A normal form, its ports, and what its owner should know about how it was made.

    The scale of an input is the bits by which it should be finer than the others, see `Lowering.input_scales`.
    """

    model: onnx.ModelProto
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    notes: tuple[str, ...] = ()
    names: dict[str, str] = {}  # noqa: RUF012 - never changed


class Stages(NamedTuple):
    """A model with fixed shapes; with plain operators; in float32; in a supported opset; rewritten by all passes."""

    fixed: onnx.ModelProto
    plain: onnx.ModelProto
    float32: onnx.ModelProto
    converted: onnx.ModelProto
    simple: onnx.ModelProto


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
        workload=workload(shapes.inferred(normal.model), normal.names),
        summary=describe(original, identity, file.stat().st_size),
        notes=normal.notes,
        names=normal.names,
    )
    return answer.model_dump_json()


def write_scores(path: str, digest: str, out: str, dimensions: dict[str, int]) -> list[str]:
    """See `zkinfer.circuits.frontend.write_scores`."""
    identity = Digest.parse(digest)
    original = load(Path(path), identity)
    found = with_scores(normal_form(original, dimensions, seed(identity.value), Lowering(keep_trees=True)).model)
    runtime.check(found.model)
    Path(out).write_bytes(serialised(found.model))
    return list(found.notes)


def evaluate(path: str, digest: str, samples: str, out: str) -> None:
    """See `zkinfer.circuits.frontend.evaluate`."""
    evaluate_samples(reference(path, digest), Path(samples), Path(out))


def first_bad_index(path: str, samples: str) -> list[Any] | None:
    """See `zkinfer.circuits.frontend.first_bad_index`; samples are [N, *shape]."""
    check, arrays = IndexCheck(onnx.load(path)), from_npz(Path(samples).read_bytes())
    for number in range(len(next(iter(arrays.values())))):
        found = check.first({name: array[number] for name, array in arrays.items()})
        if found is not None:
            return [number, *found]
    return None


def open_session(path: str, digest: str) -> Callable[[dict[str, dict[str, Any]]], dict[str, dict[str, Any]]]:
    """The function that answers a `zkinfer.circuits.frontend.api.FloatSession`."""
    session = runtime.Session(reference(path, digest))

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

    (1) reject what no engine, or this one, supports; (2) fix shapes, turn classical models into tensor arithmetic and
    other floats into float32, and fix the opset; (3) fold, rewrite, optimise and prune until nothing changes; (4)
    reject a result that the engine does not support; (5) strip, and let the engine finish; (6) check with onnx and
    against the original.

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
    plain = with_plain_constants(readable)
    refuse(plain)
    runtime.check(plain)
    stages = lowering_stages(plain, dimensions, lowering)  # (2) (3)
    for _, problem in unheld(stages.simple):  # (4)
        raise problem
    refuse_lowered(stages.simple)
    inputs, outputs = shapes.specs(stages.simple)
    normal = finish(stripped(stages.simple, inputs, outputs), inputs)  # (5)
    runtime.check(normal)  # (6)
    _refuse_lost_digits(stages, runtime.samples(inputs, seed_))
    model = stages.fixed if plain is readable else _fixed(readable, dimensions)
    exact, runs = not _ROUGH.intersection(other_floats(stages.plain)), _runs(model)
    refuse_difference(
        model if exact and runs else stages.float32,
        normal,
        inputs,
        seed_,
        lambda: chain([("float32", stages.float32), ("opset", stages.converted)], steps(stages.converted, lowering)),
        probes(model, inputs, seed_),
    )
    finer = lowering.input_scales(stages.converted)
    inputs = [spec.model_copy(update={"scale": finer.get(spec.name, 0)}) for spec in inputs]
    notes = (
        *shapes.batch_notes(shapes.without_constant_inputs(readable), dimensions),
        *_notes(plain is not readable, other_floats(stages.plain), runs=runs),
        *lowering.notes(stages.converted),
    )
    return NormalForm(normal, inputs, outputs, tuple(dict.fromkeys(notes)), origins(stages.simple, inputs, outputs))


def lowering_stages(original: onnx.ModelProto, dimensions: Mapping[str, int], lowering: Lowering) -> Stages:
    """The stages of a model without quantised constants."""
    fixed = _fixed(original, dimensions)
    plain = with_plain_operators(without_classical(fixed, keep_trees=lowering.keep_trees))
    float32 = _in_float32(plain)
    converted = shapes.with_supported_opset(float32)
    return Stages(fixed, plain, float32, converted, simplified(converted, lowering))


def _fixed(model: onnx.ModelProto, dimensions: Mapping[str, int]) -> onnx.ModelProto:
    return shapes.with_fixed_shapes(shapes.without_constant_inputs(model), dimensions)


def _in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    return in_float32(shapes.inferred(model)) if other_floats(model) else model


def reference(path: str, digest: str) -> onnx.ModelProto:
    """The model that answers are compared with: as it is, or in float32 where onnxruntime lacks its element types."""
    readable = as_tensors(load(Path(path), Digest.parse(digest)))
    refuse_problems(readable)
    model = shapes.without_constant_inputs(readable)
    return model if _runs(model) else _in_float32(with_plain_constants(model))


def _runs(model: onnx.ModelProto) -> bool:
    return not (other_floats(model) or has_quantised(model)) or runtime.can_run(model)


def _refuse_lost_digits(stages: Stages, feeds: Sequence[runtime.Feeds]) -> None:
    """Raise UnsupportedModelError if the outputs depend on digits that float64 has and float32 does not."""
    if other_floats(stages.plain) != [onnx.TensorProto.DOUBLE] or not runtime.can_run(stages.plain):
        return
    output = runtime.difference(stages.plain, stages.float32, feeds)
    if output is not None:
        raise UnsupportedModelError(
            f"The model needs float64: its output {output[:80]!r} changes if it is computed in float32.",
            "Scale the model's numbers so that float32 is sufficient; a circuit has fewer digits than float32.",
        )


def _notes(dequantised: bool, floats: Sequence[int], *, runs: bool) -> Iterator[str]:
    """What was done about element types, for the model's owner."""
    if dequantised:
        yield "quantised weights are replaced by the numbers that they represent"
    if kinds := " and ".join(type_name(kind) for kind in floats):
        yield f"the model computes in {kinds}; the circuit is compiled from its float32 form"
    if not runs:
        yield "onnxruntime cannot run the model's element types; fidelity is measured against the converted model"


def findings(found: Iterable[tuple[onnx.NodeProto, ModelError]]) -> str:
    """Why an engine does not support nodes, as the JSON of a Findings."""
    listed = (
        Finding(node=node.name or next(iter(node.output), ""), cause=problem.cause, cure=problem.cure)
        for node, problem in found
    )
    return Findings(found=tuple(listed)).model_dump_json()
