"""The trust root of a server: what VerifyAttestation accepts at most, whatever the caller's policy says.

The file is read again for every verification, so a new version with a revocation counts from the next one on. Nobody
watches a server at first use, so the fingerprint of the root keys must be set.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.verifier import AllOf, TrustRootError
from zkinfer.verifier.trustroot.accepted import in_force, root_policy
from zkinfer.verifier.trustroot.signed import RootFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zkinfer.verifier import Policy
    from zkinfer.verifier.trustroot.pins import Pins


@dataclass(frozen=True, slots=True)
class AppliedRoot:
    """The version in force at one moment."""

    policy: Policy
    ceremonies: frozenset[str]

    def narrowed(self, policy: Policy) -> Policy:
        """A caller's policy that also requires what the trust root does."""
        return AllOf(policy, self.policy)


@dataclass(frozen=True, slots=True)
class ServerTrustRoot:
    """A trust root from the settings.

    Args:
        path: its file.
        fingerprint: that its root keys must have; see `TrustRoot.fingerprint`.
        pins: remember the accepted version, so that no older one is accepted.
        clock: returns the current time, with a time zone.
    """

    path: Path
    fingerprint: str
    pins: Pins
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def read(self) -> AppliedRoot:
        """Read and accept the file; raises TrustRootError, also if it cannot be read: that is no fault of a caller."""
        now = self.clock()
        try:
            file = RootFile.read(self.path)
            self.pins.accept(file, now, fingerprint=self.fingerprint)
        except TrustRootError:
            raise
        except InputError as err:
            raise TrustRootError(err.cause, err.cure) from err
        return AppliedRoot(root_policy(file, now), frozenset(in_force(file, now).setups))
