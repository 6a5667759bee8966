"""Post proven answers: match attestations to requests, record them in batches, report the outcome of each.

Posting is idempotent: an answer that is already on record is not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zkinfer.chain.requests import require_answer
from zkinfer.circuits.errors import InputError
from zkinfer.contracts.errors import RevertedError, TransactionFailedError
from zkinfer.contracts.ledger import SETTLED
from zkinfer.verifier import CircuitMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zkinfer.chain.deployment import Deployed
    from zkinfer.chain.requests import Answer, PlacedRequest
    from zkinfer.contracts.ledger import Ended, Entry, State
    from zkinfer.verifier import Attestation


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ledger's entry of one request after posting.

    Args:
        request: the request's id.
        before: the state before posting.
        entry: the ledger's entry after posting.
        ended: why the ledger accepts no answer any more; None if it still does.
    """

    request: str
    before: State
    entry: Entry
    ended: Ended | None

    @property
    def settled(self) -> bool:
        """Whether the answer is recorded, or its prover was paid because the model was revoked in the meantime."""
        return self.entry.state in SETTLED

    @property
    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "request": self.request,
            "state": self.entry.state,
            "recordedAt": self.entry.recorded_at,
            "outputDigest": self.entry.output_digest,
            "recordedBefore": self.before == "recorded",
        }


@dataclass(frozen=True, slots=True)
class Posting:
    """The outcomes of one call of `post_answers`.

    Args:
        outcomes: one for each answer, in order.
        rejected: the first rejection by the contract; the other batches were sent anyway.
    """

    outcomes: tuple[Outcome, ...]
    rejected: RevertedError | None = None

    def require_all(self) -> None:
        """Return if every answer is on record or can still be recorded.

        Raises:
            RevertedError: the contract rejected a batch; the first of them.
            TransactionFailedError: requests were refunded or have expired; names them.
        """
        if self.rejected is not None:
            raise self.rejected
        late = [f"{one.request} ({one.ended})" for one in self.outcomes if one.ended not in (None, *SETTLED)]
        if late:
            raise TransactionFailedError(
                f"No answer is accepted any more for {', '.join(late)}. All other answers were posted.",
                "Make a new request if you still need an answer.",
            )


def match_answers(
    deployed: Deployed, attestations: Iterable[Attestation], requests: Iterable[PlacedRequest]
) -> dict[str, Answer]:
    """Pair each attestation with its request and check that it answers it; the proof is not checked.

    Returns:
        The answers to post, by request id, in the order of the attestations.

    Raises:
        InputError: an attestation without its request, or a request without an attestation.
        CircuitMismatchError: the attestation is of another model than the request.
        RefusedError: as `require_answer`.
    """
    left = {one.id: one for one in requests}
    answers: dict[str, Answer] = {}
    for attestation in attestations:
        request_id = attestation.predicate.context.request_id
        placed = left.pop(request_id, None)
        if placed is None:
            raise InputError(
                f"An attestation answers the request {request_id}, which is not given or was answered already.",
                "Give the file of each request with --request, once.",
            )
        require_model(deployed, attestation, placed)
        answers[request_id] = require_answer(attestation, placed.request, placed.chain_id, placed.ledger)
    if left:
        raise InputError(f"No attestation answers the request {next(iter(left))}.", "Give one for each --request.")
    return answers


def require_model(deployed: Deployed, attestation: Attestation, placed: PlacedRequest) -> None:
    """Return if an attestation is of the requested model; raises CircuitMismatchError if not."""
    registered = deployed.registry.model_id(placed.request.listing)
    claimed = attestation.predicate.circuit.identity.model_id
    if registered != claimed:
        raise CircuitMismatchError(
            f"The request is for the model {registered}; the attestation is of the model {claimed}.",
            "Prove with the circuit of the requested model.",
        )


def post_answers(deployed: Deployed, answers: Mapping[str, Answer]) -> Posting:
    """Record answers, as many in one transaction as fit. A rejected batch does not keep the others from being sent.

    Args:
        deployed: where to post; its chain must have a signer.
        answers: by request id, see `match_answers`.

    Raises:
        ChainError: the node or the signer failed. Rejections by the contract are returned in the `Posting`.
    """
    ledger = deployed.ledger
    before = {name: ledger.entry(name).state for name in answers}
    rejected = _record(deployed, list(answers.values()))
    outcomes = tuple(
        Outcome(name, before[name], ledger.entry(name), ledger.ended(answer.request))
        for name, answer in answers.items()
    )
    return Posting(outcomes, rejected)


def _record(deployed: Deployed, answers: Sequence[Answer]) -> RevertedError | None:
    ledger, rejected = deployed.ledger, None
    left = [one.posted for one in answers if ledger.ended(one.request) is None]
    for batch in ledger.in_batches(left) if len(left) > 1 else [[one] for one in left]:
        try:
            if len(batch) == 1:
                ledger.record(*batch[0])
            else:
                ledger.record_batch(batch)
        except RevertedError as err:
            rejected = rejected or err
    return rejected
