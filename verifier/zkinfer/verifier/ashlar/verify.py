"""The verification of an Ashlar proof, step by step, as section 7.1 numbers them."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import keccak256
from zkinfer.verifier.ashlar.errors import (
    EncodingError,
    InputDigestError,
    MalformedKeyError,
    OpeningError,
    SumcheckError,
)
from zkinfer.verifier.ashlar.group import BN254
from zkinfer.verifier.ashlar.identities import Batch, Challenges, Values, second_claim
from zkinfer.verifier.ashlar.kzg import Line, Opening, chunk_weights, line, pairing_point, require_hint
from zkinfer.verifier.ashlar.program import HASHED, PUBLIC, STORED, decode_key
from zkinfer.verifier.ashlar.statement import Layout, Statement, decode_inputs, require_lengths, require_range
from zkinfer.verifier.ashlar.transcript import Sizes, Transcript, decode_points, decode_proof, require_length
from zkinfer.verifier.ashlar.wellformed import require_well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zkinfer.verifier.ashlar.field import Element, Scalar
    from zkinfer.verifier.ashlar.group import Group, GroupPoint
    from zkinfer.verifier.ashlar.program import Header, Program
    from zkinfer.verifier.ashlar.transcript import Message


@dataclass(frozen=True, slots=True)
class Key:
    """A well-formed verifying key, and what follows from it."""

    header: Header
    program: Program
    tau_g2: bytes
    weights: tuple[GroupPoint, ...]
    digest: bytes
    sizes: Sizes
    layout: Layout


@dataclass(frozen=True, slots=True)
class Replay:
    """What a verifier computes on the way, to compare it with another verifier's."""

    challenges: Challenges
    rho: Sequence[Element]
    delta: Element
    sigma: Sequence[Element]
    first_claims: Sequence[Scalar]
    """The claim before each round of the first sumcheck, and the last."""
    second_claims: Sequence[Scalar]
    kernels: Mapping[str, Scalar]
    opening: Opening
    line: Line
    pairing_point: GroupPoint


def verify(key: bytes, context: bytes, inputs: bytes, outputs: Sequence[int], proof: bytes) -> None:
    """Verify a proof in pure Python; returns if it holds.

    Not checked here: that the key is the model's, and that its tau*G2, bytes 32 to 159, is that of a trusted ceremony.

    Args:
        key: the verifying key; its digest is Keccak-256 of these bytes.
        context: the 32 bytes that the proof was made for.
        inputs: the packed integers (mode 0), the input digest (mode 1), or nothing (mode 2).
        outputs: the integers of all outputs, row-major, in the order of the model.
        proof: the bytes of the proof.

    Raises:
        AshlarRejectedError: the subclass of the first step that fails.
    """
    replay(read_key(key), Statement(context, inputs, tuple(map(index, outputs))), proof)


def read_key(key: bytes, group: Group = BN254) -> Key:
    """Step 1: decode a key and check all rules of section 4.1.

    Raises:
        MalformedKeyError: a rule is broken, or the key is of profile 2 or for batches.
    """
    decoded = decode_key(key)
    require_well_formed(decoded.header, decoded.program)
    group.require_tau(decoded.tau_g2)
    try:
        weights = decode_points(decoded.weights, group)
    except EncodingError as err:
        raise MalformedKeyError("W1", err.cause) from err
    sizes, layout = Sizes.of(decoded.header, decoded.program), Layout.of(decoded.header, decoded.program)
    return Key(decoded.header, decoded.program, decoded.tau_g2, weights, decoded.digest, sizes, layout)


