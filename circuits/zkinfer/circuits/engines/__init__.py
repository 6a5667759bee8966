"""Proving engines behind one seam: `base` is the seam, `ezkl` the first engine, `fake` the one for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Engine

__all__ = ["production_engines"]


def production_engines() -> dict[str, Engine]:
    """The engines whose proofs mean something, by id."""
    # Not on top: the children that call an engine import this package too, and must start fast.
    from zkinfer.circuits.engines.ezkl import EzklEngine  # noqa: PLC0415

    ezkl = EzklEngine()
    return {ezkl.id: ezkl}
