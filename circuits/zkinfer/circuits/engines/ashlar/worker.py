"""The functions that child processes run for the engine: each takes and returns JSON values.

They read untrusted networks and files, or call the native core, so none of them runs in the caller's process.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.engines.ashlar import core, speed
from zkinfer.circuits.engines.ashlar.assembly import Assembly, assemble
from zkinfer.circuits.engines.ashlar.cost import estimate
from zkinfer.circuits.engines.ashlar.files import (
    KEY,
    NETWORK,
    PROGRAM,
    WEIGHTS,
    read_code,
    read_key,
    read_weights,
    write_estimate,
)
from zkinfer.circuits.engines.ashlar.key import chunk_bits, commit_weights, input_limits
from zkinfer.circuits.engines.ashlar.key import make_key as joined_key
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.recipe import MIN_CHUNK_BITS, AshlarRecipe
from zkinfer.circuits.engines.ashlar.tune import chunks
from zkinfer.circuits.engines.ashlar.tune.limits import SearchLimits
from zkinfer.circuits.engines.ashlar.tune.search import Search, Trial, cheapest, search
from zkinfer.circuits.engines.base import Option, Program, Tuned
from zkinfer.circuits.engines.messages import pack_result, unpack_request
from zkinfer.circuits.errors import BudgetError, RangeError, UnsupportedModelError
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.srs.file_format import read_outline
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.tensors import Visibility

INTEGER_LIMIT = 1 << 60


def build(
    network: str,
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    run_arguments: dict[str, Any],
    folder: str,
) -> str:
    """Write the files of a program; returns the Program as JSON."""
    [entry], results = _specs(inputs), _specs(outputs)
    recipe = AshlarRecipe.parse(run_arguments)
    made = compiled(Path(network), recipe, entry.visibility)
    path = Path(folder)
    if path / NETWORK != Path(network):
        shutil.copyfile(network, path / NETWORK)
    (path / PROGRAM).write_bytes(made.code)
    (path / WEIGHTS).write_bytes(core.as_bytes(made.weights))
    write_estimate(path, estimate(made.shape))
    return program_of(made, recipe, entry, results).model_dump_json(by_alias=True)


def compiled(network: Path, recipe: AshlarRecipe, visibility: Visibility) -> Assembly:
    """The program of a network under a recipe."""
    planned = plan(onnx.load(network), listed=not isinstance(recipe.input.scale, int))
    return assemble(draft(planned, recipe), recipe, visibility)


def program_of(made: Assembly, recipe: AshlarRecipe, entry: TensorSpec, results: Sequence[TensorSpec]) -> Program:
    """The program as callers see it."""
    scaled = entry.model_copy(update={"scale": recipe.input.scale})
    outputs = tuple(spec.model_copy(update={"scale": scale}) for spec, scale in zip(results, made.scales, strict=True))
    return Program(
        inputs=(scaled,),
        outputs=outputs,
        layout=made.shape.layout,
        setup_size=recipe.chunk_bits,
        integer_limit=INTEGER_LIMIT,
        figures=made.figures,
    )


def survey(request: dict[str, Any]) -> dict[str, Any]:
    """The Work of the cheapest recipe that is not measured."""
    asked = unpack_request(request)
    return asdict(estimate(cheapest(_search(asked)).shape).work())


def tune(request: dict[str, Any]) -> dict[str, Any]:
    """See `tune.search`; `messages` defines the forms of request and answer."""
    asked = unpack_request(request)
    return pack_result(lambda: _tuned(asked))


def _tuned(asked: TuneRequest) -> Tuned:
    try:
        found, trials = search(_search(asked, SearchLimits.of(asked, child.report)))
    except BudgetError as err:
        raise BudgetError(err.cause, err.cure, tuple(_options(err.options, asked))) from err
    notes = chunks.note_of_larger(found.shape, asked.max_setup_size, asked.objective)
    return Tuned(found.recipe.to_run_arguments(), tuple(_options(trials, asked, chosen=trials[-1])), notes=notes)


def _options(trials: Sequence[Trial], asked: TuneRequest, *, chosen: Trial | None = None) -> Iterator[Option]:
    for trial in trials:
        if trial.fidelity is not None:
            cost = estimate(trial.shape).work().at(asked.speed)
            met = asked.budget.met_by(trial.fidelity)
            yield Option(trial.name, cost, trial.fidelity, within_budget=met, chosen=trial is chosen)


def _search(asked: TuneRequest, limits: SearchLimits | None = None) -> Search:
    [entry] = asked.inputs
    if asked.max_setup_size < MIN_CHUNK_BITS:
        raise UnsupportedModelError(
            f"Ashlar needs a trusted setup of 2^{MIN_CHUNK_BITS} or more; the largest available one has "
            f"2^{asked.max_setup_size}.",
            "Run `zkinfer setup fetch 15`.",
        )
    return Search(
        model=onnx.load(asked.network),
        outputs=asked.outputs,
        samples=asked.samples[entry.name],
        reference=asked.reference,
        budget=asked.budget,
        objective=asked.objective,
        chunk_bits=chunks.sizes(asked.max_setup_size),
        effort=asked.effort,
        labels=asked.labels,
        visibility=entry.visibility,
        limits=limits,
    )


def measure_speed(setup: str) -> dict[str, float]:
    """The Speed of this machine."""
    return asdict(speed.measure(Path(setup), child.report))


def do_nothing() -> None:
    """For the seconds that a child takes to start and to answer."""


def make_key(folder: str, setup: str) -> None:
    """Write the verifying key: with the core, or in Python where it is missing."""
    path, code, weights = Path(folder), read_code(Path(folder)), read_weights(Path(folder))
    if core.missing():
        key = _key_in_python(code, np.frombuffer(weights, dtype="<i8"), Path(setup))
    else:
        key = core.make_key(code, weights, Path(setup))
    (path / KEY).write_bytes(key)


def _key_in_python(code: bytes, weights: NDArray[np.int64], setup: Path) -> bytes:
    """The key without the core: some seconds for 60,000 weights."""
    with setup.open("rb") as file:
        tau_g2 = read_outline(file, setup.name).tau_g2
    return joined_key(code, commit_weights(weights, chunk_bits(code), setup), tau_g2)


def forward(folder: str, samples: list[list[int]], spec: dict[str, Any]) -> list[list[int]]:
    """The integers of all outputs for each sample; raises RangeError."""
    code = read_code(Path(folder))
    for sample in samples:
        _require_in_range(code, sample, spec)
    return core.Network(code, read_weights(Path(folder))).forward(samples)


def open_forward(folder: str, spec: dict[str, Any]) -> Callable[..., list[int]]:
    """The handler of a session: the outputs for one sample, or a RangeError."""
    code = read_code(Path(folder))
    network = core.Network(code, read_weights(Path(folder)))

    def answer(sample: list[int]) -> list[int]:
        _require_in_range(code, sample, spec)
        return network.forward([sample])[0]

    return answer


def prove(folder: str, setup: str, integers: list[int], context: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A statement and its proof, which the core has verified; raises RangeError."""
    path = Path(folder)
    _require_in_range(read_code(path), integers, spec)
    inputs, outputs, proof = core.prove(
        read_key(path), read_weights(path), integers, bytes.fromhex(context), Path(setup)
    )
    return {"inputs": inputs.hex(), "outputs": outputs, "proof": proof.hex()}


