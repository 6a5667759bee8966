"""Request files, from which a prover proves and answers are posted.

Canonical JSON. Amounts are decimal text, so that no reader rounds them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from zkinfer.chain.requests import context_of
from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError, why
from zkinfer.circuits.statement import Address, Word
from zkinfer.contracts import Request

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.statement import Context

MAX_BYTES: Final = 1 << 14
Amount = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,28})$")]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)

    format: Literal["zkinfer-request/1"] = "zkinfer-request/1"
    chain_id: Annotated[int, Field(ge=1, lt=1 << 64)]
    ledger: Address
    listing: Word
    input_commitment: Word
    consumer: Address
    requester: Address
    expiry: Annotated[int, Field(ge=0, lt=1 << 64)]
    prover: Address
    prover_fee: Amount
    refund_to: Address
    owner_fee: Amount
    salt: Word

    @field_validator("prover_fee", "owner_fee")
    @classmethod
    def _fits(cls, text: str) -> str:
        if int(text) >= 1 << 96:
            raise ValueError("an amount must be below 2^96 wei")
        return text


@dataclass(frozen=True, slots=True)
class PlacedRequest:
    """A request, with its ledger and chain."""

    request: Request
    chain_id: int
    ledger: str

    @property
    def id(self) -> str:
        """The request's id on that ledger."""
        return self.request.id(self.chain_id, self.ledger)

    @property
    def context(self) -> Context:
        """The context that a proof must be made for to answer it."""
        return context_of(self.request, self.chain_id, self.ledger)

    def to_bytes(self) -> bytes:
        """The file's content; raises InputError if a field is out of range or malformed."""
        amounts = {name: str(getattr(self.request, name)) for name in ("prover_fee", "owner_fee")}
        fields = {**asdict(self.request), **amounts, "chain_id": self.chain_id, "ledger": self.ledger}
        try:
            document = _Document(**fields)
        except ValidationError as err:
            raise InputError(f"The request is invalid: {_first(err)}.") from err
        return canonical.dump(document.model_dump(mode="json", by_alias=True))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes; raises InputError, which names the field, for anything else."""
        canonical.load_canonical(data, max_bytes=MAX_BYTES, what="request")
        try:
            fields = _Document.model_validate_json(data).model_dump()
        except ValidationError as err:
            raise InputError(f"The file is not a request: {_first(err)}.", "Make one: zkinfer chain request") from err
        del fields["format"]
        fields |= {name: int(fields[name]) for name in ("prover_fee", "owner_fee")}
        chain_id, ledger = fields.pop("chain_id"), fields.pop("ledger")
        return cls(Request(**fields), chain_id, ledger)


def read_request(path: Path) -> PlacedRequest:
    """Read a request file; raises InputError, of which JsonError is one kind, if it is invalid."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise InputError(f"{path} cannot be read: {why(err)}.", "Check the path of the request.") from err
    return PlacedRequest.from_bytes(data)


def _first(err: ValidationError) -> str:
    first = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:80]
    return f"{place!r}: {first['msg'][:200]}"
