"""The child's side of the ezkl engine: the only module that imports ezkl.

Every function here is called by `zkinfer.circuits.child.run`, in a process of its own, with JSON arguments and a
JSON answer. Witnesses and proofs never touch a file system: they pass to the engine through anonymous memory.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ezkl

from zkinfer.circuits.child import report
from zkinfer.circuits.engines.ezkl_files import NETWORK, SETTINGS, VK, VKA, read_settings
from zkinfer.circuits.engines.ezkl_widths import OUT_OF_RANGE, narrowest
from zkinfer.circuits.errors import EngineError, ProofRejectedError, RangeError, UnsupportedModelError
from zkinfer.circuits.field import MODULUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# What the engine logs, and then raises as "General synthesis error", when a value does not fit its range checks.
_SIGNS_OF_RANGE = ("is too large to be represented", "out of range")


class _Heard(logging.Handler):
    """Keeps the engine's last warnings in memory; nothing of them is printed, since they may quote inputs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines = [*self.lines[-19:], record.getMessage()]


_heard = _Heard()
_held = ExitStack()  # what a session keeps until its process ends
logging.basicConfig(level=logging.WARNING, handlers=[_heard], force=True)


def settings_of(network: str, options: list[dict[str, Any]], folder: str) -> list[dict[str, Any] | None]:
    """The engine's settings for each of several run arguments; None where it has none."""
    return [_settings_or_none(network, arguments, Path(folder, SETTINGS)) for arguments in options]


def sound_settings(network: str, options: list[dict[str, Any]], folder: str) -> list[dict[str, Any] | None]:
    """The same, with None also where values could wrap around the field."""
    return [
        _settings_or_none(network, arguments, Path(folder, SETTINGS)) if _is_sound(network, arguments) else None
        for arguments in options
    ]


