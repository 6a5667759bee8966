"""Checks that a proof is about the request before it is used: an engine's answer is untrusted data."""

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
        proof: the engine's answer.
        engine: computes the digests of hashed inputs.
        folder: the folder of the program.
        program: its layout describes how the statement is encoded.
        setup: the trusted setup under which the proof was made.
        proof_bytes: the exact length of a proof of this circuit.
        inputs: one list of integers per input, in the program's order.
        context: the context of the request.
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
    """These inputs as a statement encodes them: packed, as digests, or not at all.

    Raises:
        InputError: a public integer is out of the layout's range.
        EngineError: the engine cannot hash an input.
    """
    layout = program.layout
    if layout.visibility == "public":
        return layout.pack(value for tensor in inputs for value in tensor)
    if layout.visibility == "private":
        return b""
    return b"".join(engine.commit(folder, program, setup, index, tensor) for index, tensor in enumerate(inputs))
