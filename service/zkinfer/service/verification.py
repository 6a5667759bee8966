"""The offline verifier as a service, for callers who trust this server; limited in concurrency and cache size."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.deadline import StopSignal, stoppable
from zkinfer.circuits.sandbox.processes import yielding
from zkinfer.circuits.storage import ensure_private_dir, private_directory
from zkinfer.service.errors import TooManyRequestsError
from zkinfer.verifier import REAL_CEREMONIES, Trusted, Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.verifier import Policy, Step, VerifiedInference

_BUSY_SECONDS = 5.0
_ENTRY = "[0-9a-f]" * 64
_MAX_ENTRIES, _MAX_BYTES = 1000, 1 << 30


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """A verified inference and the verification steps."""

    inference: VerifiedInference
    steps: tuple[Step, ...]


class VerificationService:
    """Verifies in its own threads; engines run in child processes at lower priority than inference.

    Args:
        home: trusted setups, and the cache of rebuilt circuits.
        max_concurrent: further verifications are rejected, as is a second one by the same caller.
        engines: by id; None for the production engines.
    """

    def __init__(self, home: Home, *, max_concurrent: int = 2, engines: Mapping[str, Engine] | None = None) -> None:
        self._home = home
        self._max_concurrent = max_concurrent
        self._engines = production_engines(Limits.for_verifying()) if engines is None else engines
        self._fake = any(not engine.production for engine in self._engines.values())
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="verify")
        self._running: set[str] = set()
        self._stop = StopSignal()

    async def verify(
        self,
        caller: str,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> VerificationResult:
        """Verify for a caller as `zkinfer.verifier.Verifier` does, with these ONNX files by digest.

        Cancelling the call does not cancel the verification, so cancelling and retrying gains nothing.

        Raises:
            TooManyRequestsError: too many verifications are running, or one of this caller's.
            ZkinferError: as `Verifier.verify`.
        """
        if caller in self._running or len(self._running) >= self._max_concurrent:
            raise TooManyRequestsError(
                "Too many verifications are running, of all callers or of this one.",
                "Retry in a few seconds.",
                _BUSY_SECONDS,
            )
        self._running.add(caller)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._threads, self._verify, attestation, policy, models, expected_inputs)
        done.add_done_callback(partial(self._on_done, caller))
        return await asyncio.shield(done)

    def _on_done(self, caller: str, done: asyncio.Future[VerificationResult]) -> None:
        self._running.discard(caller)
        if not done.cancelled():
            done.exception()  # marked as retrieved, in case the caller has left

    def _verify(
        self,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> VerificationResult:
        trusted = Trusted(
            models=MappingProxyType(dict(models)),
            setups=self._home.setups,
            cache=self._home.rebuilt,
            engines=self._engines,
            ceremonies=REAL_CEREMONIES,
            unsafe_accept_fake_engine=self._fake,
        )
        _require_private(self._home.rebuilt)
        steps: list[Step] = []
        try:
            with stoppable(self._stop), yielding():
                inference = Verifier(trusted=trusted).verify(
                    attestation, policy, expected_inputs=expected_inputs, observer=steps.append
                )
        finally:
            if len(self._running) <= 1:  # a concurrent one may use an entry, and evicts for both when it ends
                _evict_oldest(self._home.rebuilt)  # rejected attestations fill the cache too
        return VerificationResult(inference, tuple(steps))

    def close(self) -> None:
        """Start no more verifications, and stop the running ones."""
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)
        self._stop.close()


def _require_private(cache: Path) -> None:
    """An unsafe cache is a server fault, so raise CircuitError, whose message callers do not see."""
    try:
        ensure_private_dir(cache)
    except InputError as err:
        raise CircuitError(err.cause, err.cure) from err


def _evict_oldest(cache: Path) -> None:
    """Evict the least recently used entries beyond the limits of number and size."""
    with suppress(OSError):  # the next verification reports the cause
        if old := _beyond(sorted(cache.glob(_ENTRY), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)):
            with private_directory(cache) as evicted:
                for entry in old:
                    entry.rename(evicted / entry.name)


def _beyond(entries: list[Path]) -> list[Path]:
    """The entries beyond the limits, which are never the newest one."""
    sizes = accumulate(sum(file.stat().st_size for file in entry.iterdir()) for entry in entries)
    return [
        entry
        for number, (entry, size) in enumerate(zip(entries, sizes, strict=True), 1)
        if number > 1 and (number > _MAX_ENTRIES or size > _MAX_BYTES)
    ]
