"""The files of an Ashlar circuit folder, beside `network.onnx`.

`program.bin` holds the header of the key and the program, `weights.bin` the integers of F (64 bits each,
little-endian), `key.bin` the verifying key, `estimate.json` the predicted cost of a proof.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.engines.ashlar.cost import Estimate
from zkinfer.circuits.engines.ashlar.key import MAGIC
from zkinfer.circuits.errors import EngineError, JsonError, why

if TYPE_CHECKING:
    from pathlib import Path

NETWORK, PROGRAM, WEIGHTS, KEY, ESTIMATE = "network.onnx", "program.bin", "weights.bin", "key.bin", "estimate.json"
MAX_ESTIMATE = 1 << 16
_WORD = 32


def read_code(folder: Path) -> bytes:
    """The header and the program; raises EngineError if the file is missing or of another format."""
    return _words(folder / PROGRAM)


def read_weights(folder: Path) -> bytes:
    """The integers of F; raises EngineError if the file is missing."""
    return _read(folder / WEIGHTS)


def read_key(folder: Path) -> bytes:
    """The verifying key; raises EngineError if the file is missing or of another format."""
    return _words(folder / KEY)


def read_estimate(folder: Path) -> Estimate:
    """The predicted cost; raises EngineError if the file is missing or damaged."""
    try:
        document = canonical.load(_read(folder / ESTIMATE), max_bytes=MAX_ESTIMATE, what="estimate")
        return TypeAdapter(Estimate).validate_python(document)
    except (JsonError, ValidationError) as err:
        raise EngineError(f"{folder / ESTIMATE} is damaged.", "Copy the circuit again.") from err


def write_estimate(folder: Path, estimate: Estimate) -> None:
    """Write the predicted cost."""
    (folder / ESTIMATE).write_bytes(canonical.dump(asdict(estimate)))


def _words(path: Path) -> bytes:
    data = _read(path)
    if not data.startswith(MAGIC) or len(data) % _WORD:
        raise EngineError(f"{path} is damaged.", "Copy the circuit again.")
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise EngineError(f"{path} cannot be read: {why(err)}.", "Copy the circuit again.") from err
