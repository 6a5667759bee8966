"""What a chain can have on record, and the question whether it has. Whoever knows a chain answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zkinfer.circuits.context import Context


@dataclass(frozen=True, slots=True)
class ProvenAnswer:
    """A proven answer as a contract sees it.

    Args:
        context: the request that the proof was made for.
        model_id: names the circuit, as rebuilt by the verifier.
        inputs: public values about the inputs, in the proof's order: integers, or a digest of each; none if private.
        outputs: likewise of the outputs.
    """

    context: Context
    model_id: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class ChainRecord(Protocol):
    """The records of one chain."""

    def agree(self, answer: ProvenAnswer) -> str:
        """Return in a few words where this answer is on record; raise a RefusedError if it is not."""
        ...
