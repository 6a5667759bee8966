"""What a chain can have on record, and the question whether it has. Whoever knows a chain answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zkinfer.circuits.context import Context
    from zkinfer.circuits.statement import Statement


@dataclass(frozen=True, slots=True)
class ProvenAnswer:
    """A proven answer as a contract sees it.

    Args:
        context: the request that the proof was made for.
        model_id: names the circuit, as rebuilt by the verifier.
        statement: what was proven: a contract sees the same inputs and outputs.
    """

    context: Context
    model_id: str
    statement: Statement


class ChainRecord(Protocol):
    """The records of one chain."""

    def agree(self, answer: ProvenAnswer) -> str:
        """Return in a few words where this answer is on record; raise a RefusedError if it is not."""
        ...
