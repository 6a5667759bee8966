"""The check that makes an attestation worth handing over: it holds, and is about what was asked and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.data import conform
from zkinfer.circuits.errors import DataError
from zkinfer.client.errors import UnprovenAnswerError
from zkinfer.verifier import AllOf, Attestation, ContextIs, InputMismatchError, PolicyRefusedError

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
    claim = Attestation.from_bytes(data)
    expected = None if unsafe_skip_inputs else _in_the_shapes_claimed(asked.inputs, claim)
    inference = verifier.verify(data, AllOf(policy, purpose), expected_inputs=expected)
    if inference.context != context:
        raise PolicyRefusedError("The proof was made for another request than the one that was sent.")
    _same_outputs(claim, inference.outputs, asked.outputs)
    return inference


def _in_the_shapes_claimed(inputs: Arrays, claim: Attestation) -> Arrays:
    """Servers take a flat array, or one without a leading 1; the verifier compares exact shapes, and checks them."""
    specs = {spec.name: spec for spec in claim.predicate.inputs}
    try:
        return {name: conform(array, specs[name]) if name in specs else array for name, array in inputs.items()}
    except DataError as err:
        raise InputMismatchError(f"The proof is about other inputs than those that were sent. {err.cause}") from err


def _same_outputs(claim: Attestation, proven: Arrays, answered: Arrays) -> None:
    dtypes = {spec.name: spec.dtype for spec in claim.predicate.outputs}  # compared with the circuit in step 4
    given = {name: array.dtype.name for name, array in answered.items()}
    if given != dtypes:
        raise UnprovenAnswerError("The proof is about other outputs than those that were answered.")
    for name, array in answered.items():
        with np.errstate(over="ignore"):
            wanted = proven[name].astype(array.dtype)
        if not np.array_equal(wanted, array):
            raise UnprovenAnswerError(
                f"The proof is about another value of the output {name!r} than the one that was answered.",
                "Do not rely on the answer.",
            )
