"""The files of a program of ezkl, and how its settings are read. The child imports this, so it stays light."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.errors import CircuitError

if TYPE_CHECKING:
    from pathlib import Path

NETWORK, SETTINGS, VK, VKA = "network.onnx", "settings.json", "vk.key", "vka.bin"


def read_settings(folder: Path) -> dict[str, Any]:
    """The engine's own description of the program in `folder`; raises CircuitError where there is none."""
    try:
        settings = json.loads((folder / SETTINGS).read_bytes())
    except (OSError, ValueError, RecursionError) as err:
        raise damaged(folder) from err
    if not isinstance(settings, dict):
        raise damaged(folder)
    return settings


def damaged(folder: Path) -> CircuitError:
    """What to say of a program whose settings cannot be used."""
    return CircuitError(
        f"{folder / SETTINGS} is missing, damaged or not the engine's.", "Compile again, or get the folder again."
    )
