"""The report of a round: unsigned, signed, and proven. Nothing here talks to a chain or a source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zkinfer.circuits.progress import NULL_OBSERVER
from zkinfer.circuits.statement import Context
from zkinfer.contracts.feed_formats import FeedPayload, FeedReport, round_of, sign
from zkinfer.contracts.feed_signatures import recover
from zkinfer.oracle.answers import integers_in
from zkinfer.oracle.errors import OracleError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.circuits.manifest import Circuit
    from zkinfer.circuits.progress import Observer
    from zkinfer.contracts.feed_formats import FeedSpec, HashSigner
    from zkinfer.oracle.observations import Observation
    from zkinfer.oracle.specs import FeedFile
    from zkinfer.prover.prover import Prover


def unsigned(feed: FeedFile, observation: Observation, answer: int) -> FeedPayload:
    """The payload of a round before anybody signs it.

    Args:
        feed: with its signers, if it has any.
        observation: of the round.
        answer: in the feed's decimals.

    Raises:
        RecipeError: no signers were chosen.
        AnswerOutOfBoundsError: the answer is out of the feed's bounds.
        FeedFormatError: a time does not fit the report.
    """
    seen = observation.observed_at
    report = FeedReport(feed.id, seen, seen + feed.spec.max_age, feed.spec.require_bounds(answer))
    number = round_of(seen, feed.spec.tick)
    return FeedPayload(feed.config_digest, number, report, (), observation.source_digest, observation.inputs)


def attest(feed: FeedFile, payload: FeedPayload, signers: Iterable[HashSigner]) -> FeedPayload:
    """The payload with signatures, in the order of the feed's signers; those that it has already are kept.

    Args:
        feed: with its signers.
        payload: of a round, with or without signatures.
        signers: accounts that sign it now.

    Raises:
        OracleError: an account is not a signer of the feed, or the feed has none.
    """
    if feed.config is None:
        raise OracleError("The feed has no signers.", "Choose them: zkinfer oracle create --signers")
    digest = payload.signing_hash
    found = {recover(digest, one): one for one in (*payload.signatures, *(sign(digest, one) for one in signers))}
    if strangers := sorted(set(found) - set(feed.config.signers)):
        raise OracleError(
            f"{strangers[0]} is not a signer of the feed.", f"Its signers are {', '.join(feed.config.signers)}."
        )
    return replace(payload, signatures=tuple(found[one] for one in feed.config.signers if one in found))


def prove(
    spec: FeedSpec, circuit: Circuit, prover: Prover, payload: FeedPayload, *, observer: Observer = NULL_OBSERVER
) -> FeedPayload:
    """The payload with the proof of its answer, which serves every chain.

    Args:
        spec: of the feed.
        circuit: the feed's.
        prover: makes the proof, and verifies it.
        payload: signed or not; signatures stay valid.
        observer: notified of each stage.

    Raises:
        InputError: the inputs are not the circuit's.
        RangeError: a value leaves the range of the circuit.
        CircuitError, SetupError, EngineError: as `Prover.prove`.
        OracleError: the proven answer differs from the payload's by more than the feed's tolerance.
    """
    context = context_of(payload)
    integers = integers_in(circuit, payload.inputs)
    attestation = prover.prove_integers(circuit, integers, context, observer=observer)
    stated = attestation.predicate.statement
    require_same_answer(spec, payload, stated.outputs)
    return replace(payload, outputs=stated.outputs, proof=attestation.proof)


def context_of(payload: FeedPayload) -> Context:
    """The context that the proof of a round must be made for; it names no chain."""
    return Context.model_validate({"requestId": payload.request_id})


def require_same_answer(spec: FeedSpec, payload: FeedPayload, outputs: tuple[int, ...]) -> None:
    """Return if outputs give the payload's answer within the feed's tolerance; raise OracleError if not."""
    proven, signed = spec.answer(outputs), payload.report.answer
    if abs(proven - signed) > spec.tolerance:
        raise OracleError(
            f"The circuit answers {proven}, and the report says {signed}; the feed's tolerance is {spec.tolerance}.",
            "The report was not made by this circuit.",
        )
