"""A session with the original model: float outputs, one inference after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.circuits.sandbox.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.sandbox.child import Limits

    Arrays = Mapping[str, NDArray[np.generic]]

_OPEN = "zkinfer.circuits.frontend.worker:open_floats"


class FloatSession:
    """An ONNX file in onnxruntime, in a child process with limits. Use it from the thread that opened it.

    Args:
        path: the file.
        digest: the expected digest of the file.
        limits: of the child; seconds apply to each inference.

    Raises:
        ModelError: the file has another digest or cannot be used.
        EngineError: the child was killed at a limit or died.
    """

    def __init__(self, path: Path, digest: Digest, limits: Limits) -> None:
        self._session = Session(_OPEN, {"path": str(path.resolve()), "digest": str(digest)}, limits=limits)

    def answer(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """The outputs by name, for inputs of the model's own shapes and dtypes.

        Raises:
            ModelError: the model fails on them.
            EngineError: the child was killed at a limit or died.
        """
        outputs: dict[str, dict[str, Any]] = self._session.ask(
            inputs={name: array_to_json(array) for name, array in inputs.items()}
        )
        try:
            return {name: array_from_json(output) for name, output in outputs.items()}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as err:
            raise EngineCrashedError("The model's process returned a malformed answer.") from err

    @property
    def usable(self) -> bool:
        """Whether the child can take another inference."""
        return self._session.usable

    def kill(self) -> None:
        """Kill the child at once; may be called from another thread."""
        self._session.kill()

    def close(self) -> None:
        """End the child and free its resources."""
        self._session.close()


def array_to_json(array: NDArray[np.generic]) -> dict[str, Any]:
    """An array as JSON; `array_from_json` restores every value exactly."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}


def array_from_json(document: dict[str, Any]) -> NDArray[np.generic]:
    """The array of a document; raises ValueError unless it holds numbers."""
    dtype = np.dtype(document["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"{dtype} is not a numeric type")
    return np.array(document["values"], dtype=dtype).reshape(document["shape"])
