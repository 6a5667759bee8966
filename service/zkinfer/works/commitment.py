"""A commitment to a work before it is shown: the secret salt that later proves its time."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import JsonError
from zkinfer.circuits.storage import read_private_file, write_atomically
from zkinfer.contracts.works import ZERO_WORD, Registration
from zkinfer.verifier.statement import first_problem
from zkinfer.works.errors import CertificateError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 12
_Word = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
_Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chain_id: Annotated[int, Field(gt=0)]
    works: _Address
    creator: _Address
    content: _Word
    pixels: _Word
    salt: _Word


@dataclass(frozen=True, slots=True)
class Commitment:
    """To a creator's work, for one contract; digests are 0x and 64 hex digits.

    Whoever knows the salt can tell whether the commitment is to a given file, so it stays secret until the work is
    registered.
    """

    chain_id: int
    works: str
    creator: str
    content: str
    pixels: str
    salt: str

    @classmethod
    def to(cls, what: Registration, chain_id: int, works: str, creator: str) -> Self:
        """A commitment with a new salt."""
        return cls(chain_id, works, creator, what.content, what.pixels, "0x" + secrets.token_hex(32))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises InputError if it cannot be read or others can read it, or CertificateError if it is malformed.
        """
        data = read_private_file(path, max_bytes=MAX_BYTES)
        try:
            document: Any = canonical.load_canonical(data, max_bytes=MAX_BYTES, what="commitment")
            found = cls(**_Document.model_validate(document).model_dump())
        except JsonError as err:
            raise CertificateError(err.cause, err.cure) from err
        except ValidationError as err:
            raise CertificateError(f"The commitment is malformed: {first_problem(err)}.") from err
        if found.salt == ZERO_WORD:
            raise CertificateError("The commitment has no salt, so anybody could tell what it is to.", "Make another.")
        return found

    def write(self, path: Path) -> None:
        """Write the file, for this user alone; raises InputError if it cannot be written."""
        write_atomically(path, canonical.dump(asdict(self)), mode=0o600)

    @property
    def digest(self) -> str:
        """What the contract stores."""
        return Registration(self.content, "other", "unstated", pixels=self.pixels, salt=self.salt).commitment(
            self.creator
        )

    def require_for(self, what: Registration, chain_id: int, works: str, creator: str) -> None:
        """Return if it is to this work of this creator, for this contract; raise CertificateError if not."""
        if (self.chain_id, self.works) != (chain_id, works):
            raise CertificateError(
                f"The commitment is for the works {self.works} on chain {self.chain_id}.", "Register the work there."
            )
        if self.creator != creator:
            raise CertificateError(f"{self.creator} made the commitment.", "Register the work with that account.")
        if (self.content, self.pixels) != (what.content, what.pixels):
            raise CertificateError(
                "The commitment is to another file.", "Give the certificate of the file that you committed to."
            )
