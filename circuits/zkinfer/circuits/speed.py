"""How fast this machine is: measured once, kept in the user's cache."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.errors import EngineError, InputError, why
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.storage import own_directory, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Progress
    from zkinfer.circuits.home import Home

_SLOWEST = 1e6  # seconds for a unit of work, which takes about one, and units of what is measured; NaN is not below it


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-speed/2"] = "zkinfer-speed/2"
    engine: str
    machine: str
    speed: Speed


def known_speed(engine: Engine, home: Home) -> Speed | None:
    """What was measured for this engine on this machine; None where nothing was, or what is kept is of no use."""
    try:
        kept = _Kept.model_validate_json(_path(engine, home).read_bytes())
    except (OSError, ValidationError):
        return None
    fits = (kept.engine, kept.machine) == (engine.id, resources.fingerprint()) and _is_possible(kept.speed)
    return kept.speed if fits else None


def _is_possible(speed: Speed) -> bool:
    """Whether a machine could be so; an edited file may say anything."""
    return all(0 <= number < _SLOWEST for number in astuple(speed)) and 0 < speed.small <= speed.large


def measured_speed(engine: Engine, home: Home, progress: Progress | None = None) -> Speed:
    """Measure this machine anew, which takes some seconds, and keep the result.

    Raises:
        SetupError: no development setup can be made.
        EngineError: the engine failed, or measured what cannot be.
        InputError: the result cannot be kept.
    """
    speed = engine.measure_speed(lambda log_rows: home.setups.serving(log_rows, INSECURE_DEV).path, progress=progress)
    if not _is_possible(speed):
        raise EngineError(
            f"Engine {engine.id} measured an impossible speed: {speed}.", "Run `zkinfer calibrate` again."
        )
    kept, path = _Kept(engine=engine.id, machine=resources.fingerprint(), speed=speed), _path(engine, home)
    try:
        write_atomically(path, kept.model_dump_json(indent=2).encode())
    except OSError as err:
        raise InputError(f"{path} cannot be written: {why(err)}.") from err
    return speed


def _path(engine: Engine, home: Home) -> Path:
    return own_directory(home.speeds) / f"{engine.id.replace('/', '-')}.json"
