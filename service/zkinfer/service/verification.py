"""The offline verifier as a service, for callers who trust this server; limited in number, time and cache size.

What a verification costs follows from the recipe in the attestation, which any caller can write. So it is stopped after
a time limit, no trusted setup is generated for it, and a caller who kept others out has to wait afterwards.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, InputError, StoppedError
from zkinfer.circuits.recipe import INSECURE_DEV
from zkinfer.circuits.sandbox.child import Limits, StopSignal, stoppable
from zkinfer.circuits.sandbox.processes import yielding
from zkinfer.circuits.storage import ensure_private_dir, private_directory
from zkinfer.service.errors import SlowVerificationError, TooManyRequestsError
from zkinfer.verifier import REAL_CEREMONIES, Trusted, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.home import Home
    from zkinfer.service.trust_root import ServerTrustRoot
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
        seconds: time limit of one verification.
        engines: by id; None for the production engines.
        clock: monotonic, in seconds.
        trust_root: what is accepted at most, whatever a caller's policy says; None for the policy alone.
    """

    def __init__(
        self,
        home: Home,
        *,
        max_concurrent: int = 2,
        seconds: float = 120.0,
        engines: Mapping[str, Engine] | None = None,
        clock: Callable[[], float] = time.monotonic,
        trust_root: ServerTrustRoot | None = None,
    ) -> None:
        self._trust_root = trust_root
        self._home = home
        self._max_concurrent = max_concurrent
        self._seconds = seconds
        self._engines = production_engines(Limits.for_verifying()) if engines is None else engines
        self._fake = any(not engine.production for engine in self._engines.values())
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="verify")
        self._running: set[str] = set()
        self._pauses: dict[str, float] = {}
        self._last_rejection = float("-inf")
        self._stops: set[StopSignal] = set()
        self._closed = False

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
            TooManyRequestsError: too many verifications are running, or one of this caller's, or others were rejected
                during this caller's last one, which took about as long as it has been since.
            SlowVerificationError: it took longer than the time limit.
            TrustRootError: the server's trust root cannot be used.
            ZkinferError: as `Verifier.verify`.
        """
        self._require_place(caller)
        self._running.add(caller)
        loop, stop, began = asyncio.get_running_loop(), StopSignal(), self._clock()
        self._stops.add(stop)
        done = loop.run_in_executor(self._threads, self._verify, stop, attestation, policy, models, expected_inputs)
        timer = loop.call_later(self._seconds, stop.set)
        done.add_done_callback(partial(self._on_done, caller, stop, timer, began))
        return await asyncio.shield(done)

    def _require_place(self, caller: str) -> None:
        now = self._clock()
        self._pauses = {name: end for name, end in self._pauses.items() if end > now}
        if caller in self._pauses:
            raise TooManyRequestsError(
                "Other callers were rejected during the last verification of this one.",
                "Retry later.",
                self._pauses[caller] - now,
            )
        if caller in self._running or len(self._running) >= self._max_concurrent:
            if caller not in self._running:
                self._last_rejection = now
            raise TooManyRequestsError(
                "Too many verifications are running, of all callers or of this one.",
                "Retry in a few seconds.",
                _BUSY_SECONDS,
            )

    def _on_done(
        self,
        caller: str,
        stop: StopSignal,
        timer: asyncio.TimerHandle,
        began: float,
        done: asyncio.Future[VerificationResult],
    ) -> None:
        timer.cancel()
        self._running.discard(caller)
        self._stops.discard(stop)
        stop.close()
        now = self._clock()
        if self._last_rejection >= began:
            self._pauses[caller] = now + (now - began)
        if not done.cancelled():
            done.exception()  # marked as retrieved, in case the caller has left

    def _verify(
        self,
        stop: StopSignal,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> VerificationResult:
        applied = None if self._trust_root is None else self._trust_root.read()
        trusted = Trusted(
            models=MappingProxyType(dict(models)),
            setups=self._home.setups,
            cache=self._home.rebuilt,
            engines=self._engines,
            ceremonies=REAL_CEREMONIES if applied is None else applied.ceremonies - {INSECURE_DEV},
            generates_dev_setups=False,
            unsafe_accept_fake_engine=self._fake,
        )
        required = policy if applied is None else applied.narrowed(policy)
        _require_private(self._home.rebuilt)
        steps: list[Step] = []
        try:
            with stoppable(stop), yielding():
                inference = Verifier(trusted=trusted).verify(
                    attestation, required, expected_inputs=expected_inputs, observer=steps.append
                )
        except StoppedError as err:
            if self._closed:
                raise
            raise SlowVerificationError(
                f"The verification took longer than {self._seconds:g} seconds and was stopped.",
                "Verify with `zkinfer verify`, or ask the operator for a larger limits.verification_seconds.",
            ) from err
        finally:
            if len(self._running) <= 1:  # a concurrent one may use an entry, and evicts for both when it ends
                _evict_oldest(self._home.rebuilt)  # rejected attestations fill the cache too
        return VerificationResult(inference, tuple(steps))

    def close(self) -> None:
        """Start no more verifications, and stop the running ones."""
        self._closed = True
        for stop in list(self._stops):
            stop.set()
        self._threads.shutdown(cancel_futures=True)


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
