"""Proving engines behind one seam: `base` is the seam, `ezkl` the first engine, `fake` the one for tests."""

from zkinfer.circuits.engines.base import Engine

__all__ = ["production_engines"]


def production_engines() -> dict[str, Engine]:
    """The engines whose proofs mean something, by id."""
    from zkinfer.circuits.engines.ezkl import EzklEngine  # noqa: PLC0415 - a child that calls ezkl needs none of it

    ezkl = EzklEngine()
    return {ezkl.id: ezkl}
