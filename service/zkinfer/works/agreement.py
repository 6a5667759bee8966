"""A creator's agreement that somebody else registers a work: the registration, and a signature by EIP-712."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError, JsonError
from zkinfer.circuits.statement import Word
from zkinfer.circuits.storage import read_file, write_atomically
from zkinfer.contracts.works import Registration
from zkinfer.verifier.statement import first_problem
from zkinfer.works.errors import CertificateError
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.statement import Address

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.contracts.signers import Signer

MAX_BYTES = 1 << 16


class _Registration(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)

    content: Word
    kind: Kind
    origin: Origin
    manifest: Word
    attestation: Word
    pixels: Word
    salt: Word
    resale_bps: Annotated[int, Field(ge=0, le=10_000)]
    licences: Annotated[tuple[Annotated[int, Field(gt=0, lt=1 << 256)], ...], Field(max_length=8)]
    offers: Annotated[tuple[Word, ...], Field(max_length=8)]
    uri: Annotated[str, Field(max_length=2048)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: Annotated[int, Field(gt=0, lt=1 << 256)]
    works: Address
    creator: Address
    deadline: Annotated[int, Field(gt=0, lt=1 << 256)]
    registration: _Registration
    signature: Annotated[str, Field(pattern=r"^0x([0-9a-f]{2}){1,1024}$")]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a creator signed; `deadline` in Unix seconds."""

    chain_id: int
    works: str
    creator: str
    deadline: int
    registration: Registration
    signature: str

    @property
    def signature_bytes(self) -> bytes:
        """The signature: 65 bytes of ECDSA, or what a contract's ERC-1271 takes."""
        return bytes.fromhex(self.signature[2:])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raises InputError if it cannot be read, or CertificateError if it is malformed."""
        data = read_file(path, max_bytes=MAX_BYTES)
        try:
            found = _Document.model_validate(canonical.load_canonical(data, max_bytes=MAX_BYTES, what="agreement"))
        except JsonError as err:
            raise CertificateError(err.cause, err.cure) from err
        except ValidationError as err:
            raise CertificateError(f"The agreement is malformed: {first_problem(err)}.") from err
        fields = found.model_dump(exclude={"registration"})
        return cls(**fields, registration=Registration(**found.registration.model_dump()))

    def write(self, path: Path) -> None:
        """Write the file; raises InputError if it cannot be written."""
        write_atomically(path, canonical.dump(asdict(self)))

    def require_for(self, chain_id: int, works: str) -> None:
        """Return if it is for this contract; raise CertificateError if not."""
        if (self.chain_id, self.works) != (chain_id, works):
            raise CertificateError(
                f"The agreement is for the works {self.works} on chain {self.chain_id}.", "Ask for one for these works."
            )


def sign_agreement(what: Registration, chain_id: int, works: str, deadline: int, signer: Signer) -> Agreement:
    """Sign a registration for others to send.

    Args:
        what: the registration.
        chain_id: of the works.
        works: address of their contract.
        deadline: until which it may be registered, in Unix seconds.
        signer: the creator's account.

    Raises:
        InputError: the account can only sign transactions, as remote signers.
    """
    if not hasattr(signer, "unsafe_sign_hash"):
        raise InputError("A remote signer signs transactions only.", "Use --keystore, or register the work yourself.")
    creator = str(signer.address).lower()
    signed = signer.unsafe_sign_hash(what.digest(chain_id, works, creator, deadline))
    return Agreement(chain_id, works, creator, deadline, what, "0x" + bytes(signed.signature).hex())
