"""Speed of this machine, measured once and stored in the user's cache."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.errors import EngineError, InputError, why
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.sandbox import resources
from zkinfer.circuits.storage import ensure_private_dir, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.engines.base import Engine, Progress
    from zkinfer.circuits.home import Home

_SLOWEST = 1e6  # upper limit of every figure: seconds per unit of work (about 1), and units of work; excludes NaN too


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["zkinfer-speed/2"] = "zkinfer-speed/2"
    engine: str
    machine: str
    speed: Speed


def known_speed(engine: Engine, home: Home) -> Speed | None:
    """The stored speed of this engine on this machine; None if it was not measured or the record is not usable."""
    try:
        stored = _Record.model_validate_json(_path(engine, home).read_bytes())
    except (OSError, ValidationError):
        return None
    is_ours = (stored.engine, stored.machine) == (engine.id, resources.fingerprint())
    return stored.speed if is_ours and _is_plausible(stored.speed) else None


def _is_plausible(speed: Speed) -> bool:
    """Whether the figures are plausible: the file may have been edited."""
    return all(0 <= number < _SLOWEST for number in astuple(speed)) and 0 < speed.small <= speed.large


def measured_speed(engine: Engine, home: Home, progress: Progress | None = None) -> Speed:
    """Measure this machine, which takes some seconds, and store the result.

    Args:
        engine: the engine to measure.
        home: holds the development setup and the result.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: the development setup cannot be generated.
        EngineError: the engine failed, or returned implausible figures.
        InputError: the result cannot be stored.
    """
    speed = engine.measure_speed(
        lambda log_rows: home.setups.find_or_generate(log_rows, INSECURE_DEV).path, progress=progress
    )
    if not _is_plausible(speed):
        raise EngineError(
            f"Engine {engine.id} measured an impossible speed: {speed}.", "Run `zkinfer calibrate` again."
        )
    record, path = _Record(engine=engine.id, machine=resources.fingerprint(), speed=speed), _path(engine, home)
    try:
        write_atomically(path, record.model_dump_json(indent=2).encode())
    except OSError as err:
        raise InputError(f"{path} cannot be written: {why(err)}.") from err
    return speed


def _path(engine: Engine, home: Home) -> Path:
    return ensure_private_dir(home.speeds) / f"{engine.id.replace('/', '-')}.json"
