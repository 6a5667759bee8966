"""The minimum bit width for a set of samples, and the circuit's answers to them. Loaded in children only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.bindings import Answer, answer_in, require_lookups_in_range
from zkinfer.circuits.engines.ezkl.bounds import MAX_BITS, narrowest
from zkinfer.circuits.engines.ezkl.interpreter import Arithmetic, Pass, TooLargeError
from zkinfer.circuits.engines.ezkl.program import UnknownProgramError
from zkinfer.circuits.errors import OUT_OF_RANGE, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _Fitting = Callable[[int, Sequence[list[list[int]]]], list[Answer]]


def minimum_bits(
    network: Path,
    arguments: dict[str, Any],
    batch: list[list[list[int]]],
    outputs_wanted: int,
    likely_bits: int,
    settings: Path,
) -> tuple[int, list[Answer]]:
    """The minimum bit width for a batch, and the answers, which do not depend on the decomposition.

    The interpreter computes them if it agrees with the engine about the first sample; else the engine computes all.

    Args:
        network: the ONNX file.
        arguments: run arguments.
        batch: the quantised inputs of at least one sample.
        outputs_wanted: the number of outputs; further ones repeat the context.
        likely_bits: an initial guess; affects the time only.
        settings: the engine's settings for these arguments; other files are written beside it.

    Raises:
        RangeError: a sample exceeds the largest supported bit width.
    """

    def fitting(bits: int, samples: Sequence[list[list[int]]]) -> list[Answer]:
        single_digit = arguments | {"decomp_base": 1 << bits, "decomp_legs": 1}
        return _fitting(network, single_digit, samples, outputs_wanted, settings.with_name("narrow.json"))

    sooner = _computed(network, settings, batch, outputs_wanted)
    if sooner and _confirms(fitting, batch[:1], sooner[0]):
        bits = max(width for width, _ in sooner)
        if bits > MAX_BITS:
            raise RangeError(*OUT_OF_RANGE)
        return bits, [answer for _, answer in sooner]
    return narrowest(batch, fitting, likely_bits)


def _computed(
    network: Path, settings: Path, batch: list[list[list[int]]], outputs_wanted: int
) -> list[tuple[int, Answer]]:
    """Bit width and answer of each sample by the interpreter; empty if it does not support the program."""
    try:
        with bindings.compiled(network, settings) as program:
            arithmetic = Arithmetic(Path(program).read_bytes())
        passes = [arithmetic.forward(sample) for sample in batch]
    except (UnknownProgramError, TooLargeError):
        return []
    return [(_width(one), Answer(one.outputs[:outputs_wanted], 0, 0)) for one in passes]


def _width(one: Pass) -> int:
    """The bit width of a pass; outputs are public and therefore range-checked too."""
    magnitudes = (abs(value) for tensor in one.outputs for value in tensor)
    return max(1, max(one.widest, *magnitudes).bit_length())


def _confirms(fitting: _Fitting, first: Sequence[list[list[int]]], expected: tuple[int, Answer]) -> bool:
    """Whether the engine gives the same answer to the first sample at this bit width, and fails at one bit less."""
    bits, answer = expected
    if bits > MAX_BITS or (bits > 1 and fitting(bits - 1, first)):
        return False
    return [one.outputs for one in fitting(bits, first)] == [answer.outputs]


def _fitting(
    network: Path, arguments: dict[str, Any], batch: Sequence[list[list[int]]], outputs_wanted: int, path: Path
) -> list[Answer]:
    """The answers up to the first sample whose values exceed the range of these arguments."""
    settings, answers = bindings.settings_or_none(str(network), arguments, path), list[Answer]()
    if settings is None:
        return answers
    with bindings.compiled(network, path) as program:
        for sample in batch:
            try:
                witness = bindings.raw_witness(program, sample)
            except RangeError:
                break
            require_lookups_in_range(settings, witness)
            answers.append(answer_in(witness, outputs_wanted))
    return answers
