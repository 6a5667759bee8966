"""Tensors of a request, with the place of what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.errors import DataError
from zkinfer.client.tensors import array_of
from zkinfer.service.errors import BadFieldError, blaming

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.v1 import values_pb2

_MOST = 256  # more than models have


def arrays_of(tensors: Sequence[values_pb2.Tensor], field: str) -> dict[str, NDArray[np.generic]]:
    """Arrays by name.

    Raises:
        BadFieldError: too many, a name twice, or whatever `array_of` refuses.
    """
    if len(tensors) > _MOST:
        raise BadFieldError(field, f"There are {len(tensors):,} tensors.", f"At most {_MOST} are taken.")
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, tensor in enumerate(tensors):
        with blaming(f"{field}[{place}]"):
            if tensor.name in arrays:
                raise DataError(f"The tensor {tensor.name!r:.80} is there twice.")
            arrays[tensor.name] = array_of(tensor)
    return arrays
