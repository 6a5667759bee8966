"""Whether an exported file answers as torch does, and whether a circuit can take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.formats import from_npz, to_npz
from zkinfer.circuits.models import evaluate, normalise_model, objections
from zkinfer.circuits.scratch import private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.exporting.publishing import Origin
    from zkinfer.circuits.models import NormalisedModel, Objection

    Array = NDArray[Any]

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
