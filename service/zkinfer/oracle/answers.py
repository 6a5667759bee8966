"""The answer of a feed: the circuit's own forward pass over an observation, in the feed's decimals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.statement import split_by_tensor
from zkinfer.oracle.errors import RecipeError

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.feed_formats import FeedSpec
    from zkinfer.oracle.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answers to one input.

    Args:
        outputs: the integers of all outputs.
        value: the feed's answer, in its decimals.
    """

    outputs: tuple[int, ...]
    value: int


def integers_in(circuit: Circuit, inputs: bytes) -> list[list[int]]:
    """The integers of each input tensor in the packed inputs of a statement.

    Raises InputError if their length is not that of the circuit's layout.
    """
    program = circuit.manifest.program
    tensors = split_by_tensor(program.layout.unpack(inputs), program.inputs)
    return [tensors[tensor.name] for tensor in program.inputs]


def answer_of(circuit: Circuit, engine: Engine, spec: FeedSpec, inputs: bytes) -> Answer:
    """The circuit's answer to the packed inputs of a round.

    Args:
        circuit: an opened circuit.
        engine: the circuit's.
        spec: says which output is the answer.
        inputs: as an observation has them.

    Raises:
        InputError: the inputs are not the circuit's.
        RangeError: a value leaves the range of the circuit.
        EngineError: the engine failed.
        FeedFormatError: the feed's output does not exist, or is too large.
        AnswerOutOfBoundsError: the answer is out of the feed's bounds.
    """
    (tensors,) = engine.forward(circuit.folder, circuit.manifest.program, [integers_in(circuit, inputs)])
    outputs = tuple(value for tensor in tensors for value in tensor)
    return Answer(outputs, spec.answer(outputs))


def require_fit(circuit: Circuit, spec: FeedSpec, recipe: Recipe) -> None:
    """Return if a feed can be answered by a circuit: the recipe fills its input, and the answer has the output's scale.

    Raises RecipeError, which says what differs.
    """
    recipe.require_circuit(circuit)
    if scale_of_output(circuit, spec.output) != spec.scale:
        raise RecipeError(
            f"Output {spec.output} of {circuit.folder} has another scale than 2^{spec.scale}, as the feed says.",
            "A feed with another circuit is another feed: zkinfer oracle init",
        )


def scale_of_output(circuit: Circuit, output: int) -> int:
    """The fractional bits of one integer of the statement's outputs.

    Raises RecipeError if there is no such output, or its scale is negative or above 64.
    """
    place = output
    for tensor in circuit.manifest.program.outputs:
        if place < tensor.size:
            try:
                scale = tensor.common_scale
            except InputError as err:
                raise RecipeError(err.cause, err.cure) from err
            if not 0 <= scale <= 64:
                raise RecipeError(f"The output {tensor.describe_scaled()} has no scale from 2^0 to 2^64.")
            return scale
        place -= tensor.size
    raise RecipeError(f"{circuit.folder} has no output {output}.", "Choose another with --output.")
