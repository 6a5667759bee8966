"""The one module that imports ezkl: its calls as zkinfer makes them, with its errors translated.

Only a child process imports it. Programs, witnesses and proofs never touch a file system: they pass to the engine
through anonymous memory.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ezkl

from zkinfer.circuits.engines.ezkl import bindings as bridge
from zkinfer.circuits.engines.ezkl.bounds import OUT_OF_RANGE
from zkinfer.circuits.engines.ezkl.instances import MODULUS
from zkinfer.circuits.errors import EngineError, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in a witness: outputs as integers, and the smallest and largest argument of a lookup."""

    outputs: list[list[int]]
    low: int
    high: int


def answer_of(settings: dict[str, Any], program: str, sample: list[list[int]], outputs_wanted: int) -> Answer:
    """The engine's answer of a compiled program with these settings; raises RangeError if a value exceeds the range."""
    return answer_in(witness_of(settings, program, sample), outputs_wanted)


def answer_in(witness: dict[str, Any], outputs_wanted: int) -> Answer:
    """The answer in a witness; outputs beyond `outputs_wanted` repeat the context."""
    outputs = [[bridge.signed(word) for word in tensor] for tensor in witness["outputs"][:outputs_wanted]]
    return Answer(outputs, int(witness["min_lookup_inputs"]), int(witness["max_lookup_inputs"]))


def witness_of(settings: dict[str, Any], program: str, inputs: list[list[int]]) -> dict[str, Any]:
    """The complete witness; raises RangeError if a value exceeds the range."""
    witness = bridge.computed(program, inputs)
    require_lookups_in_range(settings, witness)
    return witness


def require_lookups_in_range(settings: dict[str, Any], witness: dict[str, Any]) -> None:
    """Raise RangeError for lookups outside the tables: only the prover checks them, and it may hang."""
    low, high = settings["run_args"]["lookup_range"]
    if settings["required_lookups"] and not (
        low <= int(witness["min_lookup_inputs"]) and int(witness["max_lookup_inputs"]) <= high
    ):
        raise RangeError(*OUT_OF_RANGE)


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
logging.basicConfig(level=logging.WARNING, handlers=[_heard], force=True)


def keep_to_one_thread() -> None:
    """For good, and only before the engine first computes in this process: it looks once."""
    os.environ["RAYON_NUM_THREADS"] = "1"


# --- programs


def write_settings(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write the settings of a network under run arguments; returns them.

    Raises:
        EngineError: the engine has none: too few rows, constants out of range, an operator that it cannot take.
    """
    keep_to_one_thread()  # several count a convolution's rows in a race, and come out one apart
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


def settings_or_none(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """The same, or None where the engine has none: it says no more than that synthesis failed, whatever the cause."""
    try:
        return write_settings(network, arguments, path)
    except EngineError:
        return None


@contextmanager
def compiled(network: Path, settings: Path) -> Iterator[str]:
    """The program in the engine's own form, made anew each time and kept in memory; its path.

    That takes milliseconds; and the engine writes it in the random order of hash maps, so that a file of it would
    be another one each time.
    """
    with in_memory("") as path:
        _call(lambda: ezkl.compile_circuit(network, path, settings))
        yield path


def computed(program: str, inputs: list[list[int]]) -> dict[str, Any]:
    """The witness of a compiled program; raises RangeError where a value does not fit it."""
    data = {"input_data": [[_word(value % MODULUS) for value in tensor] for tensor in inputs]}
    with in_memory(json.dumps(data)) as path:
        witness: dict[str, Any] = _call(lambda: ezkl.gen_witness(path, program, None, None, None))
    return witness


# --- keys


def write_keys(program: str, vk: Path, pk: Path, setup: str) -> None:
    """Write both keys of a compiled program."""
    _call(lambda: ezkl.setup(program, vk, pk, setup, None, disable_selector_compression=False))


def write_vka(vk: Path, settings: Path, vka: Path, setup: str) -> None:
    """Write the verifying key artifact, which the verifier for every circuit takes."""

    async def made() -> None:
        await ezkl.create_evm_vka(vk, settings, vka, setup)

    _call(lambda: _awaited(made))


def write_verifier(vk: Path, settings: Path, source: Path, setup: str, *, reusable: bool) -> None:
    """Write the Solidity source of a verifier: for every circuit, or for this one."""

    async def made() -> None:
        await ezkl.create_evm_verifier(vk, settings, source, source.with_suffix(".abi"), setup, reusable)

    # Having written the source, the engine goes on to fetch a compiler, which we neither want nor need: it fails.
    os.environ.update(dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"))
    try:
        _awaited(made)
    except RuntimeError as err:
        if not source.is_file():
            raise EngineError(f"ezkl: {_last(err)}.") from err


def _awaited(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import asyncio  # noqa: PLC0415 - proving, which is done most, starts faster without

    asyncio.run(coroutine())


# --- proofs


def proven(witness: dict[str, Any], program: str, proving_key: str, setup: str) -> tuple[str, list[int]]:
    """A proof in hexadecimal and its public values; the engine may return one that does not hold."""
    with in_memory(json.dumps(witness)) as path:
        proof = _call(lambda: ezkl.prove(path, program, proving_key, None, setup))
    columns = proof["instances"]
    if len(columns) != 1:
        raise EngineError(f"The engine gave {len(columns)} columns of public values instead of one.")
    return proof["proof"].removeprefix("0x"), [_element(word) for word in columns[0]]


def refusal(proof: str, instances: list[int], settings: Path, vk: Path, setup: str) -> str | None:
    """Why a proof does not hold under a verifying key, in a few words; None where it holds."""
    document = {
        "instances": [[_word(element) for element in instances]],
        "proof": list(bytes.fromhex(proof)),
        "hex_proof": "0x" + proof,
        "protocol": None,
        "split": None,
        "pretty_public_inputs": None,
    }
    with in_memory(json.dumps(document)) as path:
        try:
            # Of a larger setup the engine would make one of the circuit's size, which takes longer than a proof;
            # reduced, it takes the few points that verifying needs.
            held = ezkl.verify(path, settings, vk, setup, reduced_srs=True)
        except RuntimeError as err:
            return _last(err)
    return None if held is True else "the engine says no"


def poseidon_hash(integers: list[int]) -> int:
    """The hash that the engine computes of a hidden tensor."""
    words: list[str] = _call(lambda: ezkl.poseidon_hash([_word(value % MODULUS) for value in integers]))
    return _element(words[0])


# --- what all of them need


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
def in_memory(text: str) -> Iterator[str]:
    """A file in anonymous memory with this text; its path, which only this process has."""
    descriptor = os.memfd_create("zkinfer", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def signed(word: str) -> int:
    """The integer that an element of the field stands for, negative in its upper half; as the engine writes it."""
    element = _element(word)
    return element if element <= MODULUS // 2 else element - MODULUS


def _word(element: int) -> str:
    return element.to_bytes(32, "little").hex()


def _element(word: str) -> int:
    return int.from_bytes(bytes.fromhex(word), "little")
