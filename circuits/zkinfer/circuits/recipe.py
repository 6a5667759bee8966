"""How a circuit was made from an ONNX file, and the digests that identify the result.

A recipe and the ONNX file determine the verifying key on any machine, so an auditor can rebuild it independently: the
recipe is part of a circuit's manifest and of every attestation.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from zkinfer.circuits.digest import Digest, keccak256
from zkinfer.circuits.tensors import Visibility

Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Keccak256 = Annotated[str, Field(pattern=r"^keccak256:[0-9a-f]{64}$")]
DimensionName = Annotated[str, Field(min_length=1, max_length=256)]
INSECURE_DEV = "insecure-dev"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class SetupIdentity(_Value):
    """A trusted setup: its ceremony's name and the digest of its tau*G2 (128 bytes).

    The file and its size are not part of it: a larger file of the same ceremony serves a smaller circuit.
    """

    ceremony: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    tau_g2: Sha256

    @property
    def is_insecure_dev(self) -> bool:
        """Whether its secret is public, so that anyone can forge proofs under it."""
        return self.ceremony == INSECURE_DEV


class Recipe(_Value):
    """Everything except the ONNX file that is needed to regenerate the verifying key.

    `input_visibility` says what a proof reveals about the inputs: all of them, a digest of each, or nothing.
    `dimensions` are the sizes given to symbolic dimensions, `run_arguments` the engine's own settings.
    """

    engine: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}/[0-9a-z.+-]{1,32}$")]
    normaliser: Annotated[str, Field(pattern=r"^[a-z-]{1,32}/[0-9]{1,6}$")]
    input_visibility: Visibility
    dimensions: Annotated[dict[DimensionName, Annotated[int, Field(ge=1)]], Field(max_length=16)]
    run_arguments: Annotated[dict[str, Any], Field(max_length=64)]
    setup: SetupIdentity


class CircuitIdentity(_Value):
    """The digests that identify a circuit: of the ONNX file, of its normalised form, and of the verifying key."""

    model: Sha256
    network: Sha256
    verifying_key: Keccak256

    @property
    def model_id(self) -> str:
        """keccak256(abi.encode(sha256(model.onnx), verifying key digest)) as 0x and 64 hex digits."""
        words = Digest.parse(self.model).value + Digest.parse(self.verifying_key).value
        return "0x" + keccak256(words).hex
