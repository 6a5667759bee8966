"""The child's side of `client`: one function per call.

`zkinfer.circuits.sandbox.child.run` calls each function in a separate process, with JSON arguments and a JSON answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, SETTINGS, VK, VKA, index_check, read_settings, read_vka
from zkinfer.circuits.engines.ezkl.bindings import answer_in, witness_of
from zkinfer.circuits.engines.ezkl.client import EzklProcess
from zkinfer.circuits.engines.ezkl.tune import search
from zkinfer.circuits.engines.messages import pack_result, unpack_request, write_best
from zkinfer.circuits.errors import EngineError, ProofRejectedError, RangeError, UnsupportedModelError
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from zkinfer.circuits.engines.base import Tuned
    from zkinfer.circuits.engines.ezkl.bindings import Answer


def tune(request: dict[str, Any], best: str) -> dict[str, Any]:
    """See `tune.search.tune`; `messages` defines the forms of request and answer, and of the best so far."""

    def save(tuned: Tuned) -> None:
        write_best(tuned, Path(best))

    process = _InProcess(child.Limits())
    return pack_result(lambda: search.tune(process, unpack_request(request), child.report, save))


class _InProcess(EzklProcess):
    """The same calls without another child: this process is already one, with limits."""

    def call(self, name: str, progress: object = None, /, **arguments: Any) -> Any:  # noqa: ANN401, ARG002 - JSON
        return globals()[name](**arguments)


def settings_of(network: str, options: list[dict[str, Any]], folder: str) -> list[dict[str, Any] | None]:
    """The engine's settings for each of several run arguments; None if it has none."""
    return [bindings.settings_or_none(network, arguments, Path(folder, SETTINGS)) for arguments in options]


def sound_settings(network: str, options: list[dict[str, Any]], folder: str) -> list[dict[str, Any] | None]:
    """The same, with None also if values could wrap around the field."""
    return [
        bindings.settings_or_none(network, arguments, Path(folder, SETTINGS)) if _is_sound(network, arguments) else None
        for arguments in options
    ]


