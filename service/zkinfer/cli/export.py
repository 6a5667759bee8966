"""The command `zkinfer export`."""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import sys
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.compile import Dimensions, parse_dimensions
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result, progress_display, say_note
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.export import Exported
    from zkinfer.circuits.frontend import Port
    from zkinfer.circuits.tensors import TensorSpec


def import_target(target: str) -> Any:  # noqa: ANN401 - any object of the user's
    """Import `module:attribute`, from the current directory first; the attribute may be dotted.

    Raises:
        InputError: the target has no colon, module or attribute do not exist, or the import raises an exception.
    """
    from zkinfer.circuits.errors import InputError

    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise InputError(f"{target!r} is not module:callable.", "For make_model in net.py, write net:make_model.")
    if module_name.endswith(".py") or "/" in module_name:
        name = Path(module_name).stem
        raise InputError(f"{module_name!r} is a file, not a module.", f"From its folder, write {name}:{path}.")
    module = _imported(module_name)
    try:
        return reduce(getattr, path.split("."), module)
    except AttributeError as err:
        raise InputError(f"Module {module_name!r} has no attribute {path!r}.", "Check the spelling.") from err


def _imported(name: str) -> object:
    from zkinfer.circuits.errors import InputError

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with user_code_errors(f"Importing {name!r} fails"):
            return importlib.import_module(name)
    except InputError as err:
        missing = err.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{name}.".startswith(f"{missing.name}."):
            raise InputError(f"There is no module {name!r}.", f"Looked in {here} and on Python's path.") from missing
        raise


@contextmanager
def user_code_errors(what: str) -> Iterator[None]:
    """Turn any exception of the user's code into InputError, including `sys.exit`."""
    from zkinfer.circuits.errors import InputError, ZkinferError

    try:
        yield
    except ZkinferError:
        raise
    except (Exception, SystemExit) as err:
        raise InputError(f"{what}: {_summary_of(err)}", _location_in_user_code(err)) from err


def _summary_of(err: BaseException) -> str:
    first = next(iter(str(err).splitlines()), "")[:300]
    return f"{type(err).__name__}: {first}" if first else f"{type(err).__name__}."


def _location_in_user_code(err: BaseException) -> str:
    """The innermost traceback line in a file under the current directory; empty if there is none."""
    trace, found = err.__traceback__, ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if Path.cwd() in file.parents and "site-packages" not in file.parts:
            found = f"At {file.relative_to(Path.cwd())}, line {trace.tb_lineno}."
        trace = trace.tb_next
    return found


_SHAPE = re.compile(r"(?P<name>[^=]+)=(?P<sizes>\d+(,\d+)*)(:(?P<dtype>\w+))?", re.ASCII)


class ExporterName(StrEnum):
    """torch's exporters."""

    DYNAMO = "dynamo"
    TORCHSCRIPT = "torchscript"


Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:CALLABLE",
        help="Function that makes the torch module, such as net:make_model for make_model in net.py. It returns a "
        "torch.nn.Module, or a module and its example inputs. Your code runs in this process.",
        show_default=False,
    ),
]


