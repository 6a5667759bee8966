"""Pictures and labels where commands take inputs and attestations."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.cli.console import require_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

_TAIL = 200
SUFFIXES = (".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def inputs_of(path: Path, specs: Sequence[TensorSpec], note: Callable[[str], None]) -> dict[str, NDArray[np.generic]]:
    """One inference's inputs from a file: a picture, by the rule of `zkinfer.works.model_inputs`, or numbers.

    Raises:
        DataError: the file cannot be read, or does not fit the inputs.
    """
    if path.suffix.lower() not in SUFFIXES:
        from zkinfer.circuits.tensor_files import read_inputs

        return dict(read_inputs(path, specs, note))
    from zkinfer.works.model_inputs import INPUT_RULE, model_input

    with require_extra("works"):
        from zkinfer.works.content import decode
    note(f"{path.name} became the input by the rule {INPUT_RULE}.")
    return model_input(decode(path), specs)


def _may_be_label(path: Path) -> bool:
    """Whether the file ends like a label; what cannot be read is left to the reader of attestations."""
    from zkinfer.works.labels import is_label

    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return is_label(file.read(_TAIL))
    except OSError:
        return False


@contextmanager
def attestation_in(path: Path) -> Iterator[Path]:
    """The file of an attestation: this one, or the one that a label holds.

    Raises:
        JsonError, DataError: a label that is malformed, or contradicts its attestation.
    """
    if not _may_be_label(path):
        yield path
        return
    from zkinfer.circuits.storage import private_directory
    from zkinfer.works.labels import Label

    label = Label.from_bytes(path.read_bytes())
    with private_directory() as scratch:
        inner = scratch / path.name
        inner.write_bytes(label.attestation_bytes())
        yield inner
