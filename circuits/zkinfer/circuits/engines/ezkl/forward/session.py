"""A session for forward passes: a child process that keeps the compiled program in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.errors import EngineCrashedError
from zkinfer.circuits.sandbox.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Program
    from zkinfer.circuits.sandbox.child import Limits

_OPEN = "zkinfer.circuits.engines.ezkl.forward.worker:open_forward"
_FEW_ROWS = 1 << 16
_MIN_TIMEOUT, _ROWS_PER_SECOND = 60.0, 10_000


class EzklSession:
    """One program in one child process.

    Small programs run on one core, see `worker.on_one_core`; larger ones gain more from several.
    """

    def __init__(self, folder: Path, program: Program, limits: Limits) -> None:
        self._sizes = [spec.size for spec in program.outputs]
        # The engine's threads occasionally deadlock.
        timeout = _MIN_TIMEOUT + program.figures["rows"] / _ROWS_PER_SECOND
        self._session = Session(
            _OPEN,
            {
                "folder": str(folder.resolve()),
                "outputs_wanted": len(program.outputs),
                "integer_limit": program.integer_limit,
                "one_core": program.figures["rows"] <= _FEW_ROWS,
            },
            limits=replace(limits, seconds=min(limits.seconds, timeout)),
        )

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """The outputs for one sample; the context is empty, since it does not affect them."""
        tensors = [[0] * LIMBS, *(list(tensor) for tensor in sample)]
        outputs = self._session.ask(sample=tensors)
        if not isinstance(outputs, list) or [_size(tensor) for tensor in outputs] != self._sizes:
            raise EngineCrashedError("The engine returned tensors of other sizes than the program has.")
        return outputs

    @property
    def usable(self) -> bool:
        """Whether the child can take another sample."""
        return self._session.usable

    def kill(self) -> None:
        """Kill the child."""
        self._session.kill()

    def close(self) -> None:
        """End the child and free its resources."""
        self._session.close()


def _size(tensor: object) -> int | None:
    """The number of integers in a list of integers; None for any other value."""
    if not isinstance(tensor, list) or not all(type(value) is int for value in tensor):
        return None
    return len(tensor)