def export_command(
    target: Target,
    out: Annotated[Path, typer.Option(help="The ONNX file to write.", show_default=False)],
    example: Annotated[
        Path | None,
        typer.Option(help="Example inputs by name (.npz, .json; .csv with --shape).", show_default=False),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZES[:TYPE]",
            help="Shape of an input, such as image=1,64 or tokens=1,16:int64; its values are random. Repeatable.",
        ),
    ] = None,
    exporter: Annotated[
        ExporterName, typer.Option(help="torch's exporter: the current one, or the older tracer.")
    ] = ExporterName.DYNAMO,
    dynamic_batch: Annotated[
        bool,
        typer.Option("--dynamic-batch", help="Make the first dimension of every input symbolic; circuits use size 1."),
    ] = False,
    input_name: Annotated[
        list[str] | None, typer.Option(help="Names of the inputs, in order. Default: the parameters of forward.")
    ] = None,
    output_name: Annotated[
        list[str] | None,
        typer.Option(
            help="Names of the outputs, in order. Default: the keys of a dictionary, else output, or output_0, ..."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a torch module to an ONNX file for `zkinfer compile`.

    The outputs of the file are compared with torch's. Unsupported operators are reported with their module.

    Example: zkinfer export net:make_model --shape image=1,64 --out model.onnx
    """
    with exit_on_error(as_json=as_json), _reserve_stdout():
        from zkinfer.circuits.export import export_torch, load_torch

        specs = [parse_shape(text) for text in shape or []]
        load_torch()  # reports a missing torch before the user's module does
        module, given = make_module(import_target(target), target)
        inputs = _inputs(module, given, example, specs, input_name or [])
        with progress_display(quiet=as_json) as display:
            exported = export_torch(
                module,
                inputs,
                out,
                exporter=exporter.value,
                dynamic_batch=dynamic_batch,
                input_names=input_name or (),
                output_names=output_name or (),
                overwrite=force,
                observer=display,
            )
    with exit_on_error(as_json=as_json):
        show(exported)
    if as_json:
        print_json(report(exported))


def scores_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The classifier.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.", show_default=False)],
    dim: Dimensions = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a classifier that returns its scores, without the labels and the Softmax that readers can compute.

    Ashlar has neither; a circuit of ezkl is smaller without them. The label is the position of the largest score, or
    whether a single score is above 0, or a probability above 0.5.

    Example: zkinfer scores forest.onnx --out forest-scores.onnx
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.errors import InputError
        from zkinfer.circuits.frontend import write_scores

        if out.exists() and not force:
            raise InputError(f"{out} exists.", "Name another file, or pass --force.")
        notes = write_scores(model, out, dimensions=parse_dimensions(dim or []))
        for note in notes:
            say_note(note)
        print_result(f"[green]✓[/] {plain(out)}")
    if as_json:
        print_json({"ok": True, "file": str(out), "notes": list(notes)})


@contextmanager
def _reserve_stdout() -> Iterator[None]:
    """Reserve stdout for the result: print output of user code goes to stderr, that of torch's C++ is discarded."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # else C++ buffers would be written at exit
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def parse_shape(text: str) -> TensorSpec:
    """`image=1,64` or `tokens=1,16:int64` as a spec; raises typer.BadParameter for anything else."""
    from pydantic import ValidationError

    from zkinfer.circuits.tensors import TensorSpec

    match = _SHAPE.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not NAME=SIZES[:TYPE], such as image=1,64", param_hint="--shape")
    sizes = tuple(map(int, match["sizes"].split(",")))
    try:
        return TensorSpec.model_validate({"name": match["name"], "dtype": match["dtype"] or "float32", "shape": sizes})
    except ValidationError as err:
        raise typer.BadParameter(f"{text!r}: {err.errors()[0]['msg']}", param_hint="--shape") from err


def make_module(found: Any, target: str) -> tuple[Any, object]:  # noqa: ANN401 - any object of the user's
    """The torch module that a callable makes, and its example inputs or None.

    Raises:
        InputError: the object is not callable, raises an exception, or returns another type.
    """
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.export import load_torch

    kind = load_torch().nn.Module
    if isinstance(found, kind):
        return found, None
    if not callable(found):
        raise InputError(f"{target} is an object of type {type(found).__name__}, which cannot be called.", _RETURN)
    with user_code_errors(f"Calling {target} fails"):
        result = found()
    if isinstance(result, kind):
        return result, None
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], kind):
        return result
    raise InputError(f"{target} returns an object of type {type(result).__name__}.", _RETURN)


_RETURN = "It must be a function that returns a torch.nn.Module, or a module and its example inputs."


def _inputs(module: Any, given: object, example: Path | None, specs: list[TensorSpec], names: list[str]) -> object:  # noqa: ANN401
    """The example inputs: from the file, else random in the given shapes, else those returned with the module."""
    from zkinfer.circuits.errors import InputError
    from zkinfer.circuits.export import forward_inputs, random_inputs
    from zkinfer.circuits.tensor_files import read_arrays, read_inputs

    if example is not None:
        return read_inputs(example, specs, say_note) if specs else read_arrays(example, names or forward_inputs(module))
    if specs:
        return random_inputs(specs)
    if given is None:
        shapes = " ".join(f"--shape {name}=1,..." for name in forward_inputs(module))
        raise InputError("The module's inputs are unknown.", f"Give --example FILE, or {shapes}")
    return given


def show(exported: Exported) -> None:
    """Show the exported model."""
    summary = exported.summary
    rows = {
        "ONNX file": exported.sha256,
        "exporter": f"{exported.exporter} of torch {exported.torch}, opset {exported.opset}",
        "inputs": ", ".join(map(port_text, summary.inputs)),
        "outputs": ", ".join(map(port_text, summary.outputs)),
        "size": f"{summary.parameters:,} parameters, {summary.nodes:,} nodes, {summary.bytes:,} bytes",
        "compared": f"with torch on {exported.compared} inputs; largest difference {exported.largest_difference:.2g}",
    }
    print_result(
        f"[green]✓[/] {plain(exported.path)} in {sum(exported.timings.values()):.1f} s: it can be compiled to a circuit"
    )
    print_facts(rows)


def port_text(port: Port) -> str:
    """A tensor as `image float32[batch, 64]`."""
    return f"{port.name} {port.dtype}[{', '.join(map(str, port.shape))}]"


def report(exported: Exported) -> dict[str, Any]:
    """The JSON form."""
    summary = exported.summary
    return {
        "ok": True,
        "path": str(exported.path),
        "sha256": str(exported.sha256),
        "exporter": exported.exporter,
        "torch": exported.torch,
        "opset": exported.opset,
        "inputs": [port.model_dump(mode="json") for port in summary.inputs],
        "outputs": [port.model_dump(mode="json") for port in summary.outputs],
        "parameters": summary.parameters,
        "compared": exported.compared,
        "largestDifference": exported.largest_difference,
        "timings": exported.timings,
        "notes": list(exported.notes),
    }
