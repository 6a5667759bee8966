"""Export a torch module to ONNX and check that the file is supported and gives the same outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.compilation import refuse_impossible
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines import engine_named
from zkinfer.circuits.engines.base import TuneRequest
from zkinfer.circuits.errors import InputError, ModelError, UnsupportedModelError
from zkinfer.circuits.export import torch_backend
from zkinfer.circuits.export.example_inputs import examples, random_like, refuse_uneven, with_batch
from zkinfer.circuits.export.sanitise import sanitised
from zkinfer.circuits.export.torch_backend import EXPORTERS, OPSET, Exporter
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import evaluate
from zkinfer.circuits.progress import NULL_OBSERVER, Stages
from zkinfer.circuits.sandbox.resources import usable_memory
from zkinfer.circuits.storage import private_directory, refuse_existing, write_atomically
from zkinfer.circuits.tensor_files import from_npz, to_npz

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.export.sanitise import Origin
    from zkinfer.circuits.frontend import Finding, ModelSummary, NormalisedModel
    from zkinfer.circuits.progress import Observer

    Array = NDArray[Any]

_ANY_SETUP = 28  # as large as any ceremony's
RANDOM_INPUTS = 8  # random inputs on which file and module are compared, in addition to the example
_BATCHES = (1, 3)
# Relative to the largest number of an output: more than reordered float32 additions cause, less than a wrong operator.
_RTOL, _ATOL = 1e-4, 1e-6
_RTOL_OF = {"float16": 1e-2}
_FORCE = "Choose another --out, or replace it with --force."


@dataclass(frozen=True, slots=True)
class Exported:
    """A written file, its exporter, and the largest difference from torch's outputs on `compared` inputs.

    `notes` tell how `compile` will change the model to fit a circuit.
    """

    path: Path
    sha256: Digest
    exporter: Exporter
    torch: str
    opset: int
    summary: ModelSummary
    compared: int
    largest_difference: float
    timings: dict[str, float]
    notes: tuple[str, ...] = ()


def export_torch(
    module: torch.nn.Module,
    example_inputs: object,
    out: Path,
    *,
    exporter: Exporter = "dynamo",
    dynamic_batch: bool = False,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    overwrite: bool = False,
    engine: Engine | None = None,
    observer: Observer = NULL_OBSERVER,
) -> Exported:
    """Write a torch module as an ONNX file that gives the same outputs and that circuits support.

    The module runs in this process, in evaluation mode and without gradients; its state is restored. The file contains
    no metadata of torch, and its bytes are reproducible under the same versions.

    Args:
        module: the module to export, on the CPU.
        example_inputs: a tensor, a sequence of them in the order of `forward`, or a mapping by name.
        out: the file to write.
        exporter: torch's default, `dynamo`, or its older tracer, `torchscript`.
        dynamic_batch: make the first size of every input dynamic; circuits use 1.
        input_names: by default the parameters of `forward`.
        output_names: by default the keys of a dictionary, else `output`, or `output_0` and so on.
        overwrite: replace `out` if it exists.
        engine: the proving system that must support the file; by default that of `zkinfer compile`.
        observer: receives the stages.

    Raises:
        InputError: torch is not installed, `out` exists, or the names do not match the module.
        DataError: an example is not a numeric tensor.
        UnsupportedModelError: steps of the module are not supported; the message names all.
        TooCostlyError: proving would take more memory than this machine has.
        ModelError: the module fails, is random or gives NaN, torch cannot export it, or the file gives different
            outputs.
    """
    stages = Stages(observer)
    torch = torch_backend.load_torch()
    _check_arguments(module, exporter, out, overwrite=overwrite)
    inputs = examples(module, example_inputs, input_names)
    if dynamic_batch:
        refuse_uneven(inputs)
    with torch_backend.evaluation_mode(module), private_directory() as scratch:
        draft = scratch / "model.onnx"
        with stages.stage("export"):
            outputs = _output_names(module, inputs, output_names)
            raw = torch_backend.to_onnx(module, inputs, exporter, dynamic_batch=dynamic_batch)
            data, origins = sanitised(raw, module, list(inputs), outputs)
            draft.write_bytes(data)
        chosen = engine or engine_named()
        with stages.stage("check"):
            normal = require_supported(draft, scratch / "normal.onnx", origins, chosen)
        for text in normal.notes:
            observer.note(text)
        with stages.stage("compare"):
            compared, difference = _compare(draft, module, inputs, outputs, dynamic_batch=dynamic_batch)
        with stages.stage("survey"):
            example = with_batch(inputs, 1) if dynamic_batch else inputs
            require_layout(scratch / "normal.onnx", normal, chosen, example, _finite_answers(module, example, outputs))
    if not overwrite:
        refuse_existing(out, cure=_FORCE)
    write_atomically(out, data)
    return Exported(
        path=out,
        sha256=sha256(data),
        exporter=exporter,
        torch=str(torch.__version__),
        opset=OPSET,
        summary=normal.summary,
        notes=normal.notes,
        compared=compared,
        largest_difference=difference,
        timings=stages.seconds,
    )


def require_supported(path: Path, network: Path, origins: Mapping[str, Origin], engine: Engine) -> NormalisedModel:
    """Lower the file to `network`, as `compile` does.

    Raises:
        UnsupportedModelError: nodes are not supported; the message names all, each with its torch module.
        ModelError: as `Engine.lower`.
    """
    try:
        return engine.lower(path, network, dimensions={}, input_visibility="public")
    except UnsupportedModelError as err:
        found = engine.supports(path)
        if not found:  # the error does not concern a single node
            raise
        raise _refusal(found, origins) from err


def require_layout(
    network: Path,
    normal: NormalisedModel,
    engine: Engine,
    example: Mapping[str, Array],
    answers: Mapping[str, Array],
) -> None:
    """Let the engine lay the network out, as `compile` does before it searches; trusted setups are not considered.

    Raises:
        EngineError, UnsupportedModelError: the engine has no circuit of it.
        TooCostlyError: proving would take more memory than this machine has.
    """
    request = TuneRequest(
        network=network,
        inputs=normal.inputs,
        outputs=normal.outputs,
        samples={name: array[None] for name, array in example.items()},
        reference={name: array[None] for name, array in answers.items()},
        budget=Budget(),
        max_setup_size=_ANY_SETUP,
        max_memory=None,
        workload=normal.workload,
        names=normal.names,
    )
    refuse_impossible(engine, request, usable_memory())


def largest_difference(path: Path, inputs: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """Run the file in onnxruntime and compare its outputs with torch's.

    Args:
        path: the ONNX file.
        inputs: [N, *shape] by name.
        expected: torch's outputs for them, [N, *shape] by name.

    Returns:
        The largest absolute difference.

    Raises:
        ModelError: an output differs in shape or type, or by more than rounding.
    """
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", inputs)
        evaluate(path, scratch / "in.npz", scratch / "out.npz")
        got = from_npz((scratch / "out.npz").read_bytes())
    return max(_difference(name, array, got[name]) for name, array in expected.items())


def _finite_answers(module: torch.nn.Module, example: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    answers = dict(zip(outputs, torch_backend.outputs_of(module, example).values(), strict=True))
    for name, array in answers.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(
                f"The module's output {name!r} is NaN or infinite for the example.",
                "No circuit proves such an answer. Give an example that the module is made for, or correct the module.",
            )
    return answers


def _refusal(found: Sequence[Finding], origins: Mapping[str, Origin]) -> UnsupportedModelError:
    causes = [f"{_origin_of(finding.node, origins)}: {finding.cause}" for finding in found]
    cures = dict.fromkeys(finding.cure for finding in found)
    count = "One step" if len(found) == 1 else f"{len(found)} steps"
    return UnsupportedModelError(f"{count} of this module cannot be compiled. {' '.join(causes)}", " ".join(cures))


def _origin_of(node: str, origins: Mapping[str, Origin]) -> str:
    """The origin of a node; the name of a rewritten node begins with that of the original node."""
    known = max((name for name in origins if node.startswith(name)), key=len, default="")
    return str(origins[known]) if known else "a step of unknown origin"


def _difference(name: str, expected: Array, got: Array) -> float:
    if (expected.dtype, expected.shape) != (got.dtype, got.shape):
        shapes = f"{expected.dtype}{list(expected.shape[1:])}, the file {got.dtype}{list(got.shape[1:])}"
        raise _differs(name, f"torch gives {shapes}")
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], got[~finite], equal_nan=expected.dtype.kind == "f"):
        raise _differs(name, "different numbers are finite")
    first, second = expected[finite].astype(np.float64), got[finite].astype(np.float64)
    difference = float(np.abs(first - second).max(initial=0.0))
    allowed = 0.0
    if expected.dtype.kind == "f":
        rtol = _RTOL_OF.get(str(expected.dtype), _RTOL)
        allowed = rtol * float(np.abs(first).max(initial=0.0)) + _ATOL
    if difference > allowed:
        index = int(np.abs(first - second).argmax())
        raise _differs(
            name, f"torch gives {first[index]:.9g}, the file {second[index]:.9g}; the tolerance is {allowed:.3g}"
        )
    return difference


def _differs(name: str, how: str) -> ModelError:
    return ModelError(
        f"Output {name!r} of the exported file differs from torch's: {how}.",
        "A value of the example was traced as a constant; try the other exporter (--exporter).",
    )


def _check_arguments(module: object, exporter: str, out: Path, *, overwrite: bool) -> None:
    if not isinstance(module, torch_backend.load_torch().nn.Module):
        raise InputError(f"An object of type {type(module).__name__} is not a torch.nn.Module.")
    if exporter not in EXPORTERS:
        raise InputError(f"The exporter {exporter!r} is unknown.", f"Use one of {', '.join(EXPORTERS)}.")
    if out.is_dir():
        raise InputError(f"{out} is a directory.", "Name a file in it.")
    if not overwrite:
        refuse_existing(out, cure=_FORCE)


def _output_names(module: torch.nn.Module, inputs: Mapping[str, Array], given: Sequence[str]) -> list[str]:
    """The names of the outputs; raises ModelError for a module whose outputs differ between two equal calls."""
    first, second = torch_backend.outputs_of(module, inputs), torch_backend.outputs_of(module, inputs)
    if any(not np.array_equal(first[name], second[name], equal_nan=True) for name in first):
        raise ModelError(
            "The module gives different outputs for the same input in evaluation mode: it is random or stateful.",
            "Pass noise and state as inputs, and avoid dropout with training=True.",
        )
    names = list(given) or list(first)
    if len(names) != len(first):
        raise InputError(f"There are {len(names)} names for {len(first)} outputs: {', '.join(first)}.")
    _refuse_names((*inputs, *names))
    return names


def _refuse_names(names: Iterable[str]) -> None:
    every = list(names)
    for name in every:
        if every.count(name) > 1 or name.startswith("/") or not name:
            raise InputError(
                f"{name!r} cannot name an input or output: it is used twice, empty, or begins with a slash.",
                "Give other names: --input-name, --output-name.",
            )


def _compare(
    path: Path, module: torch.nn.Module, inputs: Mapping[str, Array], outputs: Sequence[str], *, dynamic_batch: bool
) -> tuple[int, float]:
    """The number of inputs compared, and the largest difference."""
    resized = [with_batch(inputs, size) for size in _BATCHES] if dynamic_batch else []
    differences = [_compare_all(path, module, example, outputs) for example in (inputs, *resized)]
    return len(differences) * (1 + RANDOM_INPUTS), max(differences)


def _compare_all(path: Path, module: torch.nn.Module, inputs: Mapping[str, Array], outputs: Sequence[str]) -> float:
    random = random_like(inputs, RANDOM_INPUTS)
    samples = {name: np.concatenate([array[None], random[name]]) for name, array in inputs.items()}
    rows = [
        torch_backend.outputs_of(module, {name: array[index] for name, array in samples.items()})
        for index in range(1 + RANDOM_INPUTS)
    ]
    if len({tuple(array.shape for array in row.values()) for row in rows}) != 1:
        raise ModelError("The shape of an output depends on the input's values.", "Fix every size, e.g. with a mask.")
    expected = {new: np.stack([row[old] for row in rows]) for new, old in zip(outputs, rows[0], strict=True)}
    return largest_difference(path, samples, expected)
