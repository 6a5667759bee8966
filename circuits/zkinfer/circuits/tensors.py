"""Tensors as circuits see them: named, shaped, and stored as integers at a power-of-two scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from zkinfer.circuits.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Visibility = Literal["public", "hashed", "private"]
DType = Literal["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float16", "float32", "float64"]
MAX_RANK = 8
MAX_ELEMENTS = 1 << 22
FractionBits = Annotated[int, Field(ge=-127, le=127)]


class TensorSpec(BaseModel):
    """One input or output of a circuit.

    `scale` is the number of fractional bits: the circuit holds round(x * 2^scale). It is one number, or, for inputs of
    some engines, a list with one for each feature of the last axis. `dtype` is the model's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=256)]
    dtype: DType
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_ELEMENTS)], ...], Field(max_length=MAX_RANK)]
    scale: FractionBits | Annotated[tuple[FractionBits, ...], Field(min_length=1, max_length=MAX_ELEMENTS)] = 0
    visibility: Visibility = "public"

    @model_validator(mode="after")
    def _has_one_scale_for_each_feature(self) -> Self:
        if isinstance(self.scale, tuple) and (not self.shape or len(self.scale) != self.shape[-1]):
            raise ValueError(f"{len(self.scale)} scales do not fit the last axis of the shape {list(self.shape)}")
        return self

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def common_scale(self) -> int:
        """The scale of all elements; raises DataError if each feature has its own."""
        if isinstance(self.scale, tuple):
            raise DataError(f"Tensor {self.name!r} has a scale for each feature, which this engine does not support.")
        return self.scale

    @property
    def fraction_bits(self) -> NDArray[np.int64]:
        """The scale of each element; broadcasts to `shape`."""
        return np.array(self.scale, dtype=np.int64)

    def number(self, integer: int, place: int) -> float:
        """The number that an integer of the circuit stands for, at the row-major index `place`."""
        scale = self.scale[place % len(self.scale)] if isinstance(self.scale, tuple) else self.scale
        return math.ldexp(integer, -scale)

    @property
    def is_float(self) -> bool:
        """Whether the model computes with fractions here."""
        return self.dtype.startswith("float")

    @property
    def integer_range(self) -> tuple[int, int]:
        """The least and the largest integer that the circuit may hold here: for integers, those of the dtype."""
        if self.is_float:
            return -(1 << 63), (1 << 63) - 1
        if self.dtype == "bool":
            return 0, 1
        limits = np.iinfo(self.dtype)
        return int(limits.min), int(limits.max)

    def describe(self) -> str:
        """Short text for messages: `image float32[1, 64]`."""
        return f"{self.name} {self.dtype}{list(self.shape)}"

    def describe_scaled(self) -> str:
        """The same with the scale: `image float32[1, 64] × 2^7`, or `× 2^-3 to 2^12` for a scale for each feature."""
        least, most = int(self.fraction_bits.min()), int(self.fraction_bits.max())
        return f"{self.describe()} × 2^{least}" + ("" if least == most else f" to 2^{most}")


def describe_all(specs: Sequence[TensorSpec]) -> str:
    """Short text of several tensors, for messages: `image float32[1, 64], mask bool[64]`."""
    return ", ".join(spec.describe() for spec in specs)


def quantise(array: NDArray[np.generic], spec: TensorSpec) -> list[int]:
    """The circuit's integers for `array`, row-major: x * 2^scale in float64, rounded half to even.

    Raises:
        DataError: the shape differs from the spec's, or a value is NaN or infinite.
    """
    if array.shape != spec.shape:
        raise DataError(f"Tensor {spec.name!r} has shape {list(array.shape)}, not {list(spec.shape)}.")
    if array.dtype.kind in "iub" and not spec.scale:
        return [int(value) for value in array.ravel().tolist()]  # exact beyond 2^53 too
    with np.errstate(over="ignore"):
        values = np.ldexp(array.astype(np.float64), spec.fraction_bits).ravel()
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"Tensor {spec.name!r} holds {values[at]} at element {at}.", "Circuits support finite numbers only."
        )
    return [int(value) for value in np.rint(values).tolist()]


def quantise_sample(arrays: Mapping[str, NDArray[np.generic]], specs: Sequence[TensorSpec]) -> list[list[int]]:
    """The integers of one inference, in the order of the specs; raises DataError as `quantise`."""
    return [quantise(arrays[spec.name], spec) for spec in specs]


def quantise_batch(arrays: Mapping[str, NDArray[np.generic]], specs: Sequence[TensorSpec]) -> list[list[list[int]]]:
    """The integers of N inferences, whose arrays are [N, *shape]; raises DataError as `quantise`."""
    count = len(arrays[specs[0].name])
    return [quantise_sample({name: array[i] for name, array in arrays.items()}, specs) for i in range(count)]


def dequantise(integers: Sequence[int], spec: TensorSpec) -> NDArray[np.generic]:
    """An array of the spec's shape: float64 for fractional tensors (exact below 2^53), int64 for others.

    Raises:
        DataError: the number of values differs from the spec's, or an integer exceeds 64 bits.
    """
    if len(integers) != spec.size:
        raise DataError(f"Tensor {spec.name!r} needs {spec.size} values, not {len(integers)}.")
    if spec.is_float or spec.scale:
        return np.ldexp(np.array(integers, dtype=np.float64).reshape(spec.shape), -spec.fraction_bits)
    if any(not -(1 << 63) <= integer < 1 << 63 for integer in integers):
        raise DataError(f"A value of tensor {spec.name!r} does not fit 64 bits.")
    return np.array(integers, dtype=np.int64).reshape(spec.shape)
