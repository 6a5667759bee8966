"""The registry of proving engines; `base` defines the seam that they implement. No other module names an engine.

Engines are registered by module and class name, so that only the requested one is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.sandbox.child import Limits

__all__ = ["DEFAULT_ENGINE", "ENGINES", "engine_named", "engines_by_name", "labels_of", "production_engines"]

ENGINES: Final = {
    "ezkl": ("zkinfer.circuits.engines.ezkl.engine", "EzklEngine"),
    "ashlar": ("zkinfer.circuits.engines.ashlar.engine", "AshlarEngine"),
}
"""Module and class of each engine, by its `--engine` name."""
DEFAULT_ENGINE: Final = "ezkl"


def engine_named(name: str = DEFAULT_ENGINE, limits: Limits | None = None) -> Engine:
    """The registered engine with this name.

    Args:
        name: a key of `ENGINES`, or an engine's id, such as `ezkl/23.0.5`, of which the version is ignored.
        limits: resource limits of each call; None for those of proving your own circuits.

    Raises:
        InputError: no engine is registered under this name.
    """
    try:
        module, kind = ENGINES[name.partition("/")[0]]
    except KeyError as err:
        raise InputError(f"There is no engine {name[:40]!r}.", f"Choose one of: {', '.join(ENGINES)}.") from err
    # Imported late: the child processes that call an engine import this package too, and must start fast.
    engine: Engine = getattr(import_module(module), kind)(limits)
    return engine


def labels_of(name: str, stated: Iterable[str] = ()) -> tuple[str, ...]:
    """What users must know before they rely on an engine's proofs: what it says itself, then what a circuit states.

    A circuit is written by others, who may leave it out.
    """
    known = engine_named(name).labels if name.partition("/")[0] in ENGINES else ()
    return tuple(dict.fromkeys((*known, *stated)))


def engines_by_name(limits: Limits | None = None) -> dict[str, Engine]:
    """All registered engines by name; none of them is a test engine."""
    return {name: engine_named(name, limits) for name in ENGINES}


def production_engines(limits: Limits | None = None) -> dict[str, Engine]:
    """All registered engines by id."""
    return {engine.id: engine for engine in engines_by_name(limits).values()}
