"""Run the original and the normal form side by side: a rewrite that changes the answer is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.models.foreign import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

SAMPLES = 4
_TOLERANCE = {"float16": 1e-2}


def refuse_difference(
    original: onnx.ModelProto, normal: onnx.ModelProto, inputs: Sequence[TensorSpec], seed: int
) -> None:
    """Raise ModelError where both models' answers differ, or either cannot be run, on seeded inputs."""
    first, second = Session(original), Session(normal)
    rng = np.random.default_rng(seed)
    for number in range(SAMPLES):
        feeds = {spec.name: _sample(spec, rng, number) for spec in inputs}
        _compare(first.run(feeds), second.run(feeds))


def _sample(spec: TensorSpec, rng: np.random.Generator, number: int) -> NDArray[Any]:
    """Normal values of growing spread; integers are 0 or 1, since they are often indices into small tables."""
    if spec.is_float:
        return rng.normal(scale=0.5 * (1 + number), size=spec.shape).astype(spec.dtype)
    return rng.integers(0, 2, size=spec.shape).astype(spec.dtype)


def _compare(wanted: dict[str, NDArray[Any]], got: dict[str, NDArray[Any]]) -> None:
    for name, value in wanted.items():
        if value.shape != got[name].shape or value.dtype != got[name].dtype or not _agree(value, got[name]):
            raise ModelError(
                f"Normalising changes the model's output {name[:80]!r}.",
                "Please report this model; exporting it with opset_version=17 may help.",
            )


def _agree(wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(wanted, got))
    finite = np.isfinite(wanted)
    if not np.array_equal(wanted[~finite], got[~finite], equal_nan=True):
        return False
    size = np.abs(wanted[finite].astype(np.float64)).max(initial=0.0)
    rtol = _TOLERANCE.get(str(wanted.dtype), 1e-4)
    difference = np.abs(wanted[finite].astype(np.float64) - got[finite].astype(np.float64)).max(initial=0.0)
    return bool(difference <= rtol * size + 1e-6)
