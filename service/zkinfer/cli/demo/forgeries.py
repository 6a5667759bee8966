"""Five forgeries of an attestation, most of them signed with the forger's own key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.statement import Context
from zkinfer.verifier import Attestation, SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.manifest import Circuit


@dataclass(frozen=True, slots=True)
class Forgery:
    """A forged attestation, a title that says what was changed, and the name of the changed field."""

    title: str
    data: bytes
    field: str


def forge(honest: Attestation, circuit: Circuit) -> Iterator[Forgery]:
    """Tamper with an honest attestation of `circuit` in five ways."""
    claim = honest.predicate
    proof = Proof(honest.proof, claim.statement)
    forger = _Forger(circuit, claim.context)
    yield Forgery("another answer: 0 made the most likely digit", forger.sign(proof=_with_better_zero(proof)), "answer")
    yield Forgery("one bit of the proof flipped", forger.sign(proof=_with_flipped_bit(proof)), "proof")
    yield Forgery("replayed for another request", forger.sign(proof=proof, context=Context.offline()), "request")
    yield Forgery("attributed to another model", forger.sign(proof=proof, model=sha256(b"another model")), "model")
    yield Forgery("backdated, with the old signature", _backdated(honest), "date")


class _Forger:
    def __init__(self, circuit: Circuit, context: Context) -> None:
        self._manifest = circuit.manifest
        self._context = context
        self._key = SigningKey.generate()

    def sign(self, *, proof: Proof, context: Context | None = None, model: Digest | None = None) -> bytes:
        identity = self._manifest.identity
        if model is not None:
            identity = identity.model_copy(update={"model": str(model)})
        return Attestation.create(
            identity=identity,
            recipe=self._manifest.recipe,
            program=self._manifest.program,
            proof=proof,
            context=context or self._context,
            key=self._key,
            ephemeral=False,
            created_at=datetime.now(UTC),
        ).to_bytes()


def _with_better_zero(proof: Proof) -> Proof:
    statement = replace(proof.statement, outputs=(12_345, *proof.statement.outputs[1:]))
    return replace(proof, statement=statement)


def _with_flipped_bit(proof: Proof) -> Proof:
    data = bytearray(proof.data)
    data[len(data) // 2] ^= 1
    return replace(proof, data=bytes(data))


def _backdated(honest: Attestation) -> bytes:
    created_at = honest.predicate.created_at
    payload = honest.statement.to_bytes().replace(created_at.encode(), f"2020{created_at[4:]}".encode())
    return replace(honest.envelope, payload=payload).to_bytes()
