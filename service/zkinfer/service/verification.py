"""The offline verifier, as a service to those who trust this server: few at a time, and of bounded size."""

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
from zkinfer.circuits.sandbox.cancel import StopSignal, stoppable
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.processes import yielding
from zkinfer.circuits.storage import own_directory, private_directory
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
_MOST_ENTRIES, _MOST_BYTES = 1000, 1 << 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verified inference, and the steps that led there."""

    inference: VerifiedInference
    steps: tuple[Step, ...]


class Verifications:
    """Verifies in threads of its own; the engine's part runs in killable children, and yields to answers.

    Args:
        home: trusted setups, and the cache of what was rebuilt.
        at_a_time: more are refused, and a second one of the same caller; nobody waits in line.
        engines: by id; None for those whose proofs mean something.
    """

    def __init__(self, home: Home, *, at_a_time: int = 2, engines: Mapping[str, Engine] | None = None) -> None:
        self._home = home
        self._at_a_time = at_a_time
        self._engines = production_engines(Limits.for_verifying()) if engines is None else engines
        self._fake = any(not engine.production for engine in self._engines.values())
        self._threads = ThreadPoolExecutor(at_a_time, thread_name_prefix="verify")
        self._running: set[str] = set()
        self._stop = StopSignal()

    async def verify(
        self,
        caller: str,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> Verdict:
        """Verify for a caller as `zkinfer.verifier.Verifier` does, with these ONNX files by digest.

        A caller who leaves does not end it, so that leaving and coming again gains nothing.

        Raises:
            TooManyRequestsError: as many are under way as may be, or one of this caller.
            ZkinferError: whatever the verifier raises.
        """
        if caller in self._running or len(self._running) >= self._at_a_time:
            raise TooManyRequestsError(
                "The server verifies as many attestations as it may, of all callers or of one.",
                "Try again soon.",
                _BUSY_SECONDS,
            )
        self._running.add(caller)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._threads, self._verify, attestation, policy, models, expected_inputs)
        done.add_done_callback(partial(self._ended, caller))
        return await asyncio.shield(done)

    def _ended(self, caller: str, done: asyncio.Future[Verdict]) -> None:
        self._running.discard(caller)
        if not done.cancelled():
            done.exception()  # looked at, should nobody be left to hear it

    def _verify(
        self,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> Verdict:
        trusted = Trusted(
            models=MappingProxyType(dict(models)),
            setups=self._home.setups,
            cache=self._home.rebuilt,
            engines=self._engines,
            ceremonies=REAL_CEREMONIES,
            unsafe_accept_fake_engine=self._fake,
        )
        _require_own(self._home.rebuilt)
        steps: list[Step] = []
        try:
            with stoppable(self._stop), yielding():
                inference = Verifier(trusted=trusted).verify(
                    attestation, policy, expected_inputs=expected_inputs, observer=steps.append
                )
        finally:
            if len(self._running) <= 1:  # else the other may be using what would go; it forgets for both
                _forget_oldest(self._home.rebuilt)  # a refused one was rebuilt too
        return Verdict(inference, tuple(steps))

    def close(self) -> None:
        """Begin nothing more, and stop what is under way."""
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)
        self._stop.close()


def _require_own(cache: Path) -> None:
    """A cache that cannot be trusted is no fault of the caller, who is not told where it lies."""
    try:
        own_directory(cache)
    except InputError as err:
        raise CircuitError(err.cause, err.cure) from err


def _forget_oldest(cache: Path) -> None:
    """Remove what was used longest ago, beyond a number and a size: callers fill the cache, and nobody empties it."""
    with suppress(OSError):  # whoever verifies next finds out what is wrong with it
        if old := _beyond(sorted(cache.glob(_ENTRY), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)):
            with private_directory(cache) as leaving:
                for entry in old:
                    entry.rename(leaving / entry.name)


def _beyond(entries: list[Path]) -> list[Path]:
    """Those after the number, or the size, that is kept; never the newest."""
    sizes = accumulate(sum(file.stat().st_size for file in entry.iterdir()) for entry in entries)
    return [
        entry
        for number, (entry, size) in enumerate(zip(entries, sizes, strict=True), 1)
        if number > 1 and (number > _MOST_ENTRIES or size > _MOST_BYTES)
    ]
