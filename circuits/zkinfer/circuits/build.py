"""Build a program and its verifying key from an ONNX file and a recipe: the path that provers and auditors share."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import sha256, sha256_file
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.engines.proof_checks import require_statement
from zkinfer.circuits.errors import (
    OUT_OF_RANGE,
    CircuitError,
    EngineError,
    JsonError,
    ModelError,
    RangeError,
    UnsupportedModelError,
)
from zkinfer.circuits.fidelity import measure
from zkinfer.circuits.frontend import NORMALISER, model_digest
from zkinfer.circuits.recipe import CircuitIdentity, Recipe, SetupIdentity, Sha256
from zkinfer.circuits.statement import Context
from zkinfer.circuits.storage import ensure_private_dir, refuse_shared, refuse_shared_file, staged_folder
from zkinfer.circuits.tensors import quantise_batch, quantise_sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Keys, RunArguments
    from zkinfer.circuits.fidelity import Fidelity
    from zkinfer.circuits.frontend import ModelSummary
    from zkinfer.circuits.samples import Samples
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.tensors import Visibility


MAX_PROGRAM_BYTES = 1 << 22
_RECORD = "rebuilt.json"


@dataclass(frozen=True, slots=True)
class Assembly:
    """A program with its keys; `folder` holds the engine's files and `network.onnx`."""

    folder: Path
    recipe: Recipe
    identity: CircuitIdentity
    program: Program
    keys: Keys


def assemble(
    model: Path,
    folder: Path,
    *,
    engine: Engine,
    run_arguments: RunArguments,
    setup: TrustedSetup,
    dimensions: Mapping[str, int],
    input_visibility: Visibility = "public",
    proving_key: Path | None = None,
) -> Assembly:
    """Normalise the model, build its program and generate its keys in `folder`.

    Args:
        model: the owner's ONNX file; read only in a limited child.
        folder: an existing empty folder for the results.
        engine: the proving system.
        run_arguments: the engine's settings; checked by the engine.
        setup: a trusted setup at least as large as the program.
        dimensions: sizes of symbolic dimensions, by name; only `effective_dimensions`, since a circuit has one recipe.
        input_visibility: what a proof reveals about the inputs.
        proving_key: where to write the proving key; None to generate only the verifying key.

    Raises:
        ModelError: the model cannot be used, or a dimension has the given size anyway.
        EngineError: the engine failed, lesser run arguments give the same program, or the setup is too small for it.
    """
    engine.check_run_arguments(run_arguments)
    network = folder / "network.onnx"
    normal = engine.lower(model, network, dimensions=dimensions, input_visibility=input_visibility)
    _refuse_idle_dimensions(normal.summary, dimensions)
    program = engine.build(network, normal.inputs, normal.outputs, run_arguments, folder)
    if program.setup_size > setup.k:
        raise EngineError(f"The program needs a trusted setup of size {program.setup_size}; this one has {setup.k}.")
    keys = engine.make_keys(folder, setup.path, proving_key)
    recipe = Recipe(
        engine=engine.id,
        normaliser=NORMALISER,
        input_visibility=input_visibility,
        dimensions=dict(dimensions),
        run_arguments=run_arguments,
        setup=SetupIdentity(**setup.identity),
    )
    identity = CircuitIdentity(
        model=str(normal.summary.sha256), network=str(normal.sha256), verifying_key=str(keys.verifying_key_digest)
    )
    return Assembly(folder, recipe, identity, program, keys)


def effective_dimensions(summary: ModelSummary, dimensions: Mapping[str, int]) -> dict[str, int]:
    """The given sizes without those that have no effect: a symbolic first dimension is 1 anyway."""
    beyond_first = {size for port in summary.inputs for size in port.shape[1:]}
    return {name: size for name, size in dimensions.items() if size != 1 or name in beyond_first}


def _refuse_idle_dimensions(summary: ModelSummary, dimensions: Mapping[str, int]) -> None:
    if idle := sorted(set(dimensions) - set(effective_dimensions(summary, dimensions))):
        raise UnsupportedModelError(
            f"The recipe sets dimension {idle[0][:80]!r} to 1, which it is anyway; a circuit has one recipe.",
            "Compile the model again, or ask for the recipe without it.",
        )


def assemble_from_recipe(
    model: Path,
    folder: Path,
    recipe: Recipe,
    *,
    engine: Engine,
    setup: TrustedSetup,
    proving_key: Path | None = None,
) -> Assembly:
    """Call `assemble` with the settings of a recipe; the caller compares the result with the claimed identity."""
    return assemble(
        model,
        folder,
        engine=engine,
        run_arguments=recipe.run_arguments,
        setup=setup,
        dimensions=recipe.dimensions,
        input_visibility=recipe.input_visibility,
        proving_key=proving_key,
    )


def evaluate_circuit(
    engine: Engine, folder: Path, program: Program, arguments: RunArguments, held_out: Samples
) -> tuple[Fidelity, float]:
    """Measure fidelity and headroom on the held-out samples.

    Raises:
        RangeError: a held-out sample leaves the range of the circuit.
    """
    batch = quantise_batch(held_out.inputs, program.inputs)
    try:
        answers = engine.forward(folder, program, batch)
        headroom = engine.headroom(folder, arguments, batch)
    except RangeError as err:
        cause = "A held-out sample leaves the range that the calibration samples span."
        raise RangeError(
            cause if err.cause == OUT_OF_RANGE[0] else f"{cause} {err.cause}",
            "Give more calibration samples, in random order and representative of the model's real inputs.",
        ) from err
    sizes = [spec.size for spec in program.outputs]
    if len(answers) != len(batch) or any([len(tensor) for tensor in sample] != sizes for sample in answers):
        raise EngineError("The number or size of the engine's answers does not match the samples.")
    outputs = program.outputs
    return measure(outputs, answers, held_out.outputs, labels=held_out.labels, indices=held_out.indices), headroom


