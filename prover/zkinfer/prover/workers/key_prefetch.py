"""Prefetch of proving keys before the first job: checking a key of gigabytes takes seconds."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from zkinfer.prover.errors import RepositoryError
from zkinfer.prover.repository import ModelRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.prover.prover import Prover
    from zkinfer.prover.repository import ModelVersion

_LOG = logging.getLogger(__name__)
_LOOK_EVERY = 10.0


class KeyPrefetcher:
    """Verifies proving keys while a worker is idle.

    Args:
        root: the folder of models.
        home: of trusted setups and proving keys.
        prover: remembers the verified keys.
        engines: those of the prover.
        beat: called many times a second while a key is read, and between models.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        root: Path,
        home: Home,
        prover: Prover,
        *,
        engines: Mapping[str, Engine] | None,
        beat: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._home, self._engines = root, home, engines
        self._prover = prover
        self._beat = beat
        self._clock = clock
        self._repository: ModelRepository | None = None
        self._done: set[Digest] = set()
        self._waiting: list[ModelVersion] = []
        self._look_at = 0.0

    def one(self) -> bool:
        """Prefetch the key of one served model that has not been prefetched; returns whether there was one."""
        if not self._waiting and self._clock() >= self._look_at:
            self._waiting = self._found()
            self._look_at = self._clock() + _LOOK_EVERY
        if not self._waiting:
            return False
        self._warm(self._waiting.pop())
        return True

    def _warm(self, model: ModelVersion) -> None:
        began = self._clock()
        self._done.add(model.digest)  # once: the next job reports and regenerates a wrong key
        said = "key warmed" if self._prover.warm(model.circuit, self._beat) else "key not warmed"
        _LOG.info(said, extra={"model": model.name, "seconds": round(self._clock() - began, 3)})

    def _found(self) -> list[ModelVersion]:
        try:
            if self._repository is None:
                self._repository = ModelRepository(self._root, home=self._home, engines=self._engines, beat=self._beat)
            else:
                self._repository.reload()
        except RepositoryError:  # reported by the server
            return []
        names = {entry.name for entry in self._repository.index()}
        ready = [model for name in sorted(names) for model in self._repository.versions(name)]
        return [model for model in ready if model.digest not in self._done]
