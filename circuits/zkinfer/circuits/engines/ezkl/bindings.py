"""The calls of ezkl that zkinfer makes, with its errors translated. The only module that imports ezkl.

Only child processes import it. Programs, witnesses and proofs never touch a file system: they are passed to the engine
in anonymous memory.
"""

from __future__ import annotations

import json
import logging
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ezkl

from zkinfer.circuits.engines.ezkl.instances import MODULUS
from zkinfer.circuits.errors import OUT_OF_RANGE, EngineError, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in a witness: outputs as integers, and the smallest and largest argument of any lookup."""

    outputs: list[list[int]]
    low: int
    high: int


def answer_of(settings: dict[str, Any], program: str, sample: list[list[int]], outputs_wanted: int) -> Answer:
    """The answer of a compiled program with these settings; raises RangeError if a value exceeds the range."""
    return answer_in(witness_of(settings, program, sample), outputs_wanted)


def answer_in(witness: dict[str, Any], outputs_wanted: int) -> Answer:
    """The answer in a witness; outputs beyond `outputs_wanted` repeat the context."""
    outputs = [[signed(word) for word in tensor] for tensor in witness["outputs"][:outputs_wanted]]
    return Answer(outputs, int(witness["min_lookup_inputs"]), int(witness["max_lookup_inputs"]))


def witness_of(settings: dict[str, Any], program: str, inputs: list[list[int]]) -> dict[str, Any]:
    """The complete witness; raises RangeError if a value exceeds the range."""
    witness = raw_witness(program, inputs)
    require_lookups_in_range(settings, witness)
    return witness


def require_lookups_in_range(settings: dict[str, Any], witness: dict[str, Any]) -> None:
    """Raise RangeError for lookups outside the tables; otherwise only proving would notice, and it may hang."""
    low, high = settings["run_args"]["lookup_range"]
    if settings["required_lookups"] and not (
        low <= int(witness["min_lookup_inputs"]) and int(witness["max_lookup_inputs"]) <= high
    ):
        raise RangeError(*OUT_OF_RANGE)


# The engine logs these, and then raises "General synthesis error", when a value fails a range check.
_RANGE_MESSAGES = ("is too large to be represented", "out of range")


class _WarningLog(logging.Handler):
    """Keeps the engine's last warnings in memory; they are never printed, since they may quote inputs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines = [*self.lines[-19:], record.getMessage()]


_warnings = _WarningLog()
logging.basicConfig(level=logging.WARNING, handlers=[_warnings], force=True)


def use_one_thread() -> None:
    """Limit the engine to one thread in this process; call it before the engine's first computation."""
    os.environ["RAYON_NUM_THREADS"] = "1"


# --- programs


def write_settings(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any]:
    """Generate the settings of a network under run arguments, write them to a file, and return them.

    Raises:
        EngineError: the engine failed: too few rows, constants out of range, or an unsupported operator.
    """
    use_one_thread()  # with several threads a race in counting a convolution's rows can be off by one
    run_args = ezkl.PyRunArgs()
    for name, value in arguments.items():
        setattr(run_args, name, tuple(value) if isinstance(value, list) else value)
    _call(lambda: ezkl.gen_settings(network, path, run_args), explain=True)
    settings: dict[str, Any] = json.loads(path.read_bytes())
    # The engine writes hash sets in random order, and a timestamp: these would change the verifying key or the file.
    settings["required_lookups"].sort(key=lambda item: json.dumps(item, sort_keys=True))
    settings["required_range_checks"].sort()
    settings["timestamp"] = 0
    path.write_text(json.dumps(settings, sort_keys=True))
    return settings