def commit_input(folder: str, setup: str, integers: list[int]) -> str:
    """The digest of a hashed input."""
    return core.commit_input(read_code(Path(folder)), integers, Path(setup)).hex()


def verify(folder: str, context: str, inputs: str, outputs: list[int], proof: str) -> None:
    """Raise ProofRejectedError unless the proof holds."""
    core.verify(read_key(Path(folder)), bytes.fromhex(context), bytes.fromhex(inputs), outputs, bytes.fromhex(proof))


def _require_in_range(code: bytes, integers: list[int], document: dict[str, Any]) -> None:
    """Raise RangeError for an integer that the input cannot hold, in the numbers of the input `document`."""
    low, high = input_limits(code)
    place = next((place for place, value in enumerate(integers) if not low <= value <= high), None)
    if place is not None:
        [spec] = _specs([document])
        found, least, most = (f"{spec.number(value, place):.6g}" for value in (integers[place], low, high))
        raise RangeError(
            f"The input {spec.name!r} holds {found} at element {place}; this circuit takes {least} to {most} there.",
            "Check the input's values, or compile with calibration samples that cover them.",
        )


def _specs(documents: list[dict[str, Any]]) -> list[TensorSpec]:
    return [TensorSpec.model_validate(one, strict=False) for one in documents]
