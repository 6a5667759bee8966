"""The offline verifier, as a service to those who trust this server: few at a time, and of bounded size."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from zkinfer.circuits.child import Limits
from zkinfer.circuits.engines import production_engines
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.owned import own_directory
from zkinfer.circuits.processes import yielding
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verified inference, and the steps that led there."""

    inference: VerifiedInference
    steps: tuple[Step, ...]


class Verifications:
    """Verifies in threads of its own; the engine's part runs in killable children, and yields to answers.

    Args:
        home: trusted setups, and the cache of what was rebuilt.
        at_a_time: more are refused; nobody waits in line.
        engines: by id; None for those whose proofs mean something.
    """

    def __init__(self, home: Home, *, at_a_time: int = 1, engines: Mapping[str, Engine] | None = None) -> None:
        self._home = home
        self._at_a_time = at_a_time
        self._engines = production_engines(Limits.for_verifying()) if engines is None else engines
        self._fake = any(not engine.production for engine in self._engines.values())
        self._threads = ThreadPoolExecutor(at_a_time, thread_name_prefix="verify")
        self._running = 0

    async def verify(
        self,
        attestation: bytes,
        policy: Policy,
        models: Mapping[Digest, Path],
        expected_inputs: Mapping[str, NDArray[np.generic]] | None,
    ) -> Verdict:
        """Verify as `zkinfer.verifier.Verifier` does, with these ONNX files by digest.

        A caller who leaves does not end it, so that leaving and coming again gains nothing.

        Raises:
            TooManyRequestsError: as many are under way as may be.
            ZkinferError: whatever the verifier raises.
        """
        if self._running >= self._at_a_time:
            raise TooManyRequestsError(
                "The server verifies as many attestations as it may.", "Try again soon.", _BUSY_SECONDS
            )
        self._running += 1
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._threads, self._verify, attestation, policy, models, expected_inputs)
        done.add_done_callback(self._ended)
        return await asyncio.shield(done)

    def _ended(self, done: asyncio.Future[Verdict]) -> None:
        self._running -= 1
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
        with yielding():
            inference = Verifier(trusted=trusted).verify(
                attestation, policy, expected_inputs=expected_inputs, observer=steps.append
            )
        return Verdict(inference, tuple(steps))

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _require_own(cache: Path) -> None:
    """A cache that cannot be trusted is no fault of the caller, who is not told where it lies."""
    try:
        own_directory(cache)
    except InputError as err:
        raise CircuitError(err.cause, err.cure) from err
