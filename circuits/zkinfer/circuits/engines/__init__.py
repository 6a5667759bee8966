"""Proving engines behind one seam: `base` is the seam; this module registers the engines, and alone names them.

An engine is registered by the module and the class that make it, so that asking for one loads no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.sandbox.child import Limits

__all__ = ["DEFAULT_ENGINE", "ENGINES", "engine_named", "production_engines"]

ENGINES: Final = {"ezkl": ("zkinfer.circuits.engines.ezkl.engine", "EzklEngine")}
"""Module and class by the name that `--engine` takes."""
DEFAULT_ENGINE: Final = "ezkl"


def engine_named(name: str = DEFAULT_ENGINE, limits: Limits | None = None) -> Engine:
    """The registered engine of this name.

    Args:
        name: a key of `ENGINES`; what follows a slash is ignored, as in `ezkl/23.0.5`.
        limits: what a call of its may use; None is for proving one's own circuits.

    Raises:
        InputError: no engine is registered under this name.
    """
    try:
        module, kind = ENGINES[name.partition("/")[0]]
    except KeyError as err:
        raise InputError(f"There is no engine {name[:40]!r}.", f"Choose one of: {', '.join(ENGINES)}.") from err
    # Loaded here: the children that call an engine import this package too, and must start fast.
    engine: Engine = getattr(import_module(module), kind)(limits)
    return engine


def production_engines(limits: Limits | None = None) -> dict[str, Engine]:
    """All registered engines, by id; their proofs mean something."""
    engines = (engine_named(name, limits) for name in ENGINES)
    return {engine.id: engine for engine in engines}
