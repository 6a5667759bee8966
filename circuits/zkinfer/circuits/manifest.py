"""The manifest of a circuit folder: its identity, how it was made, what is in it, what it costs and how good it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.errors import CircuitError, JsonError
from zkinfer.circuits.recipe import CircuitIdentity, Recipe, Sha256

MAX_BYTES = 1 << 22
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class KeySizes(_Part):
    """Sizes in bytes, and the digest by which the proving key is found again; it does not lie in the folder."""

    proving_key: Sha256
    proving_key_bytes: Count
    verifying_key_bytes: Count
    proof_bytes: Count


class FidelityReport(_Part):
    """Circuit against float model on `samples` inferences.

    `data` says where they come from: `held-out` samples took no part in choosing the settings, `calibration`
    samples did, `synthetic` ones are random numbers and say little. Errors are fractions of the output's range.
    """

    data: Literal["held-out", "calibration", "synthetic"]
    samples: Annotated[int, Field(ge=1)]
    agreement: Annotated[float, Field(ge=0, le=1)]
    error_p50: Share
    error_p99: Share
    error_max: Share


class Manifest(_Part):
    """Everything a circuit folder says about itself. It holds no time and no name of a machine, so that the same
    model, data and options give the same manifest, and with it the same circuit digest."""

    format: Literal["zkinfer-circuit/1"] = "zkinfer-circuit/1"
    identity: CircuitIdentity
    recipe: Recipe
    program: Program
    keys: KeySizes
    fidelity: FidelityReport
    parameters: Count
    operators: dict[str, Count]
    files: dict[FileName, Sha256]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.dump(self.model_dump(mode="json", by_alias=True))

    @property
    def digest(self) -> Digest:
        """The circuit digest."""
        return sha256(self.to_bytes())


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest strictly; raises CircuitError."""
    try:
        canonical.load_canonical(data, max_bytes=MAX_BYTES, what="manifest")
        manifest = Manifest.model_validate_json(data)
    except JsonError as err:
        raise CircuitError(err.cause, err.cure) from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CircuitError(f"The manifest is not valid at {where}: {first['msg']}.") from err
    if manifest.to_bytes() != data:
        raise CircuitError("The manifest spells a field in another way than it is written.")
    return manifest
