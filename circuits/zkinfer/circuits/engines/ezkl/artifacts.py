"""The files of a compiled program: its settings, and the verifying key artifact (VKA) that ezkl's EVM verifier reads.

The digest of a VKA, keccak256 over its words, identifies a circuit on and off chain: the words commit to the
constraints, the fixed columns (and so the weights), the trusted setup, and the numbers of rows and public values. The
order of the words is that of the constants in ezkl's generator of reusable verifiers. A file is a little-endian count
of words, then the words, 32 bytes each, big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import keccak256
from zkinfer.circuits.errors import CircuitError, EngineError, JsonError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zkinfer.circuits.digest import Digest


NETWORK, SETTINGS, VK, VKA = "network.onnx", "settings.json", "vk.key", "vka.bin"


def read_settings(folder: Path) -> dict[str, Any]:
    """The engine's settings of the program in `folder`; raises CircuitError if they are missing or damaged."""
    try:
        settings = canonical.load((folder / SETTINGS).read_bytes(), max_bytes=1 << 24, what=SETTINGS)
    except (OSError, JsonError) as err:
        raise damaged(folder) from err
    if not isinstance(settings, dict):
        raise damaged(folder)
    return settings


def index_check(folder: Path, settings: dict[str, Any]) -> Callable[[list[list[int]]], None]:
    """A function that raises RangeError for quantised inputs with an index outside of its table; the engine panics.

    Only in a child: it reads the network, unless the program has no such indices.
    """
    if not settings["num_dynamic_lookups"] or _FLOATS.issuperset(settings["input_types"]):
        return lambda _: None
    import onnx  # noqa: PLC0415 - few programs need it

    from zkinfer.circuits.frontend.indices import IndexCheck  # noqa: PLC0415

    check = IndexCheck(onnx.load(folder / NETWORK))
    return lambda sample: check.refuse_integers(sample, settings["model_input_scales"])


_FLOATS = frozenset({"F16", "F32", "F64"})  # types of inputs in settings


def damaged(folder: Path) -> CircuitError:
    """The error for a program whose settings are unusable."""
    return CircuitError(
        f"{folder / SETTINGS} is missing, damaged or not the engine's.", "Compile again, or get the folder again."
    )


_INSTANCES, _EVALUATIONS, _LOG_ROWS, _PHASES = 2, 3, 5, 33
_OPENING_POINTS = 2  # W and W' of the batch opening
_POINT, _SCALAR = 64, 32
_MAX_COUNT, _MAX_LOG_ROWS = 1 << 20, 28


@dataclass(frozen=True, slots=True)
class Vka:
    """A VKA's digest, its number of public values, log2 of the rows, and the exact length of a proof."""

    digest: Digest
    instance_count: int
    log_rows: int
    proof_bytes: int


def read_vka(data: bytes) -> Vka:
    """Parse a VKA file; raises EngineError if its length or its constants are invalid."""
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + 32 * count or count <= _PHASES:
        raise EngineError("The engine's verifying key artifact has an unexpected length.")
    words = [int.from_bytes(data[8 + 32 * i : 40 + 32 * i], "big") for i in range(count)]
    counts = (words[_INSTANCES], words[_EVALUATIONS])
    if max(counts) > _MAX_COUNT or words[_LOG_ROWS] > _MAX_LOG_ROWS or (words[_PHASES] & 0xFF) >= count - _PHASES:
        raise EngineError("The engine's verifying key artifact contains impossible constants.")
    return Vka(keccak256(data[8:]), words[_INSTANCES], words[_LOG_ROWS], _proof_bytes(words))


def _proof_bytes(words: Sequence[int]) -> int:
    """Commitments of all phases, all evaluations, and the opening."""
    packed = words[_PHASES]
    more_words, phases, commitments = packed & 0xFF, packed >> 8, 0
    for word in range(more_words):
        while phases:  # each: 16 bits for the bytes of its commitments, then 8 for its challenges
            commitments += phases & 0xFFFF
            phases >>= 24
        phases = words[_PHASES + word + 1]
    return commitments + words[_EVALUATIONS] * _SCALAR + _OPENING_POINTS * _POINT
