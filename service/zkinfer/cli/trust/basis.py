"""The options of `zkinfer verify` that rest on a trust root, or on an earlier date."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.options import parse_moment
from zkinfer.cli.trust.audit import facts, pins, say_first_use

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.verifier import ChainRecord, Policy
    from zkinfer.verifier.consistency import KnownCheckpoint
    from zkinfer.verifier.trustroot.signed import RootFile

TrustRootFile = Annotated[
    Path | None,
    typer.Option(
        "--trust-root", metavar="ROOT.json", help="Accept only what this trust root lists; see `zkinfer trust`."
    ),
]
At = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_moment,
        metavar="DATE",
        help="Verify as of an earlier time, at which you know that the attestation existed: 2026-11-30 (its beginning, "
        "UTC) or 2026-11-30T12:00:00Z.",
    ),
]
LogProofFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Require a log of the trust root to hold the attestation; its inclusion proof."),
]
LogCheckpointFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Require that the log shows you what it shows others: its checkpoint that you have from elsewhere.",
    ),
]
LogConsistencyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The log's proof that the two checkpoints are consistent, if their sizes differ."
    ),
]


@dataclass(slots=True)
class Basis:
    """What the trust root and the date add to a verification; `open` must be called first.

    Args:
        root: the file of the trust root.
        at: as of when to verify; None is now.
        log_proof: the file of a proof that a log holds the attestation.
        fingerprint: that the root keys of the trust root must have.
        log_checkpoint: the file of a checkpoint from elsewhere, with which that of the proof must be consistent.
        log_consistency: the file of the proof of it, if their sizes differ.
    """

    root: Path | None = None
    at: datetime | None = None
    log_proof: Path | None = None
    fingerprint: str | None = None
    log_checkpoint: Path | None = None
    log_consistency: Path | None = None
    _file: RootFile | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Reject what needs a trust root without one, and a date in the future."""
        if self.log_proof is not None and self.root is None:
            raise typer.BadParameter("--log-proof needs --trust-root, which lists the logs")
        if self.fingerprint is not None and self.root is None:
            raise typer.BadParameter("--root-fingerprint needs --trust-root, the file that must have it")
        if self.log_checkpoint is not None and self.log_proof is None:
            raise typer.BadParameter("--log-checkpoint needs --log-proof, whose checkpoint it is compared with")
        if self.log_consistency is not None and self.log_checkpoint is None:
            raise typer.BadParameter("--log-consistency needs --log-checkpoint, one of the two that it compares")
        if self.at is not None and self.at > datetime.now(UTC):
            raise typer.BadParameter("--at is in the future")

    def open(self, note: Callable[[str], None]) -> None:
        """Read and accept the trust root; raises TrustRootError and its subclasses, and InputError."""
        if self.root is None:
            return
        from zkinfer.verifier.trustroot.signed import RootFile

        self._file = RootFile.read(self.root)
        now = datetime.now(UTC)
        if pins().accept(self._file, now, expired_too=self.at is not None, fingerprint=self.fingerprint):
            say_first_use(self._file, self.fingerprint)
        current = self._file.current.root
        note(f"Trust root {current.name}, version {current.version}, expires {current.expires}.")
        if now >= current.expires_at:
            note("It has expired: revocations since then are unknown.")

    def now(self) -> datetime:
        """The time of the verification, for the policy."""
        return self.at or datetime.now(UTC)

    @property
    def ceremonies(self) -> tuple[str, ...] | None:
        """The accepted ceremonies; None if there is no trust root, which then are all real ones.

        Raises:
            RootExpiredError: no version of the root was in force.
        """
        if self._file is None:
            return None
        from zkinfer.verifier.trustroot.accepted import in_force

        return in_force(self._file, self.now()).setups

    def policies(self) -> list[Policy]:
        """The further requirements.

        Raises:
            RootExpiredError: no version of the root was in force.
            NotLoggedError: a proof or checkpoint of the log is malformed.
        """
        from zkinfer.verifier import NotMadeAfter
        from zkinfer.verifier.transparency import LogProof
        from zkinfer.verifier.trustroot.accepted import root_policy

        found: list[Policy] = [] if self.at is None else [NotMadeAfter(self.at)]
        if self._file is not None:
            proof = None if self.log_proof is None else LogProof.read(self.log_proof)
            found.append(root_policy(self._file, self.now(), proof, self._known_checkpoint()))
        return found

    def _known_checkpoint(self) -> KnownCheckpoint | None:
        if self.log_checkpoint is None:
            return None
        from zkinfer.verifier.consistency import KnownCheckpoint

        return KnownCheckpoint.read(self.log_checkpoint, self.log_consistency)

    def listed(self, record: ChainRecord | None) -> ChainRecord | None:
        """The record of a chain, which counts only if the trust root lists its ledger; raises RootExpiredError."""
        if self._file is None or record is None:
            return record
        from zkinfer.verifier.trustroot.accepted import ListedRecord, in_force

        return ListedRecord(record, in_force(self._file, self.now()))

    @property
    def circuits(self) -> str:
        """Which circuits the trust root lists, in words; empty if it lists ONNX files only."""
        models = () if self._file is None else self._file.current.root.models
        if not models or any(model.circuits == "any" for model in models):
            return ""
        return f"those of {self._name()}"

    @property
    def signers(self) -> tuple[str, ...]:
        """Which signers the trust root lists, in words; empty if there is none."""
        return () if self._file is None else (f"those of {self._name()}",)

    def _name(self) -> str:
        root = None if self._file is None else self._file.current.root
        return "" if root is None else f"the trust root {root.name}, version {root.version}"

    def options(self) -> dict[str, object]:
        """The options of the command that make the same basis; None for those that were not given."""
        from zkinfer.verifier.statement import write_time

        at = None if self.at is None else write_time(self.at)
        return {
            "--trust-root": self.root,
            "--root-fingerprint": self.fingerprint,
            "--at": at,
            "--log-proof": self.log_proof,
            "--log-checkpoint": self.log_checkpoint,
            "--log-consistency": self.log_consistency,
        }

    def report(self) -> dict[str, Any]:
        """The part of the JSON report about it."""
        from zkinfer.verifier.statement import write_time

        at = {} if self.at is None else {"at": write_time(self.at)}
        return at if self._file is None else at | {"trustRoot": facts(self._file)}
