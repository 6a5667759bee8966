"""The engine's forward pass, and the answer in its witness. Loaded in children only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zkinfer.circuits.engines.ezkl import bindings as bridge
from zkinfer.circuits.engines.ezkl.bit_width import OUT_OF_RANGE
from zkinfer.circuits.errors import RangeError


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
