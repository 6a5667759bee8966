"""What a proof must be about before it is used: an engine's answer is data from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits import field
from zkinfer.circuits.errors import EngineError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.circuits.context import Context
    from zkinfer.circuits.engines.base import Engine, Program, Proof


def require_statement(
    proof: Proof,
    *,
    engine: Engine,
    program: Program,
    proof_bytes: int,
    inputs: Sequence[Sequence[int]],
    context: Context,
) -> None:
    """Raise EngineError unless the proof speaks about these inputs and this context, and about possible outputs.

    Args:
        proof: what the engine gave.
        engine: computes the digests of hashed inputs.
        program: says which public value means what.
        proof_bytes: the exact length of a proof of this circuit.
        inputs: the integers of every input, in the program's order.
        context: the request.
    """
    if len(proof.instances) != program.instance_count:
        raise EngineError("The engine proved another number of public values than the program has.")
    if len(proof.data) != proof_bytes:
        raise EngineError(f"A proof has {len(proof.data)} bytes where the keys say {proof_bytes}.")
    given: dict[str, Sequence[int]] = {spec.name: tensor for spec, tensor in zip(program.inputs, inputs, strict=True)}
    for slot in program.slots:
        found = proof.instances[slot.start : slot.start + slot.count]
        if slot.role == "output":
            _require_possible(found, program.integer_limit)
            continue
        values = given[slot.name] if slot.role == "input" else context.limbs
        wanted = [engine.commit(values)] if slot.hashed else [field.encode(value) for value in values]
        if list(found) != wanted:
            raise EngineError("The engine proved other public values than it was given.")


def _require_possible(elements: Sequence[int], limit: int) -> None:
    try:
        possible = all(abs(field.decode(element)) < limit for element in elements)
    except InputError as err:
        raise EngineError(f"The engine proved an impossible output. {err.cause}") from err
    if not possible:
        raise EngineError("The engine proved an output beyond the range of the circuit.")
