"""Reading the verifying key artifact (VKA) of ezkl: the words from which its EVM verifier checks a proof.

Its digest, keccak256 over the words, names a circuit on and off chain: the words commit to the constraints, the
fixed columns (so the weights), the trusted setup, the number of rows and of public values. The layout follows the
list of constants of the generator of ezkl's reusable verifier; a file is a little-endian count of words, then words
of 32 bytes, big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import CircuitError, EngineError, JsonError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.digest import Digest


NETWORK, SETTINGS, VK, VKA = "network.onnx", "settings.json", "vk.key", "vka.bin"


def read_settings(folder: Path) -> dict[str, Any]:
    """The engine's own description of the program in `folder`; raises CircuitError where there is none."""
    try:
        settings = canonical.load((folder / SETTINGS).read_bytes(), max_bytes=1 << 24, what=SETTINGS)
    except (OSError, JsonError) as err:
        raise damaged(folder) from err
    if not isinstance(settings, dict):
        raise damaged(folder)
    return settings


def damaged(folder: Path) -> CircuitError:
    """What to say of a program whose settings cannot be used."""
    return CircuitError(
        f"{folder / SETTINGS} is missing, damaged or not the engine's.", "Compile again, or get the folder again."
    )


_INSTANCES, _EVALUATIONS, _LOG_ROWS, _PHASES = 2, 3, 5, 33
_OPENING_POINTS = 2  # W and W' of the batch opening
_POINT, _SCALAR = 64, 32
_MANY, _MAX_LOG_ROWS = 1 << 20, 28


@dataclass(frozen=True, slots=True)
class Vka:
    """What a VKA says: its digest, the instance count, log2 of the rows, and the exact length of a proof."""

    digest: Digest
    instance_count: int
    log_rows: int
    proof_bytes: int


def read_vka(data: bytes) -> Vka:
    """Read a VKA file; raises EngineError where its length or its constants make no sense."""
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + 32 * count or count <= _PHASES:
        raise EngineError("The engine's verifying key artifact has another layout than expected.")
    words = [int.from_bytes(data[8 + 32 * i : 40 + 32 * i], "big") for i in range(count)]
    counts = (words[_INSTANCES], words[_EVALUATIONS])
    if max(counts) > _MANY or words[_LOG_ROWS] > _MAX_LOG_ROWS or (words[_PHASES] & 0xFF) >= count - _PHASES:
        raise EngineError("The engine's verifying key artifact holds constants that no circuit has.")
    return Vka(keccak256(data[8:]), words[_INSTANCES], words[_LOG_ROWS], _proof_bytes(words))


def _proof_bytes(words: Sequence[int]) -> int:
    """Commitments of every phase, all evaluations, and the opening."""
    packed = words[_PHASES]
    following, group, commitments = packed & 0xFF, packed >> 8, 0
    for place in range(following):
        while group:  # 16 bits of length in bytes, then 8 bits that count challenges
            commitments += group & 0xFFFF
            group >>= 24
        group = words[_PHASES + place + 1]
    return commitments + words[_EVALUATIONS] * _SCALAR + _OPENING_POINTS * _POINT
