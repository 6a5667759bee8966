"""The steps of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError, ModelError, UnsupportedModelError
from zkinfer.circuits.export import torch_backend
from zkinfer.circuits.export.example_inputs import examples, more, refuse_uneven, with_batch
from zkinfer.circuits.export.sanitise import published
from zkinfer.circuits.export.torch_backend import EXPORTERS, OPSET, Exporter
from zkinfer.circuits.frontend import CONTEXT_INPUT, CONTEXT_OUTPUT, evaluate, normalise_model, objections
from zkinfer.circuits.progress import NOBODY, Stages
from zkinfer.circuits.storage import private_directory, refuse_existing, write_atomically
from zkinfer.circuits.tensor_files import from_npz, to_npz

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.frontend import ModelSummary
    from zkinfer.circuits.progress import Observer

    Array = NDArray[Any]

    from numpy.typing import NDArray

    from zkinfer.circuits.export.sanitise import Origin
    from zkinfer.circuits.frontend import NormalisedModel, Objection


# Of the largest number in an output: what another order of float32 additions explains, and no wrong operator does.
_TOLERANCE = {"float16": 1e-2}
_RTOL, _ATOL = 1e-4, 1e-6


def judged(path: Path, origins: Mapping[str, Origin]) -> NormalisedModel:
    """Normalise the file, as `compile` will.

    Raises:
        UnsupportedModelError: it holds nodes that no circuit can take; names all, each with the module it comes from.
        ModelError: as `normalise_model`.
    """
    with private_directory() as scratch:
        try:
            return normalise_model(path, scratch / "normal.onnx")
        except UnsupportedModelError as err:
            found = objections(path)
            if not found:  # it is not about one node
                raise
            raise _refusal(found, origins) from err


def _refusal(found: Sequence[Objection], origins: Mapping[str, Origin]) -> UnsupportedModelError:
    causes = [f"{_origin_of(one.node, origins)}: {one.cause}" for one in found]
    cures = dict.fromkeys(one.cure for one in found)
    count = "One step" if len(found) == 1 else f"{len(found)} steps"
    return UnsupportedModelError(f"{count} of this module cannot become a circuit. {' '.join(causes)}", " ".join(cures))


def _origin_of(node: str, origins: Mapping[str, Origin]) -> str:
    """A rewritten node is called after the value that it computes, which is called after the node that did."""
    known = max((name for name in origins if node.startswith(name)), key=len, default="")
    return str(origins[known]) if known else "a step of no known origin"


def largest_difference(path: Path, inputs: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """Run the file in onnxruntime and compare.

    Args:
        path: the ONNX file.
        inputs: [N, *shape] by name.
        wanted: torch's answers to them, [N, *shape] by name.

    Returns:
        The largest difference between two numbers.

    Raises:
        ModelError: an answer has another shape or type, or differs by more than rounding explains.
    """
    with private_directory() as scratch:
        to_npz(scratch / "in.npz", inputs)
        evaluate(path, scratch / "in.npz", scratch / "out.npz")
        got = from_npz((scratch / "out.npz").read_bytes())
    return max(_difference(name, array, got[name]) for name, array in wanted.items())


def _difference(name: str, wanted: Array, got: Array) -> float:
    if (wanted.dtype, wanted.shape) != (got.dtype, got.shape):
        raise _differs(name, f"torch gives {wanted.dtype}{list(wanted.shape[1:])}, it {got.dtype}{list(got.shape[1:])}")
    finite = np.isfinite(wanted)
    if not np.array_equal(wanted[~finite], got[~finite], equal_nan=wanted.dtype.kind == "f"):
        raise _differs(name, "not the same numbers are finite")
    first, second = wanted[finite].astype(np.float64), got[finite].astype(np.float64)
    difference = float(np.abs(first - second).max(initial=0.0))
    allowed = 0.0
    if wanted.dtype.kind == "f":
        rtol = _TOLERANCE.get(str(wanted.dtype), _RTOL)
        allowed = rtol * float(np.abs(first).max(initial=0.0)) + _ATOL
    if difference > allowed:
        place = int(np.abs(first - second).argmax())
        raise _differs(name, f"torch gives {first[place]:.9g}, it {second[place]:.9g}; {allowed:.3g} is allowed")
    return difference


def _differs(name: str, how: str) -> ModelError:
    return ModelError(
        f"The exported file does not answer as torch does, in output {name!r}: {how}.",
        "Something of the module was fixed at the example's values; try the other exporter (--exporter).",
    )


FURTHER = 8  # random inputs on which file and module are compared, beside the example
_BATCHES = (1, 3)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: what it holds, who made it, and how far its answers are from torch's."""

    path: Path
    sha256: Digest
    exporter: Exporter
    torch: str
    opset: int
    summary: ModelSummary
    compared: int
    largest_difference: float
    timings: dict[str, float]


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
    observer: Observer = NOBODY,
) -> Exported:
    """Write a torch module as an ONNX file that answers as it does and that a circuit can take.

    The module runs in this process, in evaluation mode and without gradients; it is given back as it was. The file
    holds no metadata of torch's, and the same module and versions always give the same bytes.

    Args:
        module: what to export; on the processor.
        example_inputs: a tensor, a sequence of them in the order of `forward`, or a mapping by name.
        out: the file to write.
        exporter: torch's own choice, `dynamo`, or its older tracer, `torchscript`.
        dynamic_batch: leave the first size of every input open; a circuit takes 1.
        input_names: default: the parameters of `forward`.
        output_names: default: the keys of a dictionary, else `output`, or `output_0` and so on.
        overwrite: replace `out` if it exists.
        observer: told of the stages.

    Raises:
        InputError: torch is not installed, `out` exists, the names do not fit.
        DataError: an example is no tensor of numbers.
        UnsupportedModelError: no circuit can take some step; all are named, each with its module.
        ModelError: the module fails or is random, torch cannot export it, or the file answers something else.
    """
    stages = Stages(observer)
    torch = torch_backend.load()
    _check_arguments(module, exporter, out, overwrite=overwrite)
    inputs = examples(module, example_inputs, input_names)
    if dynamic_batch:
        refuse_uneven(inputs)
    with torch_backend.evaluating(module), private_directory() as scratch:
        draft = scratch / "model.onnx"
        with stages.stage("export"):
            outputs = _output_names(module, inputs, output_names)
            made = torch_backend.to_onnx(module, inputs, exporter, dynamic_batch=dynamic_batch)
            data, origins = published(made, module, list(inputs), outputs)
            draft.write_bytes(data)
        with stages.stage("judge"):
            summary = judged(draft, origins).summary
        with stages.stage("compare"):
            compared, difference = _compare(draft, module, inputs, outputs, dynamic_batch=dynamic_batch)
    if not overwrite:
        refuse_existing(out, cure=_FORCE)
    write_atomically(out, data)
    return Exported(
        path=out,
        sha256=sha256(data),
        exporter=exporter,
        torch=str(torch.__version__),
        opset=OPSET,
        summary=summary,
        compared=compared,
        largest_difference=difference,
        timings=stages.seconds,
    )


