"""Inputs of a torch module: their names, an example of each, and random ones in the same range."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError, InputError
from zkinfer.circuits.export.torch_backend import load_torch

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Array = NDArray[Any]

_SEED = 20_261_116
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def forward_inputs(module: torch.nn.Module) -> list[str]:
    """The names of the positional parameters of `forward`; `*name` for a variadic one."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError) as err:  # compiled or native code
        raise InputError("The inputs of the module are unknown.", "Name them with --input-name.") from err
    variadic = [f"*{each.name}" for each in parameters if each.kind is inspect.Parameter.VAR_POSITIONAL]
    return [each.name for each in parameters if each.kind in _POSITIONAL] + variadic


def examples(module: torch.nn.Module, given: object, names: Sequence[str] = ()) -> dict[str, Array]:
    """One array per input, in the order of `forward`.

    Args:
        module: the torch module.
        given: a tensor, a sequence of them in order, or a mapping by name; numpy arrays are accepted. Float arrays of
            numpy are converted to the type of the module's parameters.
        names: names of the inputs; by default the parameters of `forward`.

    Raises:
        InputError: the names or the number of examples do not match `forward`.
        DataError: an example is not a numeric tensor on the CPU.
    """
    expected = list(names) or forward_inputs(module)
    if isinstance(given, Mapping):
        values = _ordered(given, expected)
    elif isinstance(given, load_torch().Tensor | np.ndarray) or not isinstance(given, Sequence):
        values = [given]
    else:
        values = list(given)
    expected = _numbered(expected, len(values))
    if not values or len(expected) != len(values):
        raise InputError(f"There are {len(values)} example inputs for {len(expected)} names: {', '.join(expected)}.")
    return {name: _array(name, value, module) for name, value in zip(expected, values, strict=True)}


def _ordered(given: Mapping[str, object], expected: list[str]) -> list[object]:
    """The examples in the order of the names; trailing ones may be missing, as for parameters with defaults."""
    known = ", ".join(expected)
    if unknown := [name for name in given if name not in expected]:
        raise InputError(
            f"There is an example for {unknown[0]!r}, which is not an input.", f"The module takes {known}."
        )
    if set(expected[: len(given)]) != set(given):
        missing = next(name for name in expected if name not in given)
        raise InputError(f"There is no example for the input {missing!r}.", f"The module takes {known}.")
    return [given[name] for name in expected[: len(given)]]


def _numbered(names: list[str], count: int) -> list[str]:
    """One name per input: parameters with defaults may be absent, and `*rest` becomes rest_0, rest_1 and so on."""
    if names and names[-1].startswith("*"):
        variadic = count - len(names) + 1
        return [*names[:-1], *(f"{names[-1][1:]}_{index}" for index in range(variadic))]
    return names[:count]


def _array(name: str, value: object, module: torch.nn.Module) -> Array:
    torch = load_torch()
    if isinstance(value, np.ndarray):
        array = value.astype(_float_type(module)) if value.dtype.kind == "f" else value
    elif isinstance(value, torch.Tensor):
        array = _to_numpy(name, value)
    else:
        raise DataError(f"The example for {name!r} is a {type(value).__name__}, not a tensor.")
    if not array.size or array.dtype.kind not in "fiub":
        raise DataError(f"The example for {name!r} is empty or not numeric: {array.dtype}{list(array.shape)}.")
    return array


def _to_numpy(name: str, value: torch.Tensor) -> Array:
    try:
        array: Array = value.detach().numpy().copy()
    except (TypeError, RuntimeError) as err:
        raise DataError(
            f"The example for {name!r} is {value.dtype} on {value.device}.",
            "Give dense tensors of float32, integers or bool on the CPU: module.cpu().float().",
        ) from err
    return array


def _float_type(module: torch.nn.Module) -> str:
    """The type of the module's first floating-point parameter; float32 unless that is float16 or float64."""
    kinds = [str(each.dtype).removeprefix("torch.") for each in module.parameters() if each.is_floating_point()]
    return kinds[0] if kinds[:1] in (["float16"], ["float64"]) else "float32"


def random_like(inputs: Mapping[str, Array], count: int) -> dict[str, Array]:
    """`count` random inputs by name, [N, *shape], within the range of each example, from a fixed seed."""
    random = np.random.default_rng(_SEED)
    return {name: _like(array, count, random) for name, array in inputs.items()}


def _like(array: Array, count: int, random: np.random.Generator) -> Array:
    """Integers are often indices, and floats often have a domain: the example shows the valid range."""
    low, high, shape = array.min(), array.max(), (count, *array.shape)
    if array.dtype.kind == "b":
        return random.integers(0, 2, size=shape).astype(bool)
    if array.dtype.kind in "iu":
        return random.integers(low, high, size=shape, dtype=array.dtype, endpoint=True)
    spread = float(high) - float(low) or 1.0
    return (float(low) + spread * random.random(shape)).astype(array.dtype)


def with_batch(inputs: Mapping[str, Array], size: int) -> dict[str, Array]:
    """The example with this size of its first axis, by repetition."""
    return {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()}


def refuse_uneven(inputs: Mapping[str, Array]) -> None:
    """Raise InputError unless the first axis of all inputs has the same size."""
    sizes = {name: array.shape[:1] for name, array in inputs.items()}
    if len(set(sizes.values())) != 1 or () in sizes.values():
        raise InputError(
            f"The inputs have no common batch axis: {', '.join(f'{n} {list(a.shape)}' for n, a in inputs.items())}.",
            "Give examples with the same first size, or export without a dynamic batch.",
        )


def random_inputs(specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """An example of each spec, from a fixed seed: normally distributed floats, and integers of 0 and 1."""
    random = np.random.default_rng(_SEED)
    return {
        spec.name: random.normal(size=spec.shape).astype(spec.dtype)
        if spec.is_float
        else random.integers(0, 2, size=spec.shape).astype(spec.dtype)
        for spec in specs
    }
