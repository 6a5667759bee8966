"""Reading the tensors that an attestation claims, without having checked anything: for display only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zkinfer.circuits import field
from zkinfer.circuits.engines.base import slots_in_order
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.tensors import dequantise
from zkinfer.verifier.errors import MalformedAttestationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.verifier.statement import Predicate


def claimed_tensors(predicate: Predicate, role: Literal["input", "output"]) -> dict[str, NDArray[np.generic]]:
    """The claimed inputs or outputs by name, in the model's own units; hashed and private ones are left out.

    Nothing here is verified: use `Verifier.verify` to rely on a value.

    Raises:
        MalformedAttestationError: the public values do not fit the tensors that are claimed.
    """
    specs = {spec.name: spec for spec in (predicate.inputs if role == "input" else predicate.outputs)}
    slots = slots_in_order(predicate.inputs, predicate.outputs)
    if len(predicate.instances) != sum(slot.count for slot in slots):
        raise MalformedAttestationError("The attestation's public values do not fit the tensors that it names.")
    try:
        return {
            slot.name: dequantise(
                [
                    field.decode(field.from_word(word))
                    for word in predicate.instances[slot.start : slot.start + slot.count]
                ],
                specs[slot.name],
            )
            for slot in slots
            if slot.role == role and not slot.hashed
        }
    except InputError as err:
        raise MalformedAttestationError(f"A public value is no circuit integer. {err.cause}") from err
