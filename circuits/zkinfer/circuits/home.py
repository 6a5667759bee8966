"""The user's data directory: trusted setups, proving keys, rebuilt verifying keys, address books."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from zkinfer.circuits.srs import SetupStore


@dataclass(frozen=True, slots=True)
class Home:
    """One directory of this user; all of it except `setups` and `deployments` is a cache that may be deleted.

    A server whose user sets `ZKINFER_HOME` also keeps its jobs there by default, in `state`, which is no cache.
    `setup_search` lists further directories with trusted setups, which are only read.
    """

    root: Path
    setup_search: tuple[Path, ...] = ()

    @classmethod
    def from_environment(cls) -> Self:
        """`ZKINFER_HOME`, else `zkinfer` in the user's cache; `ZKINFER_SETUP_PATH` sets `setup_search`."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        root = Path(os.environ.get("ZKINFER_HOME") or Path(cache, "zkinfer"))
        search = os.environ.get("ZKINFER_SETUP_PATH", "").split(os.pathsep)
        return cls(root, tuple(Path(entry) for entry in search if entry))

    @property
    def setups(self) -> SetupStore:
        """Trusted setups."""
        return SetupStore(self.root / "setups", search=self.setup_search)

    @property
    def keys(self) -> Path:
        """Proving keys, by circuit digest."""
        return self.root / "keys"

    @property
    def speeds(self) -> Path:
        """Measured speed of this machine, by engine."""
        return self.root / "speeds"

    @property
    def deployments(self) -> Path:
        """Address books of deployments, by chain id."""
        return self.root / "deployments"

    @property
    def rebuilt(self) -> Path:
        """Circuits that verifiers rebuilt from ONNX files and recipes."""
        return self.root / "rebuilt"
