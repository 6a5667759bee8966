"""The original model held ready: its float answers, one inference after the other."""

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
    """An ONNX file in onnxruntime, in a limited child. It belongs to the thread that opened it.

    Args:
        path: the file.
        digest: what it must be.
        limits: of the child; the seconds are for each inference.

    Raises:
        ModelError: the file is another, or cannot be used.
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
            inputs={name: written(array) for name, array in inputs.items()}
        )
        try:
            return {name: read(output) for name, output in outputs.items()}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as err:
            raise EngineCrashedError("The model's child gave something that is no answer.") from err

    @property
    def usable(self) -> bool:
        """Whether it makes sense to ask again."""
        return self._session.usable

    def kill(self) -> None:
        """End it at once, also from another thread."""
        self._session.kill()

    def close(self) -> None:
        """Free what belongs to it."""
        self._session.close()


def written(array: NDArray[np.generic]) -> dict[str, Any]:
    """An array as JSON; every value comes back exactly."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}


def read(document: dict[str, Any]) -> NDArray[np.generic]:
    """It again; raises ValueError for one of no numbers."""
    dtype = np.dtype(document["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"{dtype} is no type of number")
    return np.array(document["values"], dtype=dtype).reshape(document["shape"])
