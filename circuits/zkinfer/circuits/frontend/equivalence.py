"""Compare the original model with its normal form: a rewrite that changes an output is rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import ModelError
from zkinfer.circuits.frontend.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Feeds = Mapping[str, NDArray[Any]]

SAMPLES = 4
# A value that overflows, in the original too, is infinite, NaN or the largest float32, depending on the operator.
_OVERFLOW = 3e38
_TOLERANCE = {"float16": 1e-2}


def refuse_difference(
    original: onnx.ModelProto,
    normal: onnx.ModelProto,
    inputs: Sequence[TensorSpec],
    seed: int,
    replay: Callable[[], Iterable[tuple[str, onnx.ModelProto]]] = tuple,
    probes: Sequence[Feeds] = (),
) -> None:
    """Raise ModelError if the outputs of the two models differ on seeded inputs or probes, or one cannot be run.

    Args:
        original: the model as its owner exported it.
        normal: its normal form.
        inputs: the inputs of both.
        seed: of the random inputs.
        replay: repeats the steps that led to the normal form; the error names the first that changes an output.
        probes: further inputs to compare on.
    """
    feeds = [*samples(inputs, seed), *probes]
    output = difference(original, normal, feeds)
    if output is not None:
        guilty = (name for name, model in replay() if difference(original, model, feeds) is not None)
        raise ModelError(
            f"Normalising changes the model's output {output[:80]!r} (step: {next(guilty, 'tidying')}).",
            "Report this model; exporting it with opset_version=17 may help.",
        )


def samples(inputs: Sequence[TensorSpec], seed: int) -> list[Feeds]:
    """Reproducible random inputs."""
    rng = np.random.default_rng(seed)
    return [{spec.name: _sample(spec, rng, number) for spec in inputs} for number in range(SAMPLES)]


def difference(first: onnx.ModelProto, second: onnx.ModelProto, feeds: Sequence[Feeds]) -> str | None:
    """The name of an output in which two models differ by more than rounding; raises ModelError if one fails."""
    one, other = Session(first), Session(second)
    for feed in feeds:
        wanted, got = one.run(feed), other.run(feed)
        for name, value in wanted.items():
            if not _equal(value, got[name]):
                return name
    return None


def _sample(spec: TensorSpec, rng: np.random.Generator, number: int) -> NDArray[Any]:
    """Normally distributed values of growing spread; integers are 0 or 1, as they often index small tables."""
    if spec.is_float:
        return rng.normal(scale=0.5 * (1 + number), size=spec.shape).astype(spec.dtype)
    return rng.integers(0, 2, size=spec.shape).astype(spec.dtype)


def _equal(wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    return wanted.shape == got.shape and wanted.dtype == got.dtype and _agree(wanted, got)


def _agree(wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(wanted, got))
    finite = np.abs(wanted) < _OVERFLOW
    if not np.array_equal(finite, np.abs(got) < _OVERFLOW):
        return False
    size = np.abs(wanted[finite].astype(np.float64)).max(initial=0.0)
    rtol = _TOLERANCE.get(str(wanted.dtype), 1e-4)
    difference = np.abs(wanted[finite].astype(np.float64) - got[finite].astype(np.float64)).max(initial=0.0)
    return bool(difference <= rtol * size + 1e-6)
