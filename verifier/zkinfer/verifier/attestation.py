"""Create and read attestation files. Their content is an unverified claim: only `Verifier` establishes trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from zkinfer.circuits.digest import Digest, sha256
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.statement import split_by_tensor
from zkinfer.circuits.tensors import dequantise
from zkinfer.verifier.errors import MalformedAttestationError
from zkinfer.verifier.statement import (
    MAX_BYTES,
    PAYLOAD_TYPE,
    CircuitClaim,
    Envelope,
    OutputDigest,
    Predicate,
    Signer,
    Statement,
    Subject,
    from_base64,
    output_digest,
    pre_authentication_encoding,
    refuse_oversized,
    to_base64,
    write_time,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import Program, Proof
    from zkinfer.circuits.recipe import CircuitIdentity, Recipe
    from zkinfer.circuits.statement import Context
    from zkinfer.verifier import signing


@dataclass(frozen=True, slots=True)
class Attestation:
    """A well-formed attestation: an unverified claim.

    Make one with `create`, or read one with `from_bytes` or `read`; hand it to `Verifier.verify` to learn whether
    it is true.
    """

    envelope: Envelope
    statement: Statement

    @classmethod
    def create(
        cls,
        *,
        identity: CircuitIdentity,
        recipe: Recipe,
        program: Program,
        proof: Proof,
        context: Context,
        key: signing.Signer,
        ephemeral: bool,
        created_at: datetime,
    ) -> Self:
        """State one proven inference and sign the statement.

        Args:
            identity: the circuit's digests.
            recipe: how the circuit was made.
            program: the compiled circuit.
            proof: the proof and its statement, not checked here: verify the attestation before release.
            context: the request that the proof was made for.
            key: signs.
            ephemeral: state that the key was generated for this attestation alone and identifies no one.
            created_at: with a time zone; kept to the second.
        """
        predicate = Predicate(
            circuit=CircuitClaim(**identity.model_dump(), claimed_model_id=identity.model_id),
            recipe=recipe,
            setup_size=program.setup_size,
            inputs=program.inputs,
            outputs=program.outputs,
            layout=program.layout,
            public_context="0x" + proof.statement.context.hex(),
            public_inputs=to_base64(proof.statement.inputs),
            public_outputs=tuple(str(value) for value in proof.statement.outputs),
            proof=to_base64(proof.data),
            context=context,
            created_at=write_time(created_at),
            signer=Signer(algorithm=key.public.algorithm, public_key=to_base64(key.public.der), ephemeral=ephemeral),
        )
        subject = Subject(digest=OutputDigest(sha256=output_digest(proof.statement.outputs)))
        return cls._signed(Statement(subject=(subject,), predicate=predicate), key)

    @classmethod
    def _signed(cls, statement: Statement, key: signing.Signer) -> Self:
        payload = statement.to_bytes()
        signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return cls(Envelope(payload, key.public.fingerprint, signature), statement)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the bytes that `to_bytes` writes; anything else is rejected.

        Raises:
            AttestationTooLargeError, UnsupportedVersionError, MalformedAttestationError: see their docstrings.
        """
        envelope = Envelope.from_bytes(data)
        statement = Statement.from_bytes(envelope.payload)
        from_base64(statement.predicate.proof, "proof")
        from_base64(statement.predicate.public_inputs, "public inputs")
        from_base64(statement.predicate.signer.public_key, "public key")
        return cls(envelope, statement)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raises the errors of `read_attestation` and `from_bytes`."""
        return cls.from_bytes(read_attestation(path))

    def to_bytes(self) -> bytes:
        """The file's content."""
        return self.envelope.to_bytes()

    @property
    def predicate(self) -> Predicate:
        """The claims about the inference."""
        return self.statement.predicate

    @property
    def proof(self) -> bytes:
        """The claimed proof."""
        return from_base64(self.predicate.proof, "proof")

    @property
    def signer_key(self) -> bytes:
        """The DER encoding of the public key that the attestation names."""
        return from_base64(self.predicate.signer.public_key, "public key")

    @property
    def digest(self) -> Digest:
        """SHA-256 of the file's content."""
        return sha256(self.to_bytes())


def read_attestation(path: Path) -> bytes:
    """The bytes of an attestation file, up to the maximum size.

    Raises:
        InputError: the file does not exist or cannot be read.
        AttestationTooLargeError: it is larger than any attestation.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file.", "Check the path of the attestation.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise InputError(f"{path} cannot be read: {err.strerror}.", "Check the path of the attestation.") from err
    refuse_oversized(len(data))
    return data


def claimed_tensors(predicate: Predicate, role: Literal["input", "output"]) -> dict[str, NDArray[np.generic]]:
    """The claimed inputs or outputs by name, in the model's own units; hashed and private ones are left out.

    Nothing here is verified: use `Verifier.verify` to rely on a value.

    Raises:
        MalformedAttestationError: the statement does not fit the claimed tensors.
    """
    statement, layout = predicate.statement, predicate.layout
    if role == "input" and layout.visibility != "public":
        return {}
    specs = predicate.inputs if role == "input" else predicate.outputs
    try:
        integers = layout.unpack(statement.inputs) if role == "input" else statement.outputs
        tensors = split_by_tensor(integers, specs)
        return {spec.name: dequantise(tensors[spec.name], spec) for spec in specs}
    except InputError as err:
        raise MalformedAttestationError(f"The statement does not fit the tensors. {err.cause}") from err
