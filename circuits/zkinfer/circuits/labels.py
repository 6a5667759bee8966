"""True classes of samples, and the model output that is compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import describe_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Labels:
    """The true class of each sample, [N], and the name of the classifying output.

    An output of several floats predicts the index of its largest number, from 0; an integer output predicts its value.
    """

    output: str
    classes: NDArray[np.int64]

    def of(self, rows: NDArray[np.intp]) -> Labels:
        """The labels of a subset of samples."""
        return Labels(self.output, self.classes[rows])


@dataclass(frozen=True, slots=True)
class LabelSource:
    """The array of the data file with the labels, and the output they refer to; None selects one automatically."""

    array: str
    output: str | None = None

    @classmethod
    def parse(cls, text: str) -> LabelSource:
        """Parse `NAME` or `NAME=OUTPUT`; raises DataError for an empty name."""
        array, equals, output = text.partition("=")
        if not array or (equals and not output):
            raise DataError(f"{text!r} does not name labels.", "Write NAME, or NAME=OUTPUT.")
        return cls(array, output or None)

    def labels(self, array: NDArray[np.generic], outputs: Sequence[TensorSpec]) -> Labels:
        """Convert an array of the file after checking it against the model.

        Raises:
            DataError: the array does not hold one class of the model per sample, or as `classifying_output`.
        """
        spec = classifying_output(outputs, self.output)
        classes = self._integers(array)
        if spec.is_float:
            self._refuse_beyond(classes, spec)
        return Labels(spec.name, classes)

    def _integers(self, array: NDArray[np.generic]) -> NDArray[np.int64]:
        flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        if flat.ndim != 1:
            raise DataError(f"Labels {self.array!r} have shape {list(array.shape)}.", "Give one class per sample, [N].")
        if flat.dtype.kind not in "iub":
            raise DataError(f"Labels {self.array!r} have dtype {array.dtype}.", "Give classes as integers.")
        classes = flat.astype(np.int64)
        if (classes != flat).any():
            raise DataError(f"A label of {self.array!r} exceeds 64 bits.", "Give classes as small integers.")
        return classes

    def _refuse_beyond(self, classes: NDArray[np.int64], spec: TensorSpec) -> None:
        wrong = np.flatnonzero((classes < 0) | (classes >= spec.size))
        if wrong.size:
            raise DataError(
                f"Label {classes[wrong[0]]} of sample {wrong[0]} is not a class of output {spec.name!r}.",
                f"Its classes range from 0 to {spec.size - 1}.",
            )


def classifying_output(outputs: Sequence[TensorSpec], name: str | None = None) -> TensorSpec:
    """The output that labels are compared with.

    Args:
        outputs: the outputs of the model.
        name: the output's name; None selects the first integer output of one number, else the first float output that
            is a vector.

    Raises:
        DataError: there is no such output, or it does not classify.
    """
    if name is None:
        found = [spec for spec in outputs if _is_class(spec)] or [spec for spec in outputs if _is_scores(spec)]
        if not found:
            raise _no_class(outputs)
        return found[0]
    named = [spec for spec in outputs if spec.name == name]
    if not named:
        known = describe_all(outputs)
        raise DataError(f"The model has no output {name!r} to compare labels with.", f"It has {known}.")
    if not (_is_class(named[0]) or _is_scores(named[0])):
        raise _no_class(named)
    return named[0]


def _is_class(spec: TensorSpec) -> bool:
    return not spec.is_float and spec.size == 1


def _is_scores(spec: TensorSpec) -> bool:
    return spec.is_float and spec.size > 1 and spec.size == max(spec.shape)


def _no_class(outputs: Sequence[TensorSpec]) -> DataError:
    """A single float gives a class only with a threshold: 0 for a logit, 0.5 for a probability."""
    found = describe_all(outputs)
    if any(spec.is_float and spec.size == 1 for spec in outputs):
        return DataError(
            f"A single number gives a class only with a threshold, which the model does not contain: {found}.",
            "End the model with a comparison or with one number per class, or use --max-absolute-error.",
        )
    return DataError(
        f"No output classifies: {found}.", "Labels need an output of one integer, or of one number per class."
    )
