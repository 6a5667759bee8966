"""The child's side of a session: forward passes by the interpreter if it supports the program, else by the engine.

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

from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, index_check, read_settings
from zkinfer.circuits.engines.ezkl.bindings import answer_of
from zkinfer.circuits.engines.ezkl.interpreter import Arithmetic, TooLargeError
from zkinfer.circuits.engines.ezkl.program import UnknownProgramError
from zkinfer.circuits.errors import OUT_OF_RANGE, EngineError, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tensors = list[list[int]]
    Forward = Callable[[Tensors], Tensors]


_THREADS = "/proc/self/task"
_LIBC = ctypes.CDLL(None)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Pin all threads of this process to its current core, which the scheduler chose as the least busy."""
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
    for thread in os.listdir(_THREADS):  # noqa: PTH208 - three names, read twice per forward pass
        with suppress(OSError):  # the thread ended, or pinning is not permitted
            os.sched_setaffinity(int(thread), cores)


# Disables everything but arithmetic, which does not affect answers and takes a quarter of a forward pass.
_ARITHMETIC_ALONE = {
    "ignore_range_check_inputs_outputs": True,
    "input_visibility": "Private",
    "param_visibility": "Private",
}
_TRIED_BITS = (5, 9, 14)  # of the inputs on which interpreter and engine are compared
_session_resources = ExitStack()  # resources that a session keeps until its process ends


def open_forward(folder: str, outputs_wanted: int, integer_limit: int, one_core: bool) -> Forward:
    """Open the session: keep the program compiled in memory, without the parts that only proofs need.

    Inputs and outputs outside the circuit's range are rejected here.
    """
    if one_core:
        bindings.use_one_thread()
    settings = read_settings(Path(folder))
    program = _session_resources.enter_context(arithmetic_only(Path(folder), settings))

    def by_engine(sample: Tensors) -> Tensors:
        with on_one_core() if one_core else nullcontext():
            return answer_of(settings, program, sample, outputs_wanted).outputs

    computed = _fastest(Path(program).read_bytes(), integer_limit, outputs_wanted, by_engine)
    refuse_indices = index_check(Path(folder), settings)

    def forward_once(sample: Tensors) -> Tensors:
        try:
            _require_below(integer_limit, sample)
            refuse_indices(sample)
            outputs = computed(sample)
            _require_below(integer_limit, outputs)
        except RangeError as err:
            from zkinfer.circuits.engines.ezkl.departures import explained  # noqa: PLC0415 - after a refusal only

            raise explained(Path(folder), settings, sample, err) from err
        return outputs

    return forward_once


@contextmanager
def arithmetic_only(folder: Path, settings: dict[str, Any]) -> Iterator[str]:
    """Yield the path of an in-memory program that has only the arithmetic of a circuit."""
    text = json.dumps(settings | {"run_args": settings["run_args"] | _ARITHMETIC_ALONE})
    with bindings.in_memory(text) as light, bindings.compiled(folder / NETWORK, Path(light)) as program:
        yield program


def _fastest(program: bytes, integer_limit: int, outputs_wanted: int, by_engine: Forward) -> Forward:
    """The engine's forward pass, or the interpreter's if both agree on a few samples."""
    try:
        arithmetic = Arithmetic(program)
    except UnknownProgramError:
        return by_engine
    computed = with_fallback(arithmetic, by_engine, integer_limit, outputs_wanted)
    require_agreement(computed, by_engine, arithmetic.input_sizes)
    return computed


def with_fallback(arithmetic: Arithmetic, by_engine: Forward, limit: int, outputs_wanted: int) -> Forward:
    """The interpreter's forward pass, with the engine as fallback; decomposed values must be below the limit."""

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
    """Compare interpreter and engine on a few random samples with inputs of these sizes.

    Raises:
        EngineError: they differ.
    """
    chance = random.Random(0)  # noqa: S311 - not used for security
    for bits in _TRIED_BITS:
        sample = [[chance.randrange(-(1 << bits), 1 << bits) for _ in range(size)] for size in sizes]
        if _outcome(computed, sample) != _outcome(by_engine, sample):
            raise EngineError(
                "The engine and zkinfer's interpreter give different answers for this program.",
                "Report it with the model; another version of zkinfer may support it.",
            )


def _outcome(forward: Forward, sample: Tensors) -> Tensors | None:
    """The answer; None if the circuit rejects the sample."""
    try:
        return forward(sample)
    except RangeError:
        return None


def _require_below(limit: int, tensors: Tensors) -> None:
    if not all(-limit < value < limit for tensor in tensors for value in tensor):
        raise RangeError(*OUT_OF_RANGE)
