"""The check that makes an attestation worth handing over: it holds, and is about what was asked and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.client.errors import AnswerMismatchError
from zkinfer.verifier import AllOf, Attestation, ContextIs, PolicyRefusedError

if TYPE_CHECKING:
    from zkinfer.client.values import Arrays, Asked
    from zkinfer.verifier import Policy, VerifiedInference, Verifier


def verified(
    data: bytes, asked: Asked, verifier: Verifier, policy: Policy, *, unsafe_skip_inputs: bool
) -> VerifiedInference:
    """Verify an attestation offline and compare it with the request and the answer.

    1. everything that `Verifier.verify` checks, under the caller's policy
    2. the context is the one that was asked for, in all five fields
    3. the inputs are the ones that were sent, unless the caller skips that, as with a circuit that keeps them private
    4. the outputs are the ones that were answered, in the model's own datatypes

    Raises:
        RefusedError: one of these does not hold.
        ZkinferError: there is no verdict; see `Verifier.verify`.
    """
    context = asked.context
    purpose = ContextIs(
        chain_id=context.chain_id,
        consumer=context.consumer,
        request_id=context.request_id,
        requester=context.requester,
    )
    expected = None if unsafe_skip_inputs else asked.inputs
    inference = verifier.verify(data, AllOf(policy, purpose), expected_inputs=expected)
    if inference.context != context:
        raise PolicyRefusedError("The proof was made for another request than the one that was sent.")
    _same_outputs(Attestation.from_bytes(data), inference.outputs, asked.outputs)
    return inference


def _same_outputs(claim: Attestation, proven: Arrays, answered: Arrays) -> None:
    dtypes = {spec.name: spec.dtype for spec in claim.predicate.outputs}  # compared with the circuit in step 4
    given = {name: array.dtype.name for name, array in answered.items()}
    if given != dtypes:
        raise AnswerMismatchError("The proof is about other outputs than those that were answered.")
    for name, array in answered.items():
        with np.errstate(over="ignore"):
            wanted = proven[name].astype(array.dtype)
        if not np.array_equal(wanted, array):
            raise AnswerMismatchError(
                f"The proof is about another value of the output {name!r} than the one that was answered.",
                "Do not rely on the answer.",
            )