def _settings_or_none(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """The engine says of too few rows, and of constants out of range, no more than that synthesis failed."""
    try:
        return _settings(network, arguments, path)
    except EngineError:
        return None


def build(network: str, arguments: dict[str, Any], folder: str) -> dict[str, Any]:
    """Write the settings of a program; returns them."""
    _refuse_overflow(network, arguments)
    return _settings(network, arguments, Path(folder, SETTINGS))


def try_out(
    network: str,
    arguments: dict[str, Any],
    batch: list[list[list[int]]],
    outputs_wanted: int,
    likely_bits: int,
    folder: str,
) -> dict[str, Any]:
    """Settings, answers as of `forward` and bits as of `bits_needed`, for arguments that no proof is made under.

    The decomposition changes no answer, so that one pass over the samples gives both.
    """
    settings = _settings(network, arguments, Path(folder, SETTINGS))
    bits, answers = _narrowest(network, arguments, batch, outputs_wanted, likely_bits, folder)
    return _joined(answers) | {"settings": settings, "bits": bits}


def _is_sound(network: str, arguments: dict[str, Any]) -> bool:
    try:
        _refuse_overflow(network, arguments)
    except UnsupportedModelError:
        return False
    return True


def _refuse_overflow(network: str, arguments: dict[str, Any]) -> None:
    from zkinfer.circuits.engines.ezkl_arguments import EzklArguments  # noqa: PLC0415 - proving starts without it
    from zkinfer.circuits.engines.ezkl_soundness import refuse_overflow  # noqa: PLC0415

    refuse_overflow(Path(network), EzklArguments.parse(arguments))


def _settings(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    # Read when the engine first computes. Several threads count a convolution's rows in a race, and come out one apart.
    os.environ["RAYON_NUM_THREADS"] = "1"
    run_args = ezkl.PyRunArgs()
    for name, value in arguments.items():
        setattr(run_args, name, tuple(value) if isinstance(value, list) else value)
    _call(lambda: ezkl.gen_settings(network, path, run_args))
    settings: dict[str, Any] = json.loads(path.read_bytes())
    # The engine writes hash sets in random order and a time; both would change the verifying key or the file.
    settings["required_lookups"].sort(key=lambda item: json.dumps(item, sort_keys=True))
    settings["required_range_checks"].sort()
    settings["timestamp"] = 0
    path.write_text(json.dumps(settings, sort_keys=True))
    return settings


def make_keys(folder: str, setup: str, proving_key: str | None) -> dict[str, Any]:
    """Generate both keys and the verifying key artefact (VKA); returns what the VKA says."""
    import asyncio  # noqa: PLC0415 - proving, which is done most, starts faster without

    from zkinfer.circuits.engines.ezkl_vka import read_vka  # noqa: PLC0415

    where = Path(folder)
    pk = where / "discarded.pk" if proving_key is None else Path(proving_key)
    with _compiled(folder) as compiled:
        _call(lambda: ezkl.setup(compiled, where / VK, pk, setup, None, disable_selector_compression=False))
    if proving_key is None:
        pk.unlink()
    _call(lambda: asyncio.run(_make_vka(where, setup)))
    vka = read_vka((where / VKA).read_bytes())
    return {
        "digest": vka.digest.hex,
        "proof_bytes": vka.proof_bytes,
        "vk_bytes": (where / VK).stat().st_size,
    }


async def _make_vka(where: Path, setup: str) -> None:
    await ezkl.create_evm_vka(where / VK, where / SETTINGS, where / VKA, setup)


def evm_verifier(folder: str, setup: str, reusable: bool, out: str) -> None:
    """Write the Solidity source of a verifier to `out`: for every circuit, or for the one in the folder."""
    import asyncio  # noqa: PLC0415

    # Having written the source, the engine goes on to fetch a compiler, which we neither want nor need: it fails.
    os.environ.update(dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"))
    try:
        asyncio.run(_make_verifier(Path(folder), setup, reusable, Path(out)))
    except RuntimeError as err:
        if not Path(out).is_file():
            raise EngineError(f"ezkl: {_last(err)}.") from err


async def _make_verifier(where: Path, setup: str, reusable: bool, out: Path) -> None:
    abi = out.with_suffix(".abi")
    await ezkl.create_evm_verifier(where / VK, where / SETTINGS, out, abi, setup, reusable)


def forward(folder: str, batch: list[list[list[int]]], outputs_wanted: int) -> dict[str, Any]:
    """Run the circuit's forward pass over samples; returns outputs as integers and the extremes of lookups.

    Outputs beyond those that are wanted repeat the context.
    """
    answers, settings = [], read_settings(Path(folder))
    with _compiled(folder) as compiled:
        for done, sample in enumerate(batch, 1):
            answers.append(_answer(_witness(settings, compiled, sample), outputs_wanted))
            report(done / len(batch))
    return _joined(answers)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is kept of a witness: outputs as integers, and the least and largest argument of a lookup."""

    outputs: list[list[int]]
    low: int
    high: int


def _answer(witness: dict[str, Any], outputs_wanted: int) -> _Answer:
    outputs = [[_signed(word) for word in tensor] for tensor in witness["outputs"][:outputs_wanted]]
    return _Answer(outputs, int(witness["min_lookup_inputs"]), int(witness["max_lookup_inputs"]))


def _joined(answers: list[_Answer]) -> dict[str, Any]:
    return {
        "outputs": [answer.outputs for answer in answers],
        "lookup_low": min([0, *(answer.low for answer in answers)]),
        "lookup_high": max([0, *(answer.high for answer in answers)]),
    }


def bits_needed(network: str, arguments: dict[str, Any], batch: list[list[list[int]]], folder: str) -> int:
    """The fewest bits that hold every integer which the circuit decomposes for these samples."""
    return _narrowest(network, arguments, batch, 0, 0, folder)[0]


def _narrowest(
    network: str,
    arguments: dict[str, Any],
    batch: list[list[list[int]]],
    outputs_wanted: int,
    likely_bits: int,
    folder: str,
) -> tuple[int, list[_Answer]]:
    def fitting(bits: int, samples: Sequence[list[list[int]]]) -> list[_Answer]:
        single_digit = arguments | {"decomp_base": 1 << bits, "decomp_legs": 1}
        return _fitting(network, single_digit, samples, outputs_wanted, Path(folder, "narrow.json"))

    return narrowest(batch, fitting, likely_bits)


def _fitting(
    network: str, arguments: dict[str, Any], batch: Sequence[list[list[int]]], outputs_wanted: int, path: Path
) -> list[_Answer]:
    """The answers to those samples, from the first on, whose values fit these arguments."""
    settings, answers = _settings_or_none(network, arguments, path), list[_Answer]()
    if settings is None:
        return answers
    with _in_memory("") as compiled:
        _call(lambda: ezkl.compile_circuit(Path(network), compiled, path))
        for sample in batch:
            try:
                witness = _computed(compiled, sample)
            except RangeError:
                break
            _require_lookups_in_range(settings, witness)
            answers.append(_answer(witness, outputs_wanted))
    return answers


def prove(folder: str, setup: str, proving_key: str, inputs: list[list[int]]) -> dict[str, Any]:
    """Witness, prove, verify: the engine may return a proof that does not hold, without an error."""
    with _compiled(folder) as compiled:
        witness = _witness(read_settings(Path(folder)), compiled, inputs)
        report(0.1)
        with _in_memory(json.dumps(witness)) as witness_path:
            proof = _call(lambda: ezkl.prove(witness_path, compiled, proving_key, None, setup))
    report(0.95)
    columns = proof["instances"]
    if len(columns) != 1:
        raise EngineError(f"The engine gave {len(columns)} columns of public values instead of one.")
    data, instances = proof["proof"].removeprefix("0x"), [_element(word) for word in columns[0]]
    verify(folder, setup, data, instances)
    return {"proof": data, "instances": instances}


def verify(folder: str, setup: str, proof: str, instances: list[int]) -> None:
    """Check a proof under the verifying key in the folder."""
    document = {
        "instances": [[_word(element) for element in instances]],
        "proof": list(bytes.fromhex(proof)),
        "hex_proof": "0x" + proof,
        "protocol": None,
        "split": None,
        "pretty_public_inputs": None,
    }
    where = Path(folder)
    with _in_memory(json.dumps(document)) as path:
        try:
            # Of a larger setup the engine would make one of the circuit's size, which takes longer than a proof;
            # reduced, it takes the few points that verifying needs.
            held = ezkl.verify(path, where / SETTINGS, where / VK, setup, reduced_srs=True)
        except RuntimeError as err:
            raise ProofRejectedError(f"The proof does not hold: {_last(err)}.") from err
    if held is not True:
        raise ProofRejectedError("The proof does not hold.")


def poseidon(integers: list[int]) -> int:
    """The hash that stands for a hashed tensor."""
    words: list[str] = _call(lambda: ezkl.poseidon_hash([_word(value % MODULUS) for value in integers]))
    return _element(words[0])


# What a circuit has besides its arithmetic: nothing of it changes an answer, and it takes a fourth of a forward pass.
_ARITHMETIC_ALONE = {
    "ignore_range_check_inputs_outputs": True,
    "input_visibility": "Private",
    "param_visibility": "Private",
}


def open_forward(
    folder: str, outputs_wanted: int, integer_limit: int, one_core: bool
) -> Callable[[list[list[int]]], list[list[int]]]:
    """What a session answers with: the program stays compiled in memory, without what only a proof needs.

    Inputs and outputs that the circuit could not hold are refused here instead.
    """
    from zkinfer.circuits.engines.cores import on_one_core  # noqa: PLC0415 - only sessions need it

    if one_core:
        os.environ["RAYON_NUM_THREADS"] = "1"  # read when the engine first computes
    settings = read_settings(Path(folder))
    with _in_memory(json.dumps(settings | {"run_args": settings["run_args"] | _ARITHMETIC_ALONE})) as light:
        compiled = _held.enter_context(_compiled(folder, light))

    def forward_once(sample: list[list[int]]) -> list[list[int]]:
        _require_below(integer_limit, sample)
        with on_one_core() if one_core else nullcontext():
            witness = _witness(settings, compiled, sample)
        outputs = _answer(witness, outputs_wanted).outputs
        _require_below(integer_limit, outputs)
        return outputs

    return forward_once


def _require_below(limit: int, tensors: list[list[int]]) -> None:
    if not all(-limit < value < limit for tensor in tensors for value in tensor):
        raise RangeError(*OUT_OF_RANGE)


@contextmanager
def _compiled(folder: str, settings: str | None = None) -> Iterator[str]:
    """The program in the engine's own form, made anew each time and kept in memory; with its own settings if None.

    That takes milliseconds; and the engine writes it in the random order of hash maps, so that a file of it would
    be another one each time.
    """
    with _in_memory("") as path:
        _call(lambda: ezkl.compile_circuit(Path(folder, NETWORK), path, settings or Path(folder, SETTINGS)))
        yield path


def _witness(settings: dict[str, Any], compiled: str, inputs: list[list[int]]) -> dict[str, Any]:
    witness = _computed(compiled, inputs)
    _require_lookups_in_range(settings, witness)
    return witness


def _computed(compiled: str, inputs: list[list[int]]) -> dict[str, Any]:
    data = {"input_data": [[_word(value % MODULUS) for value in tensor] for tensor in inputs]}
    with _in_memory(json.dumps(data)) as path:
        witness: dict[str, Any] = _call(lambda: ezkl.gen_witness(path, compiled, None, None, None))
    return witness


def _require_lookups_in_range(settings: dict[str, Any], witness: dict[str, Any]) -> None:
    """The forward pass does not look at the tables; proving does, and may then hang instead of failing."""
    low, high = settings["run_args"]["lookup_range"]
    if settings["required_lookups"] and not (
        low <= int(witness["min_lookup_inputs"]) and int(witness["max_lookup_inputs"]) <= high
    ):
        raise RangeError(*OUT_OF_RANGE)


def _call(engine_call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the engine returns
    """One call of the engine, its errors translated."""
    _heard.lines.clear()
    try:
        return engine_call()
    except RuntimeError as err:
        heard = " ".join(_heard.lines)
        if any(sign in heard or sign in str(err) for sign in _SIGNS_OF_RANGE):
            raise RangeError(*OUT_OF_RANGE) from err
        raise EngineError(f"ezkl: {_last(err)}.") from err


def _last(err: RuntimeError) -> str:
    return str(err).strip().removesuffix(".")[-300:]


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    descriptor = os.memfd_create("zkinfer", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _word(element: int) -> str:
    return element.to_bytes(32, "little").hex()


def _element(word: str) -> int:
    return int.from_bytes(bytes.fromhex(word), "little")


def _signed(word: str) -> int:
    element = _element(word)
    return element if element <= MODULUS // 2 else element - MODULUS
