"""All calls of torch, an optional extra that is imported on first use."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from zkinfer.circuits.errors import InputError, ModelError, UnsupportedModelError, ZkinferError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx
    import torch
    from numpy.typing import NDArray

    Array = NDArray[Any]

Exporter = Literal["dynamo", "torchscript"]
EXPORTERS: tuple[Exporter, ...] = get_args(Exporter)
# The newest opset that the normaliser keeps, which torch's dynamo exporter writes without a conversion.
OPSET = 18
BATCH = "batch"

_INSTALL = "Install it: pip install 'zkinfer[torch]'"
_LOGGERS = ("torch", "onnxscript", "onnx_ir")
_USE_WHERE = "Compute both results and select with torch.where, and keep every size fixed."
_REWRITE = "Rewrite that step, or try the other exporter (--exporter)."
# By the class name of torch's error, because the classes are in private modules.
_CURES = {"GuardOnDataDependentSymNode": _USE_WHERE}


@cache
def load_torch() -> Any:  # noqa: ANN401 - a module without types here
    """The package torch; raises InputError if it, or a package that its exporter needs, is not installed."""
    if missing := [name for name in ("torch", "onnxscript") if find_spec(name) is None]:
        raise InputError(f"Exporting needs the package {missing[0]}, which is not installed.", _INSTALL)
    with _translated("torch is installed but cannot be imported", _INSTALL), _quiet():
        return importlib.import_module("torch")


@contextmanager
def evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards restores the module's mode and values and torch's random state."""
    torch = load_torch()
    modes = [(part, part.training) for part in module.modules()]
    with _translated("The module's parameters cannot be read", "Run it once to initialise lazy layers."):
        values = [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]
    fused = torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            torch.backends.mha.set_fastpath_enabled(False)  # it uses operators that ONNX does not have
            module.eval()
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            for part, training in modes:
                part.training = training
            for tensor, value in values:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


def outputs_of(module: torch.nn.Module, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The module's outputs by name, in order: the keys of a dictionary, or `output`, or `output_0` and so on.

    Raises:
        ModelError: the module fails, or returns something other than tensors.
    """
    torch = load_torch()
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in inputs.items())
    with _translated(f"The module fails on {shapes}", "Call it with such inputs in Python to see why."), _quiet():
        result = module(*(torch.from_numpy(array.copy()) for array in inputs.values()))
    found = list(_tensors(result, ""))
    if not found:
        raise ModelError("The module returns nothing.", "Let forward return a tensor.")
    with _translated("An output of the module is not a dense tensor on the CPU"):
        return {name: tensor.detach().numpy().copy() for name, tensor in found}


def _tensors(value: object, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a result, in the order in which torch's exporters list them."""
    if isinstance(value, load_torch().Tensor):
        yield name or "output", value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}_{key}" if name else str(key))
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{name or 'output'}_{index}")
    elif value is not None:
        raise ModelError(
            f"The module returns an object of type {type(value).__name__} ({name or 'output'}) instead of a tensor.",
            "Let forward return a tensor, or a tuple or dictionary of tensors.",
        )


def to_onnx(
    module: torch.nn.Module, inputs: Mapping[str, Array], exporter: Exporter, *, dynamic_batch: bool
) -> onnx.ModelProto:
    """Export a module that is in evaluation mode.

    Raises:
        ModelError: torch cannot export it.
        UnsupportedModelError: the module reads a Python value from a tensor, which would be traced as a constant.
    """
    torch = load_torch()
    export = _by_dynamo if exporter == "dynamo" else _by_torchscript
    arguments = tuple(torch.from_numpy(array.copy()) for array in inputs.values())
    with _translated(f"torch's exporter ({exporter}) cannot export the module", _REWRITE), _quiet() as caught:
        model = export(module, arguments, list(inputs), dynamic_batch)
    if exporter == "torchscript":
        _refuse_traced_values(caught)
    return model


def _by_dynamo(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str], dynamic_batch: bool
) -> onnx.ModelProto:
    torch = load_torch()
    shapes = None
    if dynamic_batch:
        batch = torch.export.Dim(BATCH)
        shapes = tuple({0: batch} for _ in names)
        # torch.export always treats sizes of 0 and 1 as fixed.
        arguments = tuple(torch.cat([each, each]) if len(each) == 1 else each for each in arguments)
    program = torch.onnx.export(
        module, arguments, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, verbose=False
    )
    model: onnx.ModelProto = program.model_proto
    return model


def _by_torchscript(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str], dynamic_batch: bool
) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - heavy, and torch imports it too

    file = io.BytesIO()
    axes = {name: {0: BATCH} for name in names} if dynamic_batch else None
    load_torch().onnx.export(
        module, arguments, file, dynamo=False, opset_version=OPSET, input_names=names, dynamic_axes=axes
    )
    return onnx.load_from_string(file.getvalue())


def _refuse_traced_values(caught: list[warnings.WarningMessage]) -> None:
    """Raise for values traced as constants; warnings from torch's own code concern shapes only, which are fixed."""
    library = Path(str(load_torch().__file__)).parent
    kind = load_torch().jit.TracerWarning
    for warning in caught:
        if issubclass(warning.category, kind) and library not in Path(warning.filename).parents:
            raise UnsupportedModelError(
                f"{Path(warning.filename).name}, line {warning.lineno}, converts a tensor to a Python value, "
                "which the trace would keep as a constant.",
                f"{_USE_WHERE} The exporter dynamo distinguishes values from shapes.",
            )


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Suppress torch's warnings, logs and progress output; yields the list of warnings."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with ExitStack() as stack:
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        warnings.simplefilter("always")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield caught
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _translated(what: str, cure: str = "") -> Iterator[None]:
    """Raise ModelError for any exception of the module's own code or of torch: its type is unpredictable."""
    try:
        yield
    except ZkinferError:
        raise
    except (Exception, SystemExit) as err:
        root = _root(err)
        raise ModelError(f"{what}: {message_of(root)}", _CURES.get(type(root).__name__, cure)) from err


def _root(err: BaseException) -> BaseException:
    while err.__cause__ is not None:
        err = err.__cause__
    return err


def message_of(err: BaseException) -> str:
    """The class of a third-party error and the first line of its message, as the end of a sentence."""
    line = next((line.strip() for line in str(err).splitlines() if line.strip()), "")
    line = "".join(letter if letter.isprintable() else "?" for letter in line)[:240].rstrip(".")
    return f"{type(err).__name__}: {line}." if line else f"{type(err).__name__}."
