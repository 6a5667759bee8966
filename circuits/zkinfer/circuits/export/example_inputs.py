"""Inputs of a torch module: their names, an example of each, and random ones in the same range."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import DataError, InputError
from zkinfer.circuits.export.torch_backend import load

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
    names = [one.name for one in parameters if one.kind in _POSITIONAL]
    return names + [f"*{one.name}" for one in parameters if one.kind is inspect.Parameter.VAR_POSITIONAL]


def examples(module: torch.nn.Module, given: object, names: Sequence[str] = ()) -> dict[str, Array]:
    """One array per input, in the order of `forward`.

    Args:
        module: the torch module.
        given: a tensor, a sequence of them in order, or a mapping by name; numpy arrays are accepted. Float arrays of
            numpy are converted to the type of the module's parameters.
        names: of the inputs; by default those of the parameters of `forward`.

    Raises:
        InputError: names or number differ from those of `forward`.
        DataError: an example is not a numeric tensor on the CPU.
    """
    wanted = list(names) or forward_inputs(module)
    if isinstance(given, Mapping):
        values = _ordered(given, wanted)
    elif isinstance(given, load().Tensor | np.ndarray) or not isinstance(given, Sequence):
        values = [given]
    else:
        values = list(given)
    wanted = _numbered(wanted, len(values))
    if not values or len(wanted) != len(values):
        raise InputError(f"There are {len(values)} example inputs for {len(wanted)} names: {', '.join(wanted)}.")
    return {name: _array(name, value, module) for name, value in zip(wanted, values, strict=True)}


def _ordered(given: Mapping[str, object], wanted: list[str]) -> list[object]:
    """In the order of the names; trailing ones may be missing, as parameters with defaults."""
    known = ", ".join(wanted)
    if unknown := [name for name in given if name not in wanted]:
        raise InputError(
            f"There is an example for {unknown[0]!r}, which is not an input.", f"The module takes {known}."
        )
    if set(wanted[: len(given)]) != set(given):
        missing = next(name for name in wanted if name not in given)
        raise InputError(f"There is no example for the input {missing!r}.", f"The module takes {known}.")
    return [given[name] for name in wanted[: len(given)]]


def _numbered(names: list[str], count: int) -> list[str]:
    """One name per input: defaults fill the rest, and `*rest` becomes rest_0, rest_1 and so on."""
    if names and names[-1].startswith("*"):
        many = count - len(names) + 1
        return [*names[:-1], *(f"{names[-1][1:]}_{place}" for place in range(many))]
    return names[:count]


def _array(name: str, value: object, module: torch.nn.Module) -> Array:
    torch = load()
    if isinstance(value, np.ndarray):
        array = value.astype(_floats(module)) if value.dtype.kind == "f" else value
    elif isinstance(value, torch.Tensor):
        array = _plain(name, value)
    else:
        raise DataError(f"The example for {name!r} is a {type(value).__name__}, not a tensor.")
    if not array.size or array.dtype.kind not in "fiub":
        raise DataError(f"The example for {name!r} is empty or not numeric: {array.dtype}{list(array.shape)}.")
    return array


def _plain(name: str, value: torch.Tensor) -> Array:
    try:
        array: Array = value.detach().numpy().copy()
    except (TypeError, RuntimeError) as err:
        raise DataError(
            f"The example for {name!r} is {value.dtype} on {value.device}.",
            "Give dense tensors of float32, integers or bool on the CPU: module.cpu().float().",
        ) from err
    return array


def _floats(module: torch.nn.Module) -> str:
    """The type of the module's first floating-point parameter."""
    kinds = [str(one.dtype).removeprefix("torch.") for one in module.parameters() if one.is_floating_point()]
    return kinds[0] if kinds[:1] in (["float16"], ["float64"]) else "float32"


def more(inputs: Mapping[str, Array], count: int) -> dict[str, Array]:
    """`count` further inputs by name, [N, *shape]: random within the range of each example, from a fixed seed."""
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
    """The example with another size of its first axis, by repetition."""
    return {name: np.resize(array, (size, *array.shape[1:])) for name, array in inputs.items()}


def refuse_uneven(inputs: Mapping[str, Array]) -> None:
    """Raise InputError unless all inputs have the same first size."""
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
