"""What a proof must be about before it is used: an engine's answer is data from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Program, Proof
    from zkinfer.circuits.statement import Context


def require_statement(
    proof: Proof,
    *,
    engine: Engine,
    folder: Path,
    program: Program,
    setup: Path,
    proof_bytes: int,
    inputs: Sequence[Sequence[int]],
    context: Context,
) -> None:
    """Raise EngineError unless the proof is about these inputs and this context, and about possible outputs.

    Args:
        proof: what the engine gave.
        engine: computes the digests of hashed inputs.
        folder: of the program.
        program: its layout says how the statement is written.
        setup: the trusted setup that the proof was made with.
        proof_bytes: the exact length of a proof of this circuit.
        inputs: the integers of every input, in the program's order.
        context: the request.
    """
    statement = proof.statement
    if len(proof.data) != proof_bytes:
        raise EngineError(f"A proof has {len(proof.data)} bytes where the keys say {proof_bytes}.")
    if statement.context != context.hash:
        raise EngineError("The engine proved another context than it was given.")
    if statement.inputs != stated_inputs(engine, folder, program, setup, inputs):
        raise EngineError("The engine proved other inputs than it was given.")
    if len(statement.outputs) != program.layout.outputs:
        raise EngineError("The engine proved another number of outputs than the program has.")
    if any(abs(value) >= program.integer_limit for value in statement.outputs):
        raise EngineError("The engine proved an output beyond the range of the circuit.")


def stated_inputs(
    engine: Engine, folder: Path, program: Program, setup: Path, inputs: Sequence[Sequence[int]]
) -> bytes:
    """How a statement writes these inputs: packed, as digests, or not at all.

    Raises:
        InputError: a public integer lies outside of the layout.
        EngineError: the engine cannot hash an input.
    """
    layout = program.layout
    if layout.visibility == "public":
        return layout.pack(value for tensor in inputs for value in tensor)
    if layout.visibility == "private":
        return b""
    return b"".join(engine.commit(folder, program, setup, place, tensor) for place, tensor in enumerate(inputs))
