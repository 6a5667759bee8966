"""The child that searches: hundreds of calls of the engine in one process, which starts and loads it once.

Never import this in the parent.
"""

from __future__ import annotations

from typing import Any

from zkinfer.circuits import child
from zkinfer.circuits.engines import ezkl_calls, ezkl_tuner
from zkinfer.circuits.engines.ezkl_process import EzklProcess
from zkinfer.circuits.engines.ezkl_wire import answered, unpacked


def tune(request: dict[str, Any]) -> dict[str, Any]:
    """See `ezkl_tuner.tune`; request and answer are those of `ezkl_wire`."""
    return answered(lambda: ezkl_tuner.tune(_Here(child.Limits()), unpacked(request), child.report))


class _Here(EzklProcess):
    """The same calls without a child: this process is one, and has its limits already."""

    def call(self, name: str, progress: object = None, /, **arguments: Any) -> Any:  # noqa: ANN401, ARG002 - JSON
        return getattr(ezkl_calls, name)(**arguments)