def settings_or_none(network: str, arguments: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """As `write_settings`, or None if the engine fails, which it does for any cause with the same error."""
    try:
        return write_settings(network, arguments, path)
    except EngineError:
        return None


@contextmanager
def compiled(network: Path, settings: Path) -> Iterator[str]:
    """Compile the program into the engine's own format, in memory; yields its path.

    Compiling takes milliseconds. The result is not stored, since the engine writes hash maps in random order, so that
    its bytes differ each time.
    """
    with in_memory("") as path:
        _call(lambda: ezkl.compile_circuit(network, path, settings))
        yield path


def program_part(network: Path, settings: dict[str, Any]) -> bytes:
    """The program alone in the engine's own format: the operators, without the settings, which the engine appends.

    These bytes are the same each time; only those of the settings are not. Equal bytes are equal circuits.
    """
    with in_memory(json.dumps(settings)) as path, compiled(network, Path(path)) as program:
        data: bytes = Path(program).read_bytes()
    end = data.rfind(_start_of(settings["run_args"]))
    if end < 0:
        raise EngineError(
            "ezkl writes compiled programs in an unknown format.", "Install the version that zkinfer names."
        )
    return data[:end]


def _start_of(run_args: dict[str, Any]) -> bytes:
    """The first run arguments as the engine writes them."""
    scales = struct.pack(
        "<iixI", *(run_args[name] for name in ("input_scale", "param_scale", "scale_rebase_multiplier"))
    )
    lookups = b"".join(int(end).to_bytes(16, "little", signed=True) for end in run_args["lookup_range"])
    return scales + lookups + struct.pack("<IQ", run_args["logrows"], run_args["num_inner_cols"])


def raw_witness(program: str, inputs: list[list[int]]) -> dict[str, Any]:
    """The witness of a compiled program, lookups unchecked; raises RangeError if another value exceeds the range."""
    data = {"input_data": [[_word(value % MODULUS) for value in tensor] for tensor in inputs]}
    with in_memory(json.dumps(data)) as path:
        witness: dict[str, Any] = _call(lambda: ezkl.gen_witness(path, program, None, None, None))
    return witness


# --- keys


def write_keys(program: str, vk: Path, pk: Path, setup: str) -> None:
    """Write both keys of a compiled program."""
    _call(lambda: ezkl.setup(program, vk, pk, setup, None, disable_selector_compression=False))


def write_vka(vk: Path, settings: Path, vka: Path, setup: str) -> None:
    """Write the verifying key artifact for the reusable verifier."""

    async def made() -> None:
        await ezkl.create_evm_vka(vk, settings, vka, setup)

    _call(lambda: _awaited(made))


def write_verifier(vk: Path, settings: Path, source: Path, setup: str) -> None:
    """Write the Solidity source of the verifier for all circuits."""

    async def made() -> None:
        await ezkl.create_evm_verifier(vk, settings, source, source.with_suffix(".abi"), setup, True)

    # Once the source is written the engine tries to download a compiler, which is not needed: make that fail.
    os.environ.update(dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"))
    try:
        _awaited(made)
    except RuntimeError as err:
        if not source.is_file():
            raise EngineError(f"ezkl: {_last(err)}.") from err


def _awaited(coroutine: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import asyncio  # noqa: PLC0415 - proving, the most frequent call, starts faster without it

    asyncio.run(coroutine())


# --- proofs


def prove(witness: dict[str, Any], program: str, proving_key: str, setup: str) -> tuple[str, list[int]]:
    """A proof in hexadecimal and its public values. The engine may return an invalid proof without an error."""
    with in_memory(json.dumps(witness)) as path:
        proof = _call(lambda: ezkl.prove(path, program, proving_key, None, setup))
    columns = proof["instances"]
    if len(columns) != 1:
        raise EngineError(f"The engine returned {len(columns)} columns of public values instead of one.")
    return proof["proof"].removeprefix("0x"), [_element(word) for word in columns[0]]


def rejection_reason(proof: str, instances: list[int], settings: Path, vk: Path, setup: str) -> str | None:
    """The reason, in a few words, why a proof does not hold under a verifying key; None if it holds."""
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
            # Without `reduced_srs` the engine would cut a larger setup down to the circuit's size, which takes longer
            # than a proof; with it, the engine reads only the few points that verification needs.
            valid = ezkl.verify(path, settings, vk, setup, reduced_srs=True)
        except RuntimeError as err:
            return _last(err)
    return None if valid is True else "the engine rejects it"


def poseidon_hash(integers: list[int]) -> int:
    """The engine's hash of a hidden tensor."""
    words: list[str] = _call(lambda: ezkl.poseidon_hash([_word(value % MODULUS) for value in integers]))
    return _element(words[0])


# --- helpers


def _call(engine_call: Callable[[], Any], *, explain: bool = False) -> Any:  # noqa: ANN401 - what the engine returns
    """Call the engine, and translate its errors; `explain` adds its warnings, so the call must not know any input."""
    _warnings.lines.clear()
    try:
        return engine_call()
    except RuntimeError as err:
        logged = " ".join(_warnings.lines)
        if any(message in logged or message in str(err) for message in _RANGE_MESSAGES):
            raise RangeError(*OUT_OF_RANGE) from err
        warned = f" ({'; '.join(dict.fromkeys(_warnings.lines))[-300:]})" if explain and logged else ""
        raise EngineError(f"ezkl: {_last(err)}{warned}.") from err


def _last(err: RuntimeError) -> str:
    return str(err).strip().removesuffix(".")[-300:]


@contextmanager
def in_memory(content: str | bytes) -> Iterator[str]:
    """Yield the path, valid in this process only, of a file in anonymous memory with this content."""
    descriptor = os.memfd_create("zkinfer", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def signed(word: str) -> int:
    """The signed integer of a field element as the engine writes it; the upper half of the field is negative."""
    element = _element(word)
    return element if element <= MODULUS // 2 else element - MODULUS


def _word(element: int) -> str:
    return element.to_bytes(32, "little").hex()


def _element(word: str) -> int:
    return int.from_bytes(bytes.fromhex(word), "little")