_FORCE = "Choose another --out, or replace it with --force."


def _check_arguments(module: object, exporter: str, out: Path, *, overwrite: bool) -> None:
    if not isinstance(module, torch_backend.load().nn.Module):
        raise InputError(f"An object of type {type(module).__name__} is no torch.nn.Module.")
    if exporter not in EXPORTERS:
        raise InputError(f"There is no exporter {exporter!r}.", f"Choose one of {', '.join(EXPORTERS)}.")
    if out.is_dir():
        raise InputError(f"{out} is a directory.", "Name a file in it.")
    if not overwrite:
        refuse_existing(out, cure=_FORCE)


def _output_names(module: torch.nn.Module, inputs: Mapping[str, Array], given: Sequence[str]) -> list[str]:
    """What the outputs are called; also refuses a module that answers the same input in two ways."""
    first, second = torch_backend.answers(module, inputs), torch_backend.answers(module, inputs)
    if any(not np.array_equal(first[name], second[name], equal_nan=True) for name in first):
        raise ModelError(
            "The module answers the same input in two ways, also in evaluation mode: it is random, or keeps a state.",
            "Feed noise and state as inputs; no dropout with training=True.",
        )
    names = list(given) or list(first)
    if len(names) != len(first):
        raise InputError(f"There are {len(names)} names for {len(first)} outputs: {', '.join(first)}.")
    _refuse_names((*inputs, *names))
    return names


def _refuse_names(names: Iterable[str]) -> None:
    listed = list(names)
    for name in listed:
        if listed.count(name) > 1 or name in (CONTEXT_INPUT, CONTEXT_OUTPUT) or name.startswith("/") or not name:
            raise InputError(
                f"{name!r} cannot name an input or output: it is used twice, reserved, empty, or begins with a slash.",
                "Give other names: --input-name, --output-name.",
            )


def _compare(
    path: Path, module: torch.nn.Module, inputs: Mapping[str, Array], outputs: Sequence[str], *, dynamic_batch: bool
) -> tuple[int, float]:
    """How many inputs were compared, and the largest difference."""
    shapes = [with_batch(inputs, size) for size in _BATCHES] if dynamic_batch else []
    differences = [_compare_all(path, module, one, outputs) for one in (inputs, *shapes)]
    return len(differences) * (1 + FURTHER), max(differences)


def _compare_all(path: Path, module: torch.nn.Module, inputs: Mapping[str, Array], outputs: Sequence[str]) -> float:
    random = more(inputs, FURTHER)
    samples = {name: np.concatenate([array[None], random[name]]) for name, array in inputs.items()}
    rows = [
        torch_backend.answers(module, {name: array[place] for name, array in samples.items()})
        for place in range(1 + FURTHER)
    ]
    if len({tuple(array.shape for array in row.values()) for row in rows}) != 1:
        raise ModelError("The shape of an output depends on the input's values.", "Fix every size, as with a mask.")
    wanted = {new: np.stack([row[old] for row in rows]) for new, old in zip(outputs, rows[0], strict=True)}
    return largest_difference(path, samples, wanted)
