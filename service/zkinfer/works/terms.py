"""Terms of a work: one page that a person writes, `terms.toml`, and its meaning in six published vocabularies.

The uses that a licence grants are bits of the contract `Market`. Consent to training, mining and inference is told in
the words of CAWG, and translated; where a vocabulary has no word for something, the most restrictive one is used.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.storage import read_file
from zkinfer.verifier.statement import first_problem
from zkinfer.works.errors import TermsError
from zkinfer.works.kinds import Permission, strictest_of
from zkinfer.works.statement import OfferClaim, Rights, Uri

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_BYTES: Final = 1 << 16


class Use(IntFlag):
    """What a licence permits, as bits of the contract `Market`; ATTRIBUTION is a duty."""

    COMMERCIAL = 1
    DERIVATIVES = 2
    TRAINING = 4
    INFERENCE = 8
    ATTRIBUTION = 128

    @property
    def words(self) -> tuple[str, ...]:
        """The names of the bits in lower case."""
        return tuple(str(one.name).lower() for one in Use if one in self)


@dataclass(frozen=True, slots=True)
class Offer:
    """A licence that can be bought.

    Args:
        uses: that it grants.
        text: of the licence.
        uri: where the text is.
        price: in wei.
        share_bps: of what derivatives earn, in hundredths of a percent.
        duration: seconds; 0 for ever.
    """

    uses: Use
    text: str
    uri: str
    price: int = 0
    share_bps: int = 0
    duration: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the text, as hex: the contract's `terms`."""
        return sha256(self.text.encode()).value.hex()

    @property
    def claim(self) -> OfferClaim:
        """As a certificate says it."""
        return OfferClaim(
            terms=self.digest,
            uri=self.uri,
            uses=self.uses.words,
            price=str(self.price),
            share_bps=self.share_bps,
            duration=self.duration,
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a work: what everybody may do, and what can be bought."""

    rights: Rights
    offers: tuple[Offer, ...] = ()

    @classmethod
    def preset(cls, name: str) -> Self:
        """One of `PRESETS`; raises TermsError for any other name."""
        if name not in PRESETS:
            raise TermsError(
                f"There are no terms {name[:40]!r}.", f"Use one of {', '.join(PRESETS)}, or write your own."
            )
        rights, offers = PRESETS[name]
        return cls(rights, offers)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; raises TermsError if it is malformed, or InputError if it cannot be read."""
        return cls.from_bytes(read_file(path, max_bytes=MAX_BYTES))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the content of a file; raises TermsError."""
        try:
            document = _Document.model_validate(tomllib.loads(data.decode("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
            raise TermsError(f"The terms are not TOML: {str(err)[:120]}.") from err
        except ValidationError as err:
            raise TermsError(f"The terms are malformed {first_problem(err)}.") from err
        return cls._of(document)

    @classmethod
    def _of(cls, document: _Document) -> Self:
        found = cls.preset(document.preset)
        rights = found.rights.model_copy(update=document.consent)
        offers = tuple(_offer(one) for one in document.offer)
        return cls(rights, offers or found.offers)

    @property
    def uses(self) -> Use:
        """What everybody may do without paying: the uses of the free offers."""
        free = [one.uses for one in self.offers if one.price == 0]
        result = Use(0)
        for one in free:
            result |= one
        return result


class _OfferDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    uses: list[str]
    text: str = Field(min_length=1, max_length=32768)
    uri: Uri = ""
    price: str = "0wei"
    share: float = Field(default=0, ge=0, le=50)
    days: int = Field(default=0, ge=0, le=36500)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    preset: str = "all-rights"
    training: str | None = None
    mining: str | None = None
    inference: str | None = None
    policy: Uri | None = None
    offer: list[_OfferDocument] = Field(default_factory=list, max_length=16)

    @property
    def consent(self) -> dict[str, Any]:
        """The answers that differ from the preset's."""
        given = {name: getattr(self, name) for name in ("training", "mining", "inference")}
        found: dict[str, Any] = {name: _permission(name, text) for name, text in given.items() if text is not None}
        return found if self.policy is None else {**found, "policy": self.policy}


def _permission(name: str, text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError as err:
        known = ", ".join(one.value for one in Permission)
        raise TermsError(f"{name} is {text[:40]!r}.", f"Use one of {known}.") from err


def _offer(document: _OfferDocument) -> Offer:
    from zkinfer.contracts.amounts import parse_wei  # noqa: PLC0415 - terms without offers need nothing of chains

    unknown = [one for one in document.uses if one.upper() not in Use.__members__]
    if unknown:
        known = ", ".join(str(one.name).lower() for one in Use)
        raise TermsError(f"There is no use {unknown[0][:40]!r}.", f"Use some of {known}.")
    uses = Use(0)
    for one in document.uses:
        uses |= Use[one.upper()]
    try:
        price = parse_wei(document.price)
    except ValueError as err:
        raise TermsError(f"The price {document.price[:40]!r} is no amount: {err}.", "Write it as 0.01ether.") from err
    return Offer(uses, document.text, document.uri, price, round(document.share * 100), document.days * 86400)


def strictest(all_rights: Iterable[Rights]) -> Rights:
    """What holds if several rights apply: the most restrictive answer to each question."""
    found = Rights(training=Permission.ALLOWED, mining=Permission.ALLOWED, inference=Permission.ALLOWED)
    for one in all_rights:
        changes = {
            name: strictest_of((getattr(found, name), getattr(one, name)))
            for name in ("training", "mining", "inference")
        }
        found = found.model_copy(update={**changes, "policy": found.policy or one.policy})
    return found


_CC: Final = "https://creativecommons.org/licenses/{}/4.0/legalcode"


def _rights(training: Permission, mining: Permission, inference: Permission) -> Rights:
    return Rights(training=training, mining=mining, inference=inference)


_YES, _SOME, _NO = Permission.ALLOWED, Permission.CONSTRAINED, Permission.NOT_ALLOWED
_STOCK: Final = "The buyer may use the work commercially, also altered, and names its creator. No training of models."
_TRAIN: Final = "The buyer may train models on the work, and pays the stated share of what they earn."

PRESETS: Final[dict[str, tuple[Rights, tuple[Offer, ...]]]] = {
    "cc-by": (
        _rights(_SOME, _YES, _YES),
        (
            Offer(
                Use.COMMERCIAL | Use.DERIVATIVES | Use.INFERENCE | Use.ATTRIBUTION,
                "SPDX-License-Identifier: CC-BY-4.0",
                _CC.format("by"),
            ),
        ),
    ),
    "cc-by-nc": (
        _rights(_SOME, _YES, _YES),
        (
            Offer(
                Use.DERIVATIVES | Use.INFERENCE | Use.ATTRIBUTION,
                "SPDX-License-Identifier: CC-BY-NC-4.0",
                _CC.format("by-nc"),
            ),
        ),
    ),
    "all-rights": (_rights(_NO, _NO, _NO), ()),
    "stock": (
        _rights(_NO, _NO, _YES),
        (
            Offer(
                Use.COMMERCIAL | Use.DERIVATIVES | Use.INFERENCE | Use.ATTRIBUTION,
                _STOCK,
                "",
                price=10**16,
                share_bps=1000,
            ),
        ),
    ),
    "train-paid": (
        _rights(_SOME, _SOME, _YES),
        (Offer(Use.TRAINING | Use.DERIVATIVES | Use.INFERENCE, _TRAIN, "", price=10**17, share_bps=1500),),
    ),
}
"""Terms that need no file. Prices and shares are examples: write your own with `preset = ...` and `[[offer]]`."""
