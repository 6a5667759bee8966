"""The steps of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError, ModelError
from zkinfer.circuits.exporting import torch_calls
from zkinfer.circuits.exporting.examples import examples, more, refuse_uneven, with_batch
from zkinfer.circuits.exporting.judging import judged, largest_difference
from zkinfer.circuits.exporting.publishing import published
from zkinfer.circuits.exporting.torch_calls import EXPORTERS, OPSET, Exporter
from zkinfer.circuits.models import CONTEXT_INPUT, CONTEXT_OUTPUT
from zkinfer.circuits.scratch import private_directory, refuse_existing, write_atomically
from zkinfer.circuits.stages import NOBODY, Stages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.models import ModelSummary
    from zkinfer.circuits.stages import Observer

    Array = NDArray[Any]

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
    torch = torch_calls.load()
    _check_arguments(module, exporter, out, overwrite=overwrite)
    inputs = examples(module, example_inputs, input_names)
    if dynamic_batch:
        refuse_uneven(inputs)
    with torch_calls.evaluating(module), private_directory() as scratch:
        draft = scratch / "model.onnx"
        with stages.stage("export"):
            outputs = _output_names(module, inputs, output_names)
            made = torch_calls.to_onnx(module, inputs, exporter, dynamic_batch=dynamic_batch)
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
    if not isinstance(module, torch_calls.load().nn.Module):
        raise InputError(f"An object of type {type(module).__name__} is no torch.nn.Module.")
    if exporter not in EXPORTERS:
        raise InputError(f"There is no exporter {exporter!r}.", f"Choose one of {', '.join(EXPORTERS)}.")
    if out.is_dir():
        raise InputError(f"{out} is a directory.", "Name a file in it.")
    if not overwrite:
        refuse_existing(out, cure=_FORCE)


def _output_names(module: torch.nn.Module, inputs: Mapping[str, Array], given: Sequence[str]) -> list[str]:
    """What the outputs are called; also refuses a module that answers the same input in two ways."""
    first, second = torch_calls.answers(module, inputs), torch_calls.answers(module, inputs)
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
        torch_calls.answers(module, {name: array[place] for name, array in samples.items()})
        for place in range(1 + FURTHER)
    ]
    if len({tuple(array.shape for array in row.values()) for row in rows}) != 1:
        raise ModelError("The shape of an output depends on the input's values.", "Fix every size, as with a mask.")
    wanted = {new: np.stack([row[old] for row in rows]) for new, old in zip(outputs, rows[0], strict=True)}
    return largest_difference(path, samples, wanted)
