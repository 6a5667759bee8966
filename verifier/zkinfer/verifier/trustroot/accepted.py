"""The policy that a trust root stands for, now or as of an earlier date.

Verifying as of a date T asks: would this have been accepted at T, given what is known today? The version of the root in
force at T says which models, signers, setups, engines and chains were trusted, and keys must have been valid at T. The
revocations of the latest version count: those from the beginning always, others if T is not before them. A statement
dated after T did not exist at T and is refused. Its date is the signer's claim, so T is the caller's own knowledge of
when the attestation existed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.verifier.errors import NotLoggedError, PolicyRefusedError, RevokedError, RootExpiredError
from zkinfer.verifier.policy import CLOCK_SKEW, AllOf, EngineIs
from zkinfer.verifier.transparency import require_logged
from zkinfer.verifier.trustroot.rotation import require_current

if TYPE_CHECKING:
    from datetime import datetime

    from zkinfer.verifier.consistency import KnownCheckpoint
    from zkinfer.verifier.inference import ChainRecord, ProvenAnswer, RecordedAnswer, VerifiedInference
    from zkinfer.verifier.policy import Policy
    from zkinfer.verifier.transparency import LogProof
    from zkinfer.verifier.trustroot.document import Kind, Revocation, TrustRoot
    from zkinfer.verifier.trustroot.signed import RootFile

_ASK = "Ask the publisher of the trust root."


def in_force(file: RootFile, moment: datetime) -> TrustRoot:
    """The version of a root that was the latest at this moment; raises RootExpiredError if it had expired.

    The signatures of the file must have been verified.
    """
    issued = [signed.root for signed in file.versions if signed.root.issued_at <= moment + CLOCK_SKEW]
    if not issued:
        first = file.versions[0].root
        raise RootExpiredError(
            f"The trust root {first.name} has no version from before {first.issued}.",
            "Give a later date, or a file with the earlier versions.",
        )
    require_current(issued[-1], moment)
    return issued[-1]


def root_policy(
    file: RootFile, moment: datetime, log_proof: LogProof | None = None, known: KnownCheckpoint | None = None
) -> Policy:
    """The policy of a root whose signatures were verified.

    Args:
        file: its versions.
        moment: as of when to verify; the verifier's clock must say the same.
        log_proof: a proof that a transparency log of the root holds the attestation.
        known: a checkpoint from elsewhere, with which that of the proof must be consistent.

    Raises:
        RootExpiredError: no version was in force.
    """
    root = in_force(file, moment)
    accepted = AcceptedByRoot(file, log_proof, known)
    return AllOf(EngineIs(*root.engines), accepted) if root.engines else accepted


@dataclass(frozen=True, slots=True)
class AcceptedByRoot:
    """Accepted by the version of a trust root in force, and revoked by none; its signatures must have been verified.

    Args:
        file: the versions of the root.
        log_proof: required if the root demands a transparency log, and checked if given.
        known: a checkpoint from elsewhere, with which that of the proof must be consistent.
    """

    file: RootFile
    log_proof: LogProof | None = None
    known: KnownCheckpoint | None = None

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Check as of `now`.

        Raises:
            RevokedError: what made the attestation, or the attestation itself, was revoked.
            PolicyRefusedError: the root does not list it.
            NotLoggedError: a proof of a transparency log is missing or wrong.
            RootExpiredError: no version of the root was in force.
        """
        root = in_force(self.file, now)
        _refuse_later(inference, now)
        _refuse_revoked(self.file.current.root.revocations, inference, now)
        _require_model(root, inference, now)
        _require_signer(root, inference, now)
        _require_surroundings(root, inference)
        if root.log_required or self.log_proof is not None or self.known is not None:
            _require_log(root, inference, self.log_proof, self.known)


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A chain's record that counts only if a trust root lists its ledger.

    Args:
        record: the chain's record.
        root: the version in force.
    """

    record: ChainRecord
    root: TrustRoot

    def agree(self, answer: ProvenAnswer) -> RecordedAnswer:
        """Return where the answer is recorded.

        Raises:
            RefusedError: it is not, as the chain's record says.
            PolicyRefusedError: the root does not list the ledger.
        """
        found = self.record.agree(answer)
        if (found.chain_id, found.ledger) not in {(chain.chain_id, chain.ledger) for chain in self.root.chains}:
            raise PolicyRefusedError(
                f"The trust root {self.root.name} does not list the ledger {found.ledger} on chain {found.chain_id}.",
                "Give the ledger that it lists: zkinfer trust show FILE",
            )
        return found


def _refuse_later(inference: VerifiedInference, now: datetime) -> None:
    if inference.created_at > now + CLOCK_SKEW:
        raise PolicyRefusedError(
            f"The attestation is dated {inference.created_at.isoformat()}, after {now.isoformat()}.",
            "Check both clocks, or the date of --at.",
        )


def _refuse_revoked(revocations: tuple[Revocation, ...], inference: VerifiedInference, now: datetime) -> None:
    names: dict[Kind, str] = {
        "signer": inference.signer,
        "model": inference.identity.model,
        "circuit": inference.model_id,
        "attestation": str(inference.attestation_digest),
    }
    for revoked in revocations:
        if names[revoked.kind] == revoked.id and revoked.counts_at(now):
            since = f"since {revoked.since}" if revoked.since else "from the beginning"
            raise RevokedError(f"The {revoked.kind} {revoked.id} is revoked {since}: {revoked.reason}.", _ASK)


def _require_model(root: TrustRoot, inference: VerifiedInference, now: datetime) -> None:
    model = next((one for one in root.models if one.sha256 == inference.identity.model), None)
    if model is None:
        raise PolicyRefusedError(f"The trust root {root.name} does not list the ONNX file {inference.identity.model}.")
    if not model.is_valid_at(now):
        raise PolicyRefusedError(f"The trust root {root.name} lists the ONNX file {model.sha256} for another time.")
    if model.circuits != "any" and inference.model_id not in model.circuits:
        raise PolicyRefusedError(
            f"The trust root {root.name} does not list the circuit {inference.model_id} of this ONNX file."
        )


def _require_signer(root: TrustRoot, inference: VerifiedInference, now: datetime) -> None:
    if inference.ephemeral:
        raise PolicyRefusedError("The attestation was signed with an ephemeral key, which identifies no signer.")
    signer = next((one for one in root.signers if one.fingerprint == inference.signer), None)
    if signer is None:
        raise PolicyRefusedError(f"The trust root {root.name} does not list the signer {inference.signer}.")
    if not signer.is_valid_at(now):
        raise PolicyRefusedError(
            f"The signer {inference.signer} was not valid at {now.isoformat()}.",
            "If you know that the attestation existed while it was valid, give that date with --at.",
        )
    if not signer.is_valid_at(inference.created_at):
        raise PolicyRefusedError(
            f"The attestation is dated {inference.created_at.isoformat()}, when its signer was not valid."
        )


def _require_surroundings(root: TrustRoot, inference: VerifiedInference) -> None:
    ceremony, engine = inference.recipe.setup.ceremony, inference.recipe.engine.partition("/")[0]
    chain = inference.context.chain_id
    if ceremony not in root.setups:
        raise PolicyRefusedError(f"The trust root {root.name} does not list the trusted setup {ceremony}.")
    if engine not in root.engines:
        raise PolicyRefusedError(f"The trust root {root.name} does not list the engine {engine}.")
    if chain and chain not in {one.chain_id for one in root.chains}:
        raise PolicyRefusedError(f"The trust root {root.name} does not list the chain {chain} of the request.")


def _require_log(
    root: TrustRoot, inference: VerifiedInference, proof: LogProof | None, known: KnownCheckpoint | None
) -> None:
    if proof is None:
        raise NotLoggedError(
            f"The trust root {root.name} requires a proof that a transparency log holds the attestation.",
            "Give its file with --log-proof.",
        )
    keys = {log.origin: log.key for log in root.logs}
    require_logged(inference.attestation_digest, proof, keys)
    if known is not None:
        known.require_same_log(proof.checkpoint, keys[proof.checkpoint.origin])
