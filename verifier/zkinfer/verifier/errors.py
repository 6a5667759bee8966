"""Why an attestation is refused: one class for each reason.

A refusal is a verdict about the attestation. What keeps the verifier from reaching a verdict is not one: a trusted
setup the auditor lacks (`SetupError`), an engine that crashed (`EngineError`), a missing file (`InputError`).
Neither is ever an acceptance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError, ZkinferError

if TYPE_CHECKING:
    from zkinfer.verifier.steps import Step


class RefusedError(ZkinferError):
    """The attestation is refused; `step` is the step of the verification that refused it, if one was under way."""

    step: Step | None = None


class AttestationTooLargeError(RefusedError):
    """The file exceeds the size that any attestation can have."""


class MalformedAttestationError(RefusedError):
    """The file is not an attestation in its one canonical form."""


class UnsupportedVersionError(RefusedError):
    """The attestation was made by a version of zkinfer that this one does not know."""


class InsecureDevSetupError(RefusedError):
    """The proof was made under `insecure-dev`, where anybody can forge proofs, and the policy does not allow it."""


class UntrustedSetupError(RefusedError):
    """The trusted setup is not one of those this verifier accepts, or not what its name says."""


class UntrustedEngineError(RefusedError):
    """The proving engine is not one of those this verifier accepts."""


class UnknownModelError(RefusedError):
    """No ONNX file with the digest that the attestation names was handed to the verifier."""


class UnusableRecipeError(RefusedError):
    """The recipe in the attestation cannot be applied to the ONNX file."""


class CircuitMismatchError(RefusedError):
    """The circuit rebuilt from the ONNX file and the recipe is not the one that the attestation describes."""


class InstanceCountError(RefusedError):
    """The attestation has more or fewer public values than the circuit."""


class NonCanonicalInstanceError(RefusedError):
    """A public value is not below the field modulus, so it is a second spelling of another value."""


class ProofLengthError(RefusedError):
    """The proof is longer or shorter than the proofs of this circuit."""


class InvalidProofError(RefusedError):
    """The proof does not hold for these public values under the rebuilt verifying key."""


class ValueRangeError(RefusedError):
    """A public value exceeds what the circuit can represent."""


class OutputMismatchError(RefusedError):
    """The digest in the attestation's subject is not that of the proven output."""


class InputMismatchError(RefusedError):
    """The proof is about another input than the expected one."""


class ContextMismatchError(RefusedError):
    """The proof was made for another request than the attestation says."""


class SignatureError(RefusedError):
    """The signature is missing, malformed, or not made by the key that the attestation names."""


class PolicyRefusedError(RefusedError):
    """The inference is proven, but is not what the caller requires."""


class EmptyPolicyError(PolicyRefusedError):
    """The policy requires nothing, and nothing must not mean yes."""


class KeyFileError(InputError):
    """A key file cannot be read or written, or must not be as it is."""


class PolicyFileError(InputError):
    """A policy document holds something that is no policy."""
