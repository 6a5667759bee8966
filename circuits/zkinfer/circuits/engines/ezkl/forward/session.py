"""The ezkl engine held ready for forward passes, in a child that keeps the program compiled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zkinfer.circuits.context import LIMBS
from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.circuits.sandbox.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Program
    from zkinfer.circuits.sandbox.child import Limits

_OPEN = "zkinfer.circuits.engines.ezkl.forward.worker:open_forward"
_FEW_ROWS = 1 << 16
_LEAST_PATIENCE, _ROWS_PER_SECOND = 60.0, 10_000


class EzklSession:
    """One program, one child.

    Small programs are held to one core: see `cores`. Larger ones gain more from several.
    """

    def __init__(self, folder: Path, program: Program, limits: Limits) -> None:
        self._sizes = [spec.size for spec in program.outputs]
        # The engine's threads have been seen to wait for each other for ever.
        patience = _LEAST_PATIENCE + program.rows / _ROWS_PER_SECOND
        self._session = Session(
            _OPEN,
            {
                "folder": str(folder.resolve()),
                "outputs_wanted": len(program.outputs),
                "integer_limit": program.integer_limit,
                "one_core": program.rows <= _FEW_ROWS,
            },
            limits=replace(limits, seconds=min(limits.seconds, patience)),
        )

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """With an empty context, which changes no answer."""
        tensors = [[0] * LIMBS, *(list(tensor) for tensor in sample)]
        outputs = self._session.ask(sample=tensors)
        if not isinstance(outputs, list) or [_size(tensor) for tensor in outputs] != self._sizes:
            raise EngineCrashedError("The engine answered with other tensors than the program has.")
        return outputs

    @property
    def usable(self) -> bool:
        """As the child's session is."""
        return self._session.usable

    def kill(self) -> None:
        """Kill the child."""
        self._session.kill()

    def close(self) -> None:
        """Kill the child and free what belongs to it."""
        self._session.close()


def _size(tensor: object) -> int | None:
    """How many integers it has; None for anything else."""
    if not isinstance(tensor, list) or not all(type(value) is int for value in tensor):
        return None
    return len(tensor)