def replay(key: Key, statement: Statement, proof: bytes, group: Group = BN254) -> Replay:
    """Steps 2 to 15: verify a proof, and return the values on the way.

    Raises:
        AshlarRejectedError: the subclass of the first step that fails.
    """
    header, program, sizes = key.header, key.program, key.sizes
    require_length(proof, sizes, header.nb)  # 2
    require_lengths(statement, key.layout)
    require_range(statement.outputs)  # 3
    inputs = decode_inputs(statement.inputs, program, key.layout) if header.mode == PUBLIC else []
    messages = decode_proof(proof, sizes, header.nb, group)  # 4

    transcript = Transcript(key.digest + statement.encode(), group.order)  # 5
    committed, helpers = next(messages), next(messages)
    if header.mode == HASHED and keccak256(committed.data[: 64 * sizes.x_chunks]).value != statement.inputs:
        raise InputDigestError("The commitment to the input has another digest than the statement names.")
    alpha, beta = transcript.absorb(committed.data), transcript.next()
    gamma = transcript.absorb(helpers.data)
    challenges = Challenges(alpha, beta, gamma, transcript.many(sizes.tau), transcript.next())
    batch = Batch(header, program, challenges)

    bias = next(messages)  # 6
    transcript.absorb(bias.data)
    [bias_value] = bias.scalars
    first = batch.first_claim(bias_value, inputs, statement.outputs)
    first_claims, rho = _rounds(first, sizes.rounds, messages, transcript)  # 7

    evaluations = next(messages)  # 8
    columns = _values(evaluations.scalars, key)
    if batch.value_at(rho, columns) != first_claims[-1]:
        raise SumcheckError("The values of the columns do not give the last claim of the first sumcheck.")
    delta = transcript.absorb(evaluations.data)

    second = second_claim(bias_value, columns, delta)  # 9
    second_claims, sigma = _rounds(second, header.nb, messages, transcript)
    kernels = batch.kernels(rho, delta, sigma)  # 10
    x, p = committed.points[: sizes.x_chunks], committed.points[sizes.x_chunks :]
    commitments = {"F": key.weights, "X": x, "P": p, "H": helpers.points}
    chunks = chunk_weights(kernels, sigma[header.c :], commitments)

    opening, points = _opening(messages, transcript)  # 11
    require_hint(opening)
    through = line(opening, sigma[: header.c], second_claims[-1])  # 12, 13
    point = pairing_point(group, chunks, opening, through, points)  # 14
    if not group.is_tau_times(point, points[-1], key.tau_g2):  # 15
        raise OpeningError("The pairing check of the opening fails.")
    return Replay(challenges, rho, delta, sigma, first_claims, second_claims, kernels, opening, through, point)


def _rounds(
    claim: Scalar, count: int, messages: Iterator[Message], transcript: Transcript
) -> tuple[list[Scalar], list[Element]]:
    """The rounds of a sumcheck: each message has all coefficients but that of x, which follows from the claim.

    Returns the claim before each round and the last one; and the point, whose highest coordinate is bound first.
    """
    claims, point = [claim], []
    for _ in range(count):
        message = next(messages)
        constant, *higher = message.scalars
        linear = claims[-1] - 2 * constant - sum(higher)
        x = transcript.absorb(message.data)
        claims.append(sum((c * x**k for k, c in enumerate((constant, linear, *higher))), start=0))
        point.append(x)
    return claims, point[::-1]


def _values(scalars: Sequence[Scalar], key: Key) -> Values:
    """Message 5, with a 0 for each value that a key of this kind does not send."""
    q, r, y, h1, h2, g, m, v, *rest = scalars
    x = rest.pop(0) if key.header.mode == HASHED else 0
    stored = rest.pop(0) if any(table.kind == STORED for table in key.program.tables) else 0
    return Values(q, r, y, h1, h2, g, m, v, x, stored)


def _opening(messages: Iterator[Message], transcript: Transcript) -> tuple[Opening, tuple[GroupPoint, ...]]:
    """Read messages 7 to 10: [S]; f0, f1, s0 and the hint; [W]; [W']."""
    s, values, w, last = messages
    zeta, delta, z = (transcript.absorb(message.data) for message in (s, values, w))
    return Opening(zeta, delta, z, *values.scalars), (*s.points, *w.points, *last.points)
