"""What a publisher says of a model; needs no chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from zkinfer.contracts.hashing import keccak256, words

SELECTOR: Final = keccak256(b"ezkl-23.0.5-halo2-kzg-bn254-v1")[:4]
"""The verifier for all circuits, as the router knows it."""
_DEDICATED: Final = b"ezkl-23.0.5-halo2-kzg-bn254-dedicated-v1"

Visibility = Literal["public", "hashed", "private"]
VISIBILITIES: Final[tuple[Visibility, ...]] = ("public", "hashed", "private")
"""In the order of the enum in Slots.sol."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a publisher says of a model; `key` are the words of its verifying key, `fee` is in wei.

    `inputs` and `outputs` are numbers of public values, as in IModelRegistry.sol.
    """

    onnx_digest: str
    key: bytes
    visibility: Visibility
    inputs: int
    outputs: int
    fee: int = 0
    uri: str = ""
    selector: bytes = SELECTOR

    @property
    def key_digest(self) -> str:
        """keccak256 over the words of the verifying key."""
        return "0x" + keccak256(self.key).hex()

    @property
    def model_id(self) -> str:
        """keccak256(abi.encode(sha256 of the ONNX file, digest of the verifying key))."""
        return "0x" + keccak256(words([self.onnx_digest, self.key_digest])).hex()


def dedicated_selector(key_digest: str) -> bytes:
    """The verifier for the circuit of one key alone, as DedicatedHalo2Adapter.sol names it."""
    padded = _DEDICATED.ljust(-(-len(_DEDICATED) // 32) * 32, b"\0")
    return keccak256(words([64, key_digest, len(_DEDICATED)]) + padded)[:4]
