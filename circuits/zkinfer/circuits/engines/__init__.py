"""Proving engines behind one seam: `base` is the seam, `ezkl` the first engine, `fake` the one for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.sandbox.child import Limits

__all__ = ["production_engines"]


def production_engines(limits: Limits | None = None) -> dict[str, Engine]:
    """The engines whose proofs mean something, by id.

    Args:
        limits: what a call of theirs may use; None is for proving one's own circuits.
    """
    # Not on top: the children that call an engine import this package too, and must start fast.
    from zkinfer.circuits.engines.ezkl.engine import EzklEngine  # noqa: PLC0415

    ezkl = EzklEngine(limits)
    return {ezkl.id: ezkl}
