"""Every call of torch, which is imported when it is first needed: most who use zkinfer do not have it."""

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
# The newest that the normaliser keeps, and what torch's dynamo exporter writes without a conversion.
OPSET = 18
BATCH = "batch"

_INSTALL = "Install it: pip install 'zkinfer[torch]'"
_LOGGERS = ("torch", "onnxscript", "onnx_ir")
_CHOOSE = "Compute both results and choose with torch.where, and keep every size fixed."
_OTHER = "Rewrite that step; where it is torch's exporter that fails, the other one may not (--exporter)."
# By the name of torch's error: its classes live in modules that are not public.
_CURES = {"GuardOnDataDependentSymNode": _CHOOSE}


@cache
def load() -> Any:  # noqa: ANN401 - a module without types here
    """The package torch; raises InputError where it, or what its exporter needs, is not installed."""
    if missing := [name for name in ("torch", "onnxscript") if find_spec(name) is None]:
        raise InputError(f"Exporting needs the package {missing[0]}, which is not installed.", _INSTALL)
    with _translated("torch is installed but cannot be imported", _INSTALL), _quiet():
        return importlib.import_module("torch")


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation mode, without gradients; given back as it was, and torch's random state too."""
    torch = load()
    modes = [(part, part.training) for part in module.modules()]
    with _translated("The module's parameters cannot be read", "Run it once, so that lazy layers are made."):
        values = [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]
    fused = torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            torch.backends.mha.set_fastpath_enabled(False)  # operators of torch's own, which ONNX does not have
            module.eval()
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            for part, training in modes:
                part.training = training
            for tensor, value in values:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)


def answers(module: torch.nn.Module, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the module answers, by name and in order: the keys of a dictionary, or `output`, or `output_0` and so on.

    Raises:
        ModelError: the module fails, or answers something other than tensors.
    """
    torch = load()
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in inputs.items())
    with _translated(f"The module fails on {shapes}", "Call it with such inputs in Python to see why."), _quiet():
        result = module(*(torch.from_numpy(array.copy()) for array in inputs.values()))
    found = list(_tensors(result, ""))
    if not found:
        raise ModelError("The module answers nothing.", "Let forward return a tensor.")
    with _translated("An answer of the module is no plain tensor on the processor"):
        return {name: tensor.detach().numpy().copy() for name, tensor in found}


def _tensors(value: object, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a result, in the order in which torch's exporters list them."""
    if isinstance(value, load().Tensor):
        yield name or "output", value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}_{key}" if name else str(key))
    elif isinstance(value, tuple | list):
        for place, inner in enumerate(value):
            yield from _tensors(inner, f"{name or 'output'}_{place}")
    elif value is not None:
        raise ModelError(
            f"The module answers an object of type {type(value).__name__} ({name or 'output'}), which is no tensor.",
            "Let forward return a tensor, or a tuple or dictionary of tensors.",
        )


def to_onnx(
    module: torch.nn.Module, inputs: Mapping[str, Array], exporter: Exporter, *, dynamic_batch: bool
) -> onnx.ModelProto:
    """What torch's exporter makes of a module that is in evaluation mode.

    Raises:
        ModelError: torch cannot export it.
        UnsupportedModelError: a Python value was read off a tensor, so the file would hold for this example only.
    """
    torch = load()
    export = _by_dynamo if exporter == "dynamo" else _by_torchscript
    arguments = tuple(torch.from_numpy(array.copy()) for array in inputs.values())
    with _translated(f"torch's exporter ({exporter}) cannot take the module", _OTHER), _quiet() as caught:
        made = export(module, arguments, list(inputs), dynamic_batch)
    if exporter == "torchscript":
        _refuse_frozen(caught)
    return made


def _by_dynamo(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str], dynamic_batch: bool
) -> onnx.ModelProto:
    torch = load()
    shapes = None
    if dynamic_batch:
        batch = torch.export.Dim(BATCH)
        shapes = tuple({0: batch} for _ in names)
        # torch.export takes sizes of 0 and 1 as fixed, whatever it is told.
        arguments = tuple(torch.cat([one, one]) if len(one) == 1 else one for one in arguments)
    program = torch.onnx.export(
        module, arguments, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, verbose=False
    )
    made: onnx.ModelProto = program.model_proto
    return made


def _by_torchscript(
    module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], names: list[str], dynamic_batch: bool
) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - heavy, and torch imports it too

    file = io.BytesIO()
    axes = {name: {0: BATCH} for name in names} if dynamic_batch else None
    load().onnx.export(module, arguments, file, dynamo=False, opset_version=OPSET, input_names=names, dynamic_axes=axes)
    return onnx.load_from_string(file.getvalue())


def _refuse_frozen(caught: list[warnings.WarningMessage]) -> None:
    """A trace keeps what Python saw of a tensor; torch's own code reads shapes only, which are fixed anyway."""
    library = Path(str(load().__file__)).parent
    kind = load().jit.TracerWarning
    for warning in caught:
        if issubclass(warning.category, kind) and library not in Path(warning.filename).parents:
            raise UnsupportedModelError(
                f"{Path(warning.filename).name}, line {warning.lineno}, makes a Python value of a tensor, "
                "which a trace keeps as it is for this example.",
                f"{_CHOOSE} The exporter dynamo tells values from shapes.",
            )


@contextmanager
def _quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Torch's warnings, logs and progress go nowhere; yields the warnings."""
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
    """Raise ModelError for whatever the module's own code, or torch on its behalf, raises: it can be anything."""
    try:
        yield
    except ZkinferError:
        raise
    except (Exception, SystemExit) as err:
        root = _root(err)
        raise ModelError(f"{what}: {said(root)}", _CURES.get(type(root).__name__, cure)) from err


def _root(err: BaseException) -> BaseException:
    while err.__cause__ is not None:
        err = err.__cause__
    return err


def said(err: BaseException) -> str:
    """The name of a foreign error and the first line of what it says, as the end of a sentence."""
    line = next((line.strip() for line in str(err).splitlines() if line.strip()), "")
    line = "".join(letter if letter.isprintable() else "?" for letter in line)[:240].rstrip(".")
    return f"{type(err).__name__}: {line}." if line else f"{type(err).__name__}."