def prove_once(engine: Engine, assembly: Assembly, setup: TrustedSetup, key: Path | None, held_out: Samples) -> None:
    """Prove and verify one held-out sample, so that no circuit is published before a proof of it was accepted."""
    inputs = quantise_sample(held_out.sample(0), assembly.program.inputs)
    context = Context.offline()
    proof = engine.prove(assembly.folder, assembly.program, setup.path, key, inputs, context.hash)
    require_statement(
        proof,
        engine=engine,
        folder=assembly.folder,
        program=assembly.program,
        setup=setup.path,
        proof_bytes=assembly.keys.proof_bytes,
        inputs=inputs,
        context=context,
    )
    engine.verify(assembly.folder, assembly.program, setup.path, proof)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An auditor's rebuild from an ONNX file and a recipe; `folder` holds the engine's files for verification."""

    folder: Path
    identity: CircuitIdentity
    program: Program
    proof_bytes: int


def rebuild(model: Path, recipe: Recipe, *, engine: Engine, setup: TrustedSetup, cache: Path) -> Rebuilt:
    """Regenerate the verifying key, or read it from the cache if the same rebuild was done before.

    Nothing in the recipe is trusted: its settings are applied to the caller's own ONNX file and trusted setup. The
    caller compares the result with the claimed identity.

    Args:
        model: the auditor's own copy of the ONNX file.
        recipe: as published in a manifest or attestation.
        engine: the engine that the recipe names.
        setup: the auditor's own copy of the trusted setup that the recipe names.
        cache: a directory of this user; entries are named by a digest of model and recipe, and checked when read.

    Raises:
        UnsupportedModelError: the recipe was made by a normaliser that this version does not have.
        ModelError, EngineError: as `assemble`.
        CircuitError: the cache entry is damaged.
        InputError: other users can write to the cache or to a file of the entry.
    """
    if recipe.normaliser != NORMALISER:
        raise UnsupportedModelError(
            f"The recipe names the normaliser {recipe.normaliser}; this version has {NORMALISER}.",
            "Verify with the version of zkinfer that made it, or ask for a new attestation.",
        )
    digest = str(model_digest(model))
    key = {"model": digest, "recipe": recipe.model_dump(mode="json", by_alias=True)}
    entry = ensure_private_dir(cache) / sha256(canonical.dump(key)).hex
    if not entry.exists():
        _fill(entry, model, digest, recipe, engine=engine, setup=setup)
    return _read(entry)


def _fill(entry: Path, model: Path, digest: str, recipe: Recipe, *, engine: Engine, setup: TrustedSetup) -> None:
    with staged_folder(entry, exist_ok=True) as staging:
        assembly = assemble_from_recipe(model, staging, recipe, engine=engine, setup=setup)
        if assembly.identity.model != digest:
            raise ModelError(f"{model} changed while it was read.", "Stop other writers and verify again.")
        record = _Record(
            files={path.name: str(sha256_file(path)) for path in sorted(staging.iterdir())},
            identity=assembly.identity,
            program=assembly.program,
            proof_bytes=assembly.keys.proof_bytes,
        )
        (staging / _RECORD).write_bytes(canonical.dump(record.model_dump(mode="json", by_alias=True)))


class _Record(BaseModel):
    """The description of a cache entry: the digests of its files, and the result of the rebuild."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    files: dict[str, Sha256]
    identity: CircuitIdentity
    program: Program
    proof_bytes: int


def _read(entry: Path) -> Rebuilt:
    cure = f"Remove {entry} and verify again."
    refuse_shared(entry)
    refuse_shared_file(entry / _RECORD)
    try:
        data = (entry / _RECORD).read_bytes()
        canonical.load_canonical(data, max_bytes=MAX_PROGRAM_BYTES, what="cache entry")
        record = _Record.model_validate_json(data)
        _refuse_unlisted(entry, record)
        changed = [name for name, digest in record.files.items() if str(sha256_file(entry / name)) != digest]
    except (OSError, JsonError, ValidationError) as err:
        raise CircuitError(f"The cache entry {entry} is damaged or from a different version.", cure) from err
    if changed:
        raise CircuitError(f"The cached file {entry / changed[0]} was changed.", cure)
    with suppress(OSError):
        os.utime(entry)  # a cache cleanup by age keeps recently used entries
    return Rebuilt(entry, record.identity, record.program, record.proof_bytes)


def _refuse_unlisted(entry: Path, record: _Record) -> None:
    """An engine may read any file of its folder, so a file that the record does not cover could change a verdict."""
    found = {path.name for path in entry.iterdir()} - {_RECORD}
    if unlisted := sorted(found - set(record.files)):
        raise CircuitError(f"The cache entry {entry} has an unlisted file {unlisted[0]!r:.120}.", f"Remove {entry}.")
    for name in found:
        refuse_shared_file(entry / name)
