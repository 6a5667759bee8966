"""The content of a trust root: what one publisher's auditors trust, until when, and what it has revoked.

Every list names exactly what is accepted: an empty list accepts nothing. `roots` are the keys that may sign the next
version, and how many of them must. `previous` is the digest of the version before, so the last version vouches for the
whole history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.recipe import Sha256
from zkinfer.circuits.statement import Address, Word
from zkinfer.verifier.errors import SignatureError
from zkinfer.verifier.signing import PublicKey
from zkinfer.verifier.statement import from_base64, read_time, write_time

if TYPE_CHECKING:
    from datetime import datetime

MAX_ENTRIES: Final = 1024
MAX_ROOT_KEYS: Final = 32
MAX_VERSION: Final = 1 << 31
Kind = Literal["signer", "model", "circuit", "attestation"]


def _is_time(text: str) -> str:
    if write_time(read_time(text)) != text:
        raise ValueError("a time must be written YYYY-MM-DDTHH:MM:SSZ")
    return text


def _is_key(text: str) -> str:
    try:
        PublicKey(from_base64(text, "public key"))
    except SignatureError as err:
        raise ValueError(err.cause) from err
    return text


Time = Annotated[str, AfterValidator(_is_time)]
KeyText = Annotated[str, Field(max_length=256), AfterValidator(_is_key)]
Label = Annotated[str, Field(max_length=160, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
RootName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
CeremonyName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
EngineName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Origin = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-*,-~]+$")]  # no spaces, and no plus sign


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class _WithKey(_Part):
    public_key: KeyText
    label: Label = ""

    @property
    def key(self) -> PublicKey:
        """The key, decoded from the base64 of its SubjectPublicKeyInfo."""
        return PublicKey(from_base64(self.public_key, "public key"))

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        return self.key.fingerprint


class _WithPeriod(_Part):
    """Valid from the first moment on and before the second; null leaves that side open."""

    valid_from: Time | None = None
    valid_until: Time | None = None

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        if self.valid_from and self.valid_until and read_time(self.valid_from) >= read_time(self.valid_until):
            raise ValueError("validUntil must be after validFrom")
        return self

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether a moment is in the period."""
        started = self.valid_from is None or read_time(self.valid_from) <= moment
        return started and (self.valid_until is None or moment < read_time(self.valid_until))


class RootKey(_WithKey):
    """A key that may sign the trust root."""


class RootKeys(_Part):
    """The keys that may sign the trust root, and the number of them that must."""

    threshold: Annotated[int, Field(ge=1, le=MAX_ROOT_KEYS)]
    keys: Annotated[tuple[RootKey, ...], Field(min_length=1, max_length=MAX_ROOT_KEYS)]

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.threshold > len(self.keys):
            raise ValueError("the threshold exceeds the number of root keys")
        return self


class TrustedSigner(_WithKey, _WithPeriod):
    """A key whose attestations are accepted while it is valid."""


class TrustedModel(_WithPeriod):
    """An ONNX file, and the circuits of it that are accepted: model ids, or `any` quantisation a prover chooses."""

    sha256: Sha256
    circuits: Literal["any"] | Annotated[tuple[Word, ...], Field(min_length=1, max_length=MAX_ENTRIES)]
    label: Label = ""


class TrustedChain(_Part):
    """A chain whose requests are accepted, and the ledger that records their answers."""

    chain_id: Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
    ledger: Address
    label: Label = ""


class TransparencyLog(_WithKey):
    """A transparency log, named by the origin line of its checkpoints."""

    origin: Origin


class Revocation(_Part):
    """What is no longer accepted: from `since` on, or whenever it was made if `since` is null."""

    kind: Kind
    id: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|0x[0-9a-f]{64})$")]
    since: Time | None
    reason: Label

    def counts_at(self, moment: datetime) -> bool:
        """Whether it applies to a verification as of this moment."""
        return self.since is None or read_time(self.since) <= moment


Entries = Field(max_length=MAX_ENTRIES)


class TrustRoot(_Part):
    """One version of a trust root."""

    format: Literal["zkinfer-trust-root/1"] = "zkinfer-trust-root/1"
    name: RootName
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)]
    previous: Sha256 | None = None
    issued: Time
    expires: Time
    roots: RootKeys
    models: Annotated[tuple[TrustedModel, ...], Entries] = ()
    signers: Annotated[tuple[TrustedSigner, ...], Entries] = ()
    setups: Annotated[tuple[CeremonyName, ...], Entries] = ()
    engines: Annotated[tuple[EngineName, ...], Entries] = ()
    chains: Annotated[tuple[TrustedChain, ...], Entries] = ()
    logs: Annotated[tuple[TransparencyLog, ...], Entries] = ()
    log_required: bool = False
    revocations: Annotated[tuple[Revocation, ...], Entries] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if read_time(self.expires) <= read_time(self.issued):
            raise ValueError("expires must be after issued")
        if (self.version == 1) != (self.previous is None):
            raise ValueError("previous must be null in version 1, and the digest of the version before in all others")
        if self.log_required and not self.logs:
            raise ValueError("logRequired needs at least one log")
        for name, identifiers in self._identifiers().items():
            if len(set(identifiers)) != len(identifiers):
                raise ValueError(f"{name} names one entry twice")
        return self

    def _identifiers(self) -> dict[str, list[Any]]:
        """What must be unique, by list."""
        return {
            "roots": [key.public_key for key in self.roots.keys],
            "models": [model.sha256 for model in self.models],
            "signers": [signer.public_key for signer in self.signers],
            "setups": list(self.setups),
            "engines": list(self.engines),
            "chains": [(chain.chain_id, chain.ledger) for chain in self.chains],
            "logs": [log.origin for log in self.logs],
            "revocations": [(revoked.kind, revoked.id) for revoked in self.revocations],
        }

    @property
    def fingerprint(self) -> str:
        """The root keys, their threshold and the name, as one digest to compare before the first use.

        SHA-256 of canonical JSON, the same for all versions until the root keys or the threshold change.
        """
        keys = sorted(key.fingerprint for key in self.roots.keys)
        content = {"format": "zkinfer-root-keys/1", "name": self.name, "threshold": self.roots.threshold, "keys": keys}
        return str(sha256(canonical.dump(content)))

    @property
    def issued_at(self) -> datetime:
        """When this version was issued, as its publisher states."""
        return read_time(self.issued)

    @property
    def expires_at(self) -> datetime:
        """From when on this version must not be used."""
        return read_time(self.expires)
