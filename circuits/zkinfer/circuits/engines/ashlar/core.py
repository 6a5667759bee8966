"""The native core of the engine, the package `zkinfer_ashlar`: this is the only module that imports it.

Import it in child processes only, except for `missing`: the calls take memory and time, and a fault ends the process.
Everything crosses as bytes and integers. A *code* is the header of a key followed by its program; *weights* are the
integers of F, and integers are little-endian, 64 bits each.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from zkinfer.circuits.errors import EngineCrashedError, EngineError, ProofRejectedError, RangeError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

_VERSION = "0.1."
_CURE = (
    "In a checkout of zkinfer with cargo 1.85 or later, run `make demo`, or `pip install ./prover/ashlar` for another "
    "environment. The core is on no package index: a package of its name from one is not ours."
)


def missing() -> str:
    """Why the core cannot be used on this machine, and the cure; empty if it can."""
    try:
        found = version("zkinfer-ashlar")
    except PackageNotFoundError:
        return f"The native core of the engine Ashlar is not installed. {_CURE}"
    return "" if found.startswith(_VERSION) else f"The core of Ashlar has the version {found}, not {_VERSION}x. {_CURE}"


def as_bytes(integers: Sequence[int] | NDArray[np.int64]) -> bytes:
    """Integers in the core's form; raises RangeError beyond 64 bits."""
    try:
        return np.asarray(integers, dtype="<i8").tobytes()
    except OverflowError as err:
        raise RangeError("An input does not fit 64 bits.", "Check the input's values.") from err


class Network:
    """A program with its weights, read once for many forward passes."""

    def __init__(self, code: bytes, weights: bytes) -> None:
        with _translated() as core:
            self._network = core.Network(code, weights)

    def forward(self, samples: Sequence[Sequence[int]]) -> list[list[int]]:
        """The integers of all outputs, one list for each sample; raises RangeError for an input out of range."""
        if not samples:
            return []
        with _translated():
            data: bytes = self._network.forward(as_bytes([value for sample in samples for value in sample]))
        return np.frombuffer(data, dtype="<i8").reshape(len(samples), -1).tolist()


def make_key(code: bytes, weights: bytes, setup: Path) -> bytes:
    """The verifying key: code, tau*G2 and the commitments to the weights."""
    with _translated() as core:
        key: bytes = core.make_key(code, weights, str(setup))
    return key


def commit_input(code: bytes, integers: Sequence[int], setup: Path) -> bytes:
    """The digest of a hashed input."""
    with _translated() as core:
        digest: bytes = core.commit_input(code, as_bytes(integers), str(setup))
    return digest


def prove(
    key: bytes, weights: bytes, integers: Sequence[int], context: bytes, setup: Path
) -> tuple[bytes, list[int], bytes]:
    """The inputs and outputs of the statement, and a proof that the core has verified."""
    with _translated() as core:
        inputs, outputs, proof = core.prove(key, weights, as_bytes(integers), context, str(setup))
    return inputs, list(outputs), proof


def verify(key: bytes, context: bytes, inputs: bytes, outputs: Sequence[int], proof: bytes) -> None:
    """Return if the proof holds; raises ProofRejectedError with the step that rejects it."""
    with _translated() as core:
        core.verify(key, context, inputs, list(outputs), proof)


@contextmanager
def _translated() -> Iterator[ModuleType | Any]:
    """The core's errors as those of zkinfer, with their reasons."""
    import zkinfer_ashlar as core  # noqa: PLC0415 - optional; see `missing`

    try:
        yield core
    except core.InputOutOfRangeError as err:
        raise RangeError(
            _sentence(err), "Check the input's values, or calibrate with samples that cover them."
        ) from err
    except core.ProofRejectedError as err:
        raise ProofRejectedError(_sentence(err)) from err
    except core.SetupError as err:
        raise SetupError(_sentence(err), "Run `zkinfer setup check`.") from err
    except core.AshlarPanicError as err:
        raise EngineCrashedError(f"The core of Ashlar failed: {err}", "Report it as SECURITY.md says.") from err
    except core.AshlarError as err:
        raise EngineError(f"The core of Ashlar refuses this: {err}.") from err


def _sentence(error: Exception) -> str:
    """An error's message, which the core writes without a capital and a full stop."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
