"""What the checks of a trusted setup return."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.setups.ceremonies import INSECURE_DEV

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.digest import Digest

Progress = Callable[[float], None]
"""Called with the fraction done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class SetupReport:
    """A setup file that passed the full structural check; `sha256` is that of the very bytes that were checked."""

    ceremony: str
    k: int
    sha256: Digest
    tau_g2: bytes
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustedSetup:
    """A setup file that was checked, and the ceremony it comes from.

    Args:
        ceremony: the ceremony's name, for instance `perpetual-powers-of-tau`, or `insecure-dev`.
        k: the file holds 2^k powers and serves every circuit of that size or smaller.
        path: where the file lies.
        sha256: the digest of its content.
        tau_g2: tau times the generator of G2, in the encoding of `Ceremony.tau_g2`.
    """

    ceremony: str
    k: int
    path: Path
    sha256: Digest
    tau_g2: bytes

    @property
    def is_insecure_dev(self) -> bool:
        """Whether anyone can forge proofs made with it."""
        return self.ceremony == INSECURE_DEV

    @property
    def identity(self) -> dict[str, str]:
        """What a proof depends on, ready for JSON: the same for every k and every file of a ceremony."""
        return {"ceremony": self.ceremony, "tauG2": f"sha256:{hashlib.sha256(self.tau_g2).hexdigest()}"}
