"""Conversion between statements and ezkl's public values: the field elements ("instances") of a Halo2 proof.

Their order depends on the visibility of the inputs:

- public: context, inputs, outputs;
- hashed: digest of the context, digest of each input, outputs, context;
- private: outputs, context.

The context is the first 130 bits of the statement's, as five limbs of 26 bits: every limb passes the narrowest range
check in use, 512^3 = 2^27. A negative integer -n is the element r - n.

A circuit with hashed inputs hashes the context too, with Poseidon, which costs a contract too much gas. The proof
therefore carries that digest in its first 32 bytes, and the circuit itself binds it to the limbs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.errors import EngineError, InputError, ProofRejectedError
from zkinfer.circuits.statement import DIGEST_BYTES, OUTPUT_LIMIT, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.statement import Layout


MODULUS = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
LIMBS = 5
LIMB_BITS = 26
_HALF = 1 << 127


def instances_of(statement: Statement, proof: bytes, layout: Layout) -> tuple[bytes, list[int]]:
    """The Halo2 proof and its public values, in the order of the transcript.

    Raises:
        ProofRejectedError: the statement does not have this layout, or a digest is not below the modulus.
    """
    context = list(limbs_of(statement.context))
    try:
        outputs = [encode(value) for value in statement.outputs]
        if layout.visibility == "public":
            inputs = [encode(value) for value in layout.unpack(statement.inputs)]
            values = [*context, *inputs, *outputs]
        elif layout.visibility == "hashed":
            digests = [_element(digest) for digest in (proof[:DIGEST_BYTES], *layout.digests(statement.inputs))]
            proof, values = proof[DIGEST_BYTES:], [*digests, *outputs, *context]
        else:
            values = [*outputs, *context]
    except InputError as err:
        raise ProofRejectedError(f"The statement is not one of this circuit. {err.cause}") from err
    if len(values) != instance_count(layout) or (layout.visibility == "private" and statement.inputs):
        raise ProofRejectedError("The statement has another number of values than the circuit.")
    return proof, values


def proof_from(halo2: bytes, instances: Sequence[int], context: bytes, layout: Layout) -> Proof:
    """A Halo2 proof and its statement about this context; the inverse of `instances_of`.

    Raises:
        EngineError: the public values do not have this layout, or are about another context.
    """
    if len(instances) != instance_count(layout):
        raise EngineError("The engine proved another number of public values than the program has.")
    first = {"public": 0, "hashed": 1 + layout.inputs + layout.outputs, "private": layout.outputs}[layout.visibility]
    if tuple(instances[first : first + LIMBS]) != limbs_of(context):
        raise EngineError("The engine proved another context than it was given.")
    inputs, prefix, start = b"", b"", 0
    try:
        if layout.visibility == "public":
            start = LIMBS + layout.inputs
            inputs = layout.pack(decode(value) for value in instances[LIMBS:start])
        elif layout.visibility == "hashed":
            start = 1 + layout.inputs
            prefix, inputs = to_digest(instances[0]), b"".join(to_digest(value) for value in instances[1:start])
        outputs = tuple(decode(value) for value in instances[start : start + layout.outputs])
    except InputError as err:
        raise EngineError(f"The engine proved an impossible value. {err.cause}") from err
    if any(abs(value) >= OUTPUT_LIMIT for value in outputs):
        raise EngineError("The engine proved an output of more than 63 bits.")
    return Proof(prefix + halo2, Statement(context, inputs, outputs))


def instance_count(layout: Layout) -> int:
    """The number of public values of a Halo2 proof of this layout."""
    return LIMBS + layout.inputs + layout.outputs + (layout.visibility == "hashed")


def limbs_of(context: bytes) -> tuple[int, ...]:
    """The first 130 bits of a context, most significant limb first."""
    top = int.from_bytes(context, "big") >> (8 * len(context) - LIMBS * LIMB_BITS)
    mask = (1 << LIMB_BITS) - 1
    return tuple(top >> (LIMB_BITS * place) & mask for place in reversed(range(LIMBS)))


def encode(value: int) -> int:
    """Field element of a signed integer; raises InputError unless |value| < 2^127."""
    if not -_HALF < value < _HALF:
        raise InputError(f"{value} does not fit the 127 bits of a circuit integer.")
    return value % MODULUS


def decode(element: int) -> int:
    """Signed integer of a canonical field element; raises InputError unless |value| < 2^127."""
    if not 0 <= element < MODULUS:
        raise InputError(f"0x{element:x} is not a canonical field element: it is not below the modulus.")
    value = element if element < _HALF else element - MODULUS
    if value <= -_HALF:
        raise InputError(f"0x{element:x} is not a circuit integer: its magnitude reaches 2^127.")
    return value


def to_digest(element: int) -> bytes:
    """A field element as 32 bytes, big-endian."""
    return element.to_bytes(DIGEST_BYTES, "big")


def _element(digest: bytes) -> int:
    element = int.from_bytes(digest, "big")
    if len(digest) != DIGEST_BYTES or element >= MODULUS:
        raise InputError("A digest is not a canonical field element: it is not below the modulus.")
    return element
