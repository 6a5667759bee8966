"""The minimum bit width for a set of samples, the circuit's answers to them, and the arguments of its functions.

Loaded in children only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl.bindings import Answer, answer_in, require_lookups_in_range
from zkinfer.circuits.engines.ezkl.bounds import EXPONENTIAL, LOOKED_UP, MAX_BITS, narrowest
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.interpreter import Arithmetic, Pass, TooLargeError
from zkinfer.circuits.engines.ezkl.program import UnknownProgramError
from zkinfer.circuits.errors import OUT_OF_RANGE, RangeError
from zkinfer.circuits.frontend.graph import DTYPES, Facts, attributes
from zkinfer.circuits.frontend.runtime import Session
from zkinfer.circuits.frontend.shapes import inferred
from zkinfer.circuits.frontend.summary import CONTEXT_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

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


_FUNCTIONS = LOOKED_UP | EXPONENTIAL | {"Softmax"}
_MAX_SAMPLES = 64


def arguments_of_functions(
    network: Path, scales: Sequence[int], batch: Sequence[Sequence[Sequence[int]]]
) -> list[dict[str, Any]]:
    """The range of arguments of each function that the engine looks up in a table, see `worker.widest_lookup`."""
    model = inferred(onnx.load(network))
    facts = Facts(model)
    nodes = [node for node in model.graph.node if node.op_type in _FUNCTIONS and node.input[0] not in facts.constants]
    names = dict.fromkeys(node.input[0] for node in nodes)
    ports = [port for port in model.graph.input if port.name != CONTEXT_INPUT]
    shown = [onnx.helper.make_tensor_value_info(name, facts.dtype(name), None) for name in names]
    model.graph.output.extend(port for port in shown if port.name not in facts.outputs | facts.inputs)
    session = Session(model)
    runs = []
    for sample in batch[:_MAX_SAMPLES]:
        feeds = {
            port.name: np.ldexp(np.array(integers, np.float64), -scale).astype(DTYPES[facts.dtype(port.name)])
            for port, scale, integers in zip(ports, scales, sample, strict=True)
        }
        feeds = {name: array.reshape(facts.shape(name) or ()) for name, array in feeds.items()}
        runs.append(feeds | session.run(feeds | {CONTEXT_INPUT: np.zeros((1, LIMBS), np.float32)}))
    found = [(node, [_argument(node, run[node.input[0]]) for run in runs]) for node in nodes]
    return [
        {
            "node": node.output[0],
            "operator": node.op_type,
            "output": _output_after(node, facts),
            "low": min(float(values.min()) for values in seen),
            "high": max(float(values.max()) for values in seen),
        }
        for node, seen in found
    ]


def _argument(node: onnx.NodeProto, values: NDArray[Any]) -> NDArray[Any]:
    """What is looked up: Softmax subtracts the maximum first."""
    if node.op_type not in ("LogSoftmax", "Softmax"):
        return values
    below: NDArray[Any] = values - values.max(axis=attributes(node).get("axis", -1), keepdims=True)
    return below


def _output_after(node: onnx.NodeProto, facts: Facts) -> str:
    """The first output of the model that depends on a node."""
    todo, seen = [*node.output], set(node.output)
    for name in todo:
        if name in facts.outputs:
            return name
        after = [result for reader in facts.consumers.get(name, []) for result in reader.output if result not in seen]
        todo.extend(after)
        seen.update(after)
    return ""
