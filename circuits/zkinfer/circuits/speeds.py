"""How fast this machine is: measured once, kept in the user's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits import machine
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.owned import own_directory
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.scratch import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Progress
    from zkinfer.circuits.home import Home


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-speed/1"] = "zkinfer-speed/1"
    engine: str
    machine: str
    speed: Speed


def known_speed(engine: Engine, home: Home) -> Speed | None:
    """What was measured for this engine on this machine; None where nothing was, or what is kept is of no use."""
    try:
        kept = _Kept.model_validate_json(_path(engine, home).read_bytes())
    except (OSError, ValidationError):
        return None
    return kept.speed if (kept.engine, kept.machine) == (engine.id, machine.fingerprint()) else None


def measured_speed(engine: Engine, home: Home, progress: Progress | None = None) -> Speed:
    """Measure this machine anew, which takes a few seconds, and keep the result.

    Raises:
        SetupError: no development setup can be made.
        EngineError: the engine failed.
    """
    speed = engine.measure_speed(lambda log_rows: home.setups.serving(log_rows, INSECURE_DEV).path, progress=progress)
    kept = _Kept(engine=engine.id, machine=machine.fingerprint(), speed=speed)
    write_atomically(_path(engine, home), kept.model_dump_json(indent=2).encode())
    return speed


def _path(engine: Engine, home: Home) -> Path:
    return own_directory(home.speeds) / f"{engine.id.replace('/', '-')}.json"