def build(network: str, arguments: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write the settings of a program, and return them."""
    _refuse_overflow(network, arguments)
    return bindings.write_settings(network, arguments, Path(folder, SETTINGS))


def least(network: str, arguments: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The least arguments that give the same program, see `EzklArguments.lesser`; `settings` are those of any.

    The context is left out of the comparison: its scale has no effect, but the engine notes it.
    """
    from zkinfer.circuits.engines.ezkl.run_args import EzklArguments  # noqa: PLC0415 - proving starts without it

    found = EzklArguments.parse(arguments)
    plain, whole_inputs = _without_context(Path(network))
    with bindings.in_memory(plain) as path:

        def program(under: EzklArguments) -> bytes:
            run_args = settings["run_args"] | {name: getattr(under, name) for name in _SCALES}
            return bindings.program_part(Path(path), settings | {"run_args": run_args})

        wanted = program(found)
        while True:
            same = (one for one in found.lesser(whole_inputs=whole_inputs) if program(one) == wanted)
            less = next(same, None)
            if less is None:
                return found.to_run_arguments()
            found = less


_SCALES = ("scale_rebase_multiplier", "input_scale", "param_scale")


def _without_context(network: Path) -> tuple[bytes, bool]:
    """The network without the context, and whether all of its inputs are integers."""
    import onnx  # noqa: PLC0415 - proving starts without it

    from zkinfer.circuits.frontend.graph import FLOATS, replace_all  # noqa: PLC0415
    from zkinfer.circuits.frontend.summary import CONTEXT_INPUT, CONTEXT_OUTPUT  # noqa: PLC0415

    model = onnx.load(network)
    graph = model.graph
    replace_all(graph.input, [port for port in graph.input if port.name != CONTEXT_INPUT])
    replace_all(graph.output, [port for port in graph.output if port.name != CONTEXT_OUTPUT])
    replace_all(graph.node, [node for node in graph.node if CONTEXT_INPUT not in node.input])
    data: bytes = model.SerializeToString()
    return data, not any(port.type.tensor_type.elem_type in FLOATS for port in graph.input)


def widest_lookup(network: str, scales: list[int], batch: list[list[list[int]]]) -> dict[str, Any] | None:
    """The node whose function has the widest arguments for these samples, by the float model; None if none is known.

    Args:
        network: the ONNX file.
        scales: of the inputs, by which the integers of the samples are divided.
        batch: the quantised inputs of at least one sample.

    Returns:
        The `node` by its first result, its `operator`, the `output` of the model that it leads to, and the `low` and
        `high` end of its arguments.
    """
    from zkinfer.circuits.engines.ezkl.tune.narrow import arguments_of_functions  # noqa: PLC0415

    found = arguments_of_functions(Path(network), scales, batch)
    return max(found, key=lambda one: max(abs(one["low"]), abs(one["high"])), default=None)


def try_out(
    network: str,
    arguments: dict[str, Any],
    batch: list[list[list[int]]],
    outputs_wanted: int,
    likely_bits: int,
    folder: str,
) -> dict[str, Any]:
    """Settings, the answers of `forward` and the bits of `bits_needed`, under arguments that are not used for proofs.

    The decomposition does not affect the answers, so one pass over the samples gives both.
    """
    from zkinfer.circuits.engines.ezkl.departures import lost_constants as lost  # noqa: PLC0415
    from zkinfer.circuits.engines.ezkl.tune.narrow import minimum_bits  # noqa: PLC0415 - proving starts without it

    path = Path(folder, SETTINGS)
    settings = bindings.write_settings(network, arguments, path)
    bits, answers = minimum_bits(Path(network), arguments, batch, outputs_wanted, likely_bits, path)
    missing = sorted(one.missing_bits for one in lost(Path(network), path).values())
    return _joined(answers) | {"settings": settings, "bits": bits, "missing_bits": missing}


def _is_sound(network: str, arguments: dict[str, Any]) -> bool:
    return not why_unsound(network, arguments, {})


def why_unsound(network: str, arguments: dict[str, Any], names: dict[str, str]) -> list[str]:
    """Why values could wrap around the field, and the cure, empty if they cannot; see `overflow.refuse_overflow`."""
    try:
        _refuse_overflow(network, arguments, names)
    except UnsupportedModelError as err:
        return [err.cause, err.cure]
    return []


def _refuse_overflow(network: str, arguments: dict[str, Any], names: dict[str, str] | None = None) -> None:
    from zkinfer.circuits.engines.ezkl.overflow import refuse_overflow  # noqa: PLC0415
    from zkinfer.circuits.engines.ezkl.run_args import EzklArguments  # noqa: PLC0415 - proving starts without it

    refuse_overflow(Path(network), EzklArguments.parse(arguments), names)


def nodes_of(network: str) -> list[list[str]]:
    """Operator and first output of each node, in order."""
    from zkinfer.circuits.engines.ezkl.lowering.pipeline import nodes_in  # noqa: PLC0415 - proving starts without it

    return nodes_in(Path(network))


def failure_of(
    network: str, nodes: int, arguments: dict[str, Any], sample: list[list[int]] | None, folder: str
) -> str | None:
    """The engine's error on the first nodes of a network, or on computing a sample with them; None if there is none."""
    from zkinfer.circuits.engines.ezkl.lowering.pipeline import first_nodes  # noqa: PLC0415 - proving starts without it

    where = Path(folder)
    (where / NETWORK).write_bytes(first_nodes(Path(network), nodes))
    try:
        bindings.write_settings(str(where / NETWORK), arguments, where / SETTINGS)
        if sample is not None:
            with _program(where) as program:
                bindings.raw_witness(program, sample)
    except RangeError:  # of the sample, not of the network
        return None
    except EngineError as err:
        return err.cause
    return None


def make_keys(folder: str, setup: str, proving_key: str | None) -> dict[str, Any]:
    """Generate both keys and the verifying key artifact (VKA); returns its figures."""
    where = Path(folder)
    pk = where / "discarded.pk" if proving_key is None else Path(proving_key)
    with _program(where) as program:
        bindings.write_keys(program, where / VK, pk, setup)
    if proving_key is None:
        pk.unlink()
    bindings.write_vka(where / VK, where / SETTINGS, where / VKA, setup)
    vka = read_vka((where / VKA).read_bytes())
    return {
        "digest": vka.digest.hex,
        "proof_bytes": vka.proof_bytes,
        "vk_bytes": (where / VK).stat().st_size,
    }


def lost_constants(folder: str, model: str, digest: str) -> list[str]:
    """Sentences on the constants of the owner's ONNX file that are 0 in the program of a folder."""
    from zkinfer.circuits.engines.ezkl import departures as lost  # noqa: PLC0415 - proving starts without onnx
    from zkinfer.circuits.frontend.load import load  # noqa: PLC0415

    with private_directory() as scratch:
        settings = scratch / SETTINGS
        settings.write_bytes(Path(folder, SETTINGS).read_bytes())
        found = lost.lost_constants(Path(folder, NETWORK), settings)
    return lost.sentences(found, load(Path(model), Digest.parse(digest))) if found else []


def evm_verifier(folder: str, setup: str, out: str) -> None:
    """Write the Solidity source of the verifier for all circuits to `out`."""
    where = Path(folder)
    bindings.write_verifier(where / VK, where / SETTINGS, Path(out), setup)


def forward(folder: str, batch: list[list[list[int]]], outputs_wanted: int) -> dict[str, Any]:
    """Run the circuit's forward pass over samples; returns outputs as integers and the extreme arguments of lookups.

    Outputs beyond `outputs_wanted` repeat the context.
    """
    answers, settings = [], read_settings(Path(folder))
    refuse_indices = index_check(Path(folder), settings)
    with _program(Path(folder)) as program:
        for done, sample in enumerate(batch, 1):
            refuse_indices(sample)
            answers.append(answer_in(_witness(Path(folder), settings, program, sample), outputs_wanted))
            child.report(done / len(batch))
    return _joined(answers)


def _joined(answers: list[Answer]) -> dict[str, Any]:
    return {
        "outputs": [one.outputs for one in answers],
        "lookup_low": min([0, *(one.low for one in answers)]),
        "lookup_high": max([0, *(one.high for one in answers)]),
    }


def bits_needed(network: str, arguments: dict[str, Any], batch: list[list[list[int]]], folder: str) -> int:
    """The minimum bit width of the integers that the circuit decomposes for these samples."""
    from zkinfer.circuits.engines.ezkl.tune.narrow import minimum_bits  # noqa: PLC0415 - proving starts without it

    settings = Path(folder, SETTINGS)
    bindings.write_settings(network, arguments, settings)
    return minimum_bits(Path(network), arguments, batch, 0, 0, settings)[0]


def prove(folder: str, setup: str, proving_key: str, inputs: list[list[int]]) -> dict[str, Any]:
    """Compute the witness, prove and verify: the engine may return an invalid proof without an error."""
    where = Path(folder)
    settings = read_settings(where)
    index_check(where, settings)(inputs)
    with _program(where) as program:
        witness = _witness(where, settings, program, inputs)
        child.report(0.1)
        proof, instances = bindings.prove(witness, program, proving_key, setup)
    child.report(0.95)
    verify(folder, setup, proof, instances)
    return {"proof": proof, "instances": instances}


def _witness(folder: Path, settings: dict[str, Any], program: str, inputs: list[list[int]]) -> dict[str, Any]:
    """The witness; a RangeError says if the model itself has no answer."""
    try:
        return witness_of(settings, program, inputs)
    except RangeError as err:
        from zkinfer.circuits.engines.ezkl.departures import explained  # noqa: PLC0415 - after a refusal only

        raise explained(folder, settings, inputs, err) from err


def verify(folder: str, setup: str, proof: str, instances: list[int]) -> None:
    """Check a proof under the verifying key in the folder."""
    where = Path(folder)
    why = bindings.rejection_reason(proof, instances, where / SETTINGS, where / VK, setup)
    if why is not None:
        raise ProofRejectedError(f"The proof does not hold: {why}.")


def poseidon(integers: list[int]) -> int:
    """The hash of a hashed tensor."""
    return bindings.poseidon_hash(integers)


def _program(folder: Path) -> AbstractContextManager[str]:
    """The path of the compiled program of a circuit."""
    return bindings.compiled(folder / NETWORK, folder / SETTINGS)
