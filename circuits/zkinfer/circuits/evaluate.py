"""Evaluate a finished program: its fidelity on held-out samples, and one proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.engines.proof_checks import require_statement
from zkinfer.circuits.errors import EngineError, RangeError
from zkinfer.circuits.fidelity import measure
from zkinfer.circuits.statement import Context
from zkinfer.circuits.tensors import quantise_batch, quantise_sample

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.build import Assembly
    from zkinfer.circuits.engines.base import Engine, Program, RunArguments
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.samples import Samples
    from zkinfer.circuits.srs import TrustedSetup


def evaluate_circuit(
    engine: Engine, folder: Path, program: Program, arguments: RunArguments, held_out: Samples
) -> tuple[Fidelity, float]:
    """Fidelity and headroom on the held-out samples."""
    batch = quantise_batch(held_out.inputs, program.inputs)
    try:
        answers = engine.forward(folder, program, batch)
        headroom = engine.headroom(folder, arguments, batch)
    except RangeError as err:
        raise RangeError(
            "A held-out sample leaves the range that the calibration samples need.",
            "Give more calibration samples, in random order and of the model's real kind.",
        ) from err
    sizes = [spec.size for spec in program.outputs]
    if len(answers) != len(batch) or any([len(tensor) for tensor in sample] != sizes for sample in answers):
        raise EngineError("The engine's answers are of another number or size than the samples call for.")
    outputs = program.outputs
    return measure(outputs, answers, held_out.outputs, labels=held_out.labels, indices=held_out.indices), headroom


def prove_once(engine: Engine, made: Assembly, setup: TrustedSetup, key: Path | None, held_out: Samples) -> None:
    """A circuit is published only after a proof of it has held."""
    inputs = quantise_sample(held_out.one(0), made.program.inputs)
    context = Context.offline()
    proof = engine.prove(made.folder, made.program, setup.path, key, inputs, context.hash)
    require_statement(
        proof,
        engine=engine,
        folder=made.folder,
        program=made.program,
        setup=setup.path,
        proof_bytes=made.keys.proof_bytes,
        inputs=inputs,
        context=context,
    )
    engine.verify(made.folder, made.program, setup.path, proof)
