"""Reading the tensors that an attestation claims, without having checked anything: for display only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.statement import split
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
        MalformedAttestationError: the statement does not fit the tensors that are claimed.
    """
    statement, layout = predicate.statement, predicate.layout
    if role == "input" and layout.visibility != "public":
        return {}
    specs = predicate.inputs if role == "input" else predicate.outputs
    try:
        integers = layout.unpack(statement.inputs) if role == "input" else statement.outputs
        tensors = split(integers, specs)
        return {spec.name: dequantise(tensors[spec.name], spec) for spec in specs}
    except InputError as err:
        raise MalformedAttestationError(f"The statement does not fit the tensors. {err.cause}") from err
