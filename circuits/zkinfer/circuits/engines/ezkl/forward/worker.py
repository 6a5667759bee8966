"""What a session answers with: integer arithmetic where it knows the program, and the engine otherwise.

Loaded in the child of a session only.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import sys
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.engines.ezkl import bindings as bridge
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, read_settings
from zkinfer.circuits.engines.ezkl.bit_width import OUT_OF_RANGE
from zkinfer.circuits.engines.ezkl.forward.interpreter import Arithmetic, TooLargeError
from zkinfer.circuits.engines.ezkl.forward.program import UnknownProgramError
from zkinfer.circuits.engines.ezkl.forward.witness import answer_of
from zkinfer.circuits.errors import EngineError, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tensors = list[list[int]]
    Forward = Callable[[Tensors], Tensors]


_THREADS = "/proc/self/task"
_LIBC = ctypes.CDLL(None)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Hold all threads of this process to the core that it is on; the scheduler chose that one as the least busy."""
    if not sys.platform.startswith("linux"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    _move({_LIBC.sched_getcpu()} & allowed or allowed)
    try:
        yield
    finally:
        _move(allowed)


def _move(cores: set[int]) -> None:
    for thread in os.listdir(_THREADS):  # noqa: PTH208 - three names, read twice for each forward pass
        with suppress(OSError):  # it ended, or the system does not let us: then it stays where it is
            os.sched_setaffinity(int(thread), cores)


# What a circuit has besides its arithmetic: nothing of it changes an answer, and it takes a fourth of a forward pass.
_ARITHMETIC_ALONE = {
    "ignore_range_check_inputs_outputs": True,
    "input_visibility": "Private",
    "param_visibility": "Private",
}
_TRIED_BITS = (5, 9, 14)  # of the inputs that both ways are tried with
_held = ExitStack()  # what a session keeps until its process ends


def open_forward(folder: str, outputs_wanted: int, integer_limit: int, one_core: bool) -> Forward:
    """The program stays compiled in memory, without what only a proof needs.

    Inputs and outputs that the circuit could not hold are refused here instead.
    """
    if one_core:
        bridge.keep_to_one_thread()
    settings = read_settings(Path(folder))
    program = _held.enter_context(lightly_compiled(Path(folder), settings))

    def by_engine(sample: Tensors) -> Tensors:
        with on_one_core() if one_core else nullcontext():
            return answer_of(settings, program, sample, outputs_wanted).outputs

    computed = _soonest(Path(program).read_bytes(), integer_limit, outputs_wanted, by_engine)

    def forward_once(sample: Tensors) -> Tensors:
        _require_below(integer_limit, sample)
        outputs = computed(sample)
        _require_below(integer_limit, outputs)
        return outputs

    return forward_once


@contextmanager
def lightly_compiled(folder: Path, settings: dict[str, Any]) -> Iterator[str]:
    """The program of a circuit with nothing but its arithmetic, in memory; its path."""
    text = json.dumps(settings | {"run_args": settings["run_args"] | _ARITHMETIC_ALONE})
    with bridge.in_memory(text) as light, bridge.compiled(folder / NETWORK, Path(light)) as program:
        yield program


def _soonest(program: bytes, integer_limit: int, outputs_wanted: int, by_engine: Forward) -> Forward:
    """The engine's forward pass, or a sooner one that was seen to give the same answers."""
    try:
        arithmetic = Arithmetic(program)
    except UnknownProgramError:
        return by_engine
    computed = sooner(arithmetic, by_engine, integer_limit, outputs_wanted)
    require_agreement(computed, by_engine, arithmetic.input_sizes)
    return computed


def sooner(arithmetic: Arithmetic, by_engine: Forward, limit: int, outputs_wanted: int) -> Forward:
    """By arithmetic, as far as that holds the integers; what the circuit decomposes has to be below the limit."""

    def computed(sample: Tensors) -> Tensors:
        try:
            found = arithmetic.forward(sample)
        except TooLargeError:
            return by_engine(sample)
        if found.widest >= limit:
            raise RangeError(*OUT_OF_RANGE)
        return found.outputs[:outputs_wanted]

    return computed


def require_agreement(computed: Forward, by_engine: Forward, sizes: list[int]) -> None:
    """Both ways on a few samples, with inputs of these sizes: what is answered has to be what is proven.

    Raises:
        EngineError: they differ.
    """
    chance = random.Random(0)  # noqa: S311 - nothing depends on it being hard to guess
    for bits in _TRIED_BITS:
        sample = [[chance.randrange(-(1 << bits), 1 << bits) for _ in range(size)] for size in sizes]
        if _outcome(computed, sample) != _outcome(by_engine, sample):
            raise EngineError(
                "The engine and zkinfer's own arithmetic answer differently for this program.",
                "Please report it, with the model; another version of zkinfer may serve it.",
            )


def _outcome(forward: Forward, sample: Tensors) -> Tensors | None:
    """The answer; None where the circuit has none."""
    try:
        return forward(sample)
    except RangeError:
        return None


def _require_below(limit: int, tensors: Tensors) -> None:
    if not all(-limit < value < limit for tensor in tensors for value in tensor):
        raise RangeError(*OUT_OF_RANGE)
