"""The steps of a verification, and the reasons to reject an attestation: one class per reason.

A rejection is a verdict on the attestation. Errors that prevent a verdict are different: a missing trusted setup
(`SetupError`), a crashed engine (`EngineError`), a missing file (`InputError`). Neither is ever an acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zkinfer.circuits.errors import InputError, ZkinferError

Status = Literal["passed", "failed", "skipped", "not_reached"]

TITLES = (
    "the file is an attestation of a known version",
    "engine and trusted setup are accepted",
    "the ONNX file has the claimed digest",
    "the circuit rebuilt from it matches the claim",
    "the statement has the layout and the ranges of the circuit",
    "the proof has the length of this circuit's proofs",
    "the proof holds",
    "inputs and outputs are those of the proof",
    "the request is that of the proof",
    "the signature is by the claimed key",
    "the policy is met",
    "the chain's record agrees",
)
"""By step; the numbers start at 1."""
CHAIN_RECORD = len(TITLES)
"""The number of the only step that asks a chain."""


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step. `detail` gives the finding, or why the step failed or was skipped."""

    number: int
    title: str
    status: Status
    detail: str = ""


class RefusedError(ZkinferError):
    """The attestation is rejected; `step` is the step of the verification that rejected it, if any."""

    step: Step | None = None


class RecordUnavailableError(ZkinferError):
    """The chain's record was required and cannot be read, so whether it agrees is unknown; never an acceptance."""


class AttestationTooLargeError(RefusedError):
    """The file exceeds the maximum size of an attestation."""


class MalformedAttestationError(RefusedError):
    """The file is not an attestation in canonical form."""


class UnsupportedVersionError(RefusedError):
    """The attestation was made by an unknown version of zkinfer."""


class InsecureDevSetupError(RefusedError):
    """The proof was made under `insecure-dev`, where anyone can forge proofs, and the policy does not allow it."""


class UntrustedSetupError(RefusedError):
    """The trusted setup is not accepted by this verifier, or differs from the ceremony it names."""


class UntrustedEngineError(RefusedError):
    """The proving engine is not accepted by this verifier."""


class UnknownModelError(RefusedError):
    """The verifier was not given the ONNX file whose digest the attestation names."""


class UnusableRecipeError(RefusedError):
    """The recipe in the attestation cannot be applied to the ONNX file."""


class CircuitMismatchError(RefusedError):
    """The circuit rebuilt from the ONNX file and the recipe differs from the one that the attestation describes."""


class LayoutMismatchError(RefusedError):
    """The statement has another layout, or another number of values, than the circuit."""


class ProofLengthError(RefusedError):
    """The length of the proof differs from that of the circuit's proofs."""


class InvalidProofError(RefusedError):
    """The proof is invalid for these public values under the rebuilt verifying key."""


class OpinionsDifferError(RefusedError):
    """Two independent verifiers were asked, and only one accepts the proof."""


class ValueRangeError(RefusedError):
    """A public value exceeds the range of the circuit."""


class OutputMismatchError(RefusedError):
    """The digest in the attestation's subject differs from that of the proven output."""


class InputMismatchError(RefusedError):
    """The proof is about another input than the expected one."""


class ContextMismatchError(RefusedError):
    """The proof was made for another request than the attestation names."""


class SignatureError(RefusedError):
    """The signature is missing, malformed, or not by the key that the attestation names."""


class PolicyRefusedError(RefusedError):
    """The inference is proven, but does not meet the caller's policy."""


class RevokedError(PolicyRefusedError):
    """The trust root has revoked the signer, the model, the circuit or the attestation."""


class NotLoggedError(PolicyRefusedError):
    """No valid proof shows that a trusted transparency log holds the attestation."""


class EmptyPolicyError(PolicyRefusedError):
    """The policy has no requirements; an empty policy must not accept everything."""


class KeyFileError(InputError):
    """A key file cannot be read or written, or has unsafe permissions or unsupported content."""


class PolicyFileError(InputError):
    """A policy document is malformed."""


class TrustRootError(InputError):
    """A trust root cannot be used."""


class MalformedRootError(TrustRootError):
    """The file is not a trust root in canonical form, or its versions do not follow each other."""


class RootSignatureError(TrustRootError):
    """Too few root keys have signed a version of the trust root, or one of its signatures is wrong."""


class RootExpiredError(TrustRootError):
    """The trust root has expired, or was not issued yet."""


class RootRollbackError(TrustRootError):
    """The trust root is older than the accepted one, or contradicts it."""
