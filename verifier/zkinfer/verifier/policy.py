"""Policies: the caller's requirements for a proven inference.

A policy is checked last, after the proof and the signature. It returns or raises; an empty policy is an error, since it
must not accept everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from zkinfer.circuits.engines import DEFAULT_ENGINE
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import EmptyPolicyError, PolicyRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zkinfer.circuits.digest import Digest
    from zkinfer.verifier.inference import VerifiedInference

CLOCK_SKEW = timedelta(minutes=5)
_WORD = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_ENGINE = re.compile(r"[a-z0-9-]{1,32}")


class Policy(Protocol):
    """A requirement for a proven inference."""

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Check the requirement at this time; raises PolicyRefusedError if the inference does not meet it."""
        ...


@dataclass(frozen=True, slots=True)
class UnsafeAcceptDevSetup:
    """Accept proofs under `insecure-dev`, which anyone can forge. For tests and demonstrations.

    This is a permission and not a requirement: combine it with requirements in an `AllOf`. Inside an `AnyOf` it has no
    effect.
    """

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Raise EmptyPolicyError: the permission alone requires nothing."""
        raise _empty("UnsafeAcceptDevSetup")


@dataclass(frozen=True, init=False, slots=True)
class AllOf:
    """All of these policies; raises EmptyPolicyError if there are none, or only permissions."""

    policies: tuple[Policy, ...]

    def __init__(self, *policies: Policy) -> None:
        object.__setattr__(self, "policies", policies)
        if not self._requirements:
            raise _empty("AllOf")

    @property
    def _requirements(self) -> list[Policy]:
        return [policy for policy in self.policies if not isinstance(policy, UnsafeAcceptDevSetup)]

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Check each policy in order; raises the error of the first that is not met."""
        for policy in self._requirements:
            policy.check(inference, now)


@dataclass(frozen=True, init=False, slots=True)
class AnyOf:
    """At least one of these policies; raises EmptyPolicyError if there are none."""

    policies: tuple[Policy, ...]

    def __init__(self, *policies: Policy) -> None:
        object.__setattr__(self, "policies", policies)
        if not policies:
            raise _empty("AnyOf")

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Check policies in order until one is met; the error lists all reasons."""
        reasons = []
        for policy in self.policies:
            try:
                policy.check(inference, now)
            except PolicyRefusedError as err:
                reasons.append(err.cause)
            else:
                return
        listed = " ".join(f"({number}) {reason}" for number, reason in enumerate(reasons, 1))
        raise PolicyRefusedError(f"None of the alternatives is met: {listed}")


@dataclass(frozen=True, slots=True)
class ModelIs:
    """Exactly this circuit: ONNX file, quantisation, setup and engine. The strictest requirement on the model."""

    model_id: str

    def __post_init__(self) -> None:
        _require(_WORD, self.model_id, "model id")

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the rebuilt model id."""
        if inference.model_id != self.model_id:
            raise PolicyRefusedError(f"The model id is {inference.model_id}, not {self.model_id}.")


@dataclass(frozen=True, slots=True)
class ModelFileIs:
    """This ONNX file in any circuit. The prover chooses the quantisation, and can choose a useless one."""

    sha256: str

    def __post_init__(self) -> None:
        _require(_SHA256, self.sha256, "digest")

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the digest of the ONNX file that the circuit was rebuilt from."""
        if inference.identity.model != self.sha256:
            raise PolicyRefusedError(f"The ONNX file is {inference.identity.model}, not {self.sha256}.")


@dataclass(frozen=True, init=False, slots=True)
class SignedBy:
    """Signed by one of these keys, given by fingerprint. Ephemeral keys are never accepted."""

    fingerprints: frozenset[str]

    def __init__(self, *fingerprints: str) -> None:
        object.__setattr__(self, "fingerprints", frozenset(fingerprints))
        if not fingerprints:
            raise _empty("SignedBy")
        for fingerprint in fingerprints:
            _require(_SHA256, fingerprint, "key fingerprint")

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the fingerprint of the key whose signature was verified."""
        if inference.ephemeral:
            raise PolicyRefusedError("The attestation was signed with an ephemeral key, which identifies no signer.")
        if inference.signer not in self.fingerprints:
            raise PolicyRefusedError(f"The signer {inference.signer} is not listed in the policy.")


@dataclass(frozen=True, slots=True)
class NotOlderThan:
    """Signed at most this long ago. The signer states the time, so combine it with `SignedBy`."""

    age: timedelta

    def __post_init__(self) -> None:
        if self.age <= timedelta(0):
            raise InputError("The age of NotOlderThan must be positive.")

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Compare with the clock; a date more than `CLOCK_SKEW` in the future is rejected too."""
        if inference.created_at > now + CLOCK_SKEW:
            raise PolicyRefusedError(
                f"The attestation is dated {inference.created_at.isoformat()}, in the future.", "Check both clocks."
            )
        if now - inference.created_at > self.age:
            raise PolicyRefusedError(f"The attestation is older than {self.age}.", "Ask for a new one.")


@dataclass(frozen=True, slots=True)
class NotMadeAfter:
    """Signed at this moment or before. The signer states the time, so combine it with `SignedBy`."""

    moment: datetime

    def __post_init__(self) -> None:
        if self.moment.tzinfo is None:
            raise InputError("The time of NotMadeAfter has no time zone.", "Use UTC.")

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the stated time; the same tolerance as for the clock."""
        if inference.created_at > self.moment + CLOCK_SKEW:
            raise PolicyRefusedError(
                f"The attestation is dated {inference.created_at.isoformat()}, after {self.moment.isoformat()}."
            )


@dataclass(frozen=True, slots=True)
class NotExpired:
    """The request has not expired; a request without an expiry never does."""

    def check(self, inference: VerifiedInference, now: datetime) -> None:
        """Compare with the clock in whole seconds; the second of the expiry is still valid."""
        expiry = inference.context.expiry
        if expiry and int(now.timestamp()) > expiry:
            raise PolicyRefusedError("The request has expired.", "Request a new proof.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextIs:
    """Made for this request: the given fields must be equal. Raises EmptyPolicyError if none is given."""

    chain_id: int | None = None
    consumer: str | None = None
    request_id: str | None = None
    requester: str | None = None

    def __post_init__(self) -> None:
        if not self._required:
            raise _empty("ContextIs")
        for address in (self.consumer, self.requester):
            _require(_ADDRESS, address, "address")
        _require(_WORD, self.request_id, "request id")

    @property
    def _required(self) -> dict[str, object]:
        names = ("chain_id", "consumer", "request_id", "requester")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare field by field."""
        for name, wanted in self._required.items():
            found = getattr(inference.context, name)
            if found != wanted:
                raise PolicyRefusedError(f"The proof was made for the {name} {found}, not {wanted}.")


@dataclass(frozen=True, slots=True)
class SetupIs:
    """Proven under the trusted setup of this ceremony."""

    ceremony: str

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the ceremony's name."""
        found = inference.recipe.setup.ceremony
        if found != self.ceremony:
            raise PolicyRefusedError(f"The trusted setup is {found}, not {self.ceremony}.")


@dataclass(frozen=True, init=False, slots=True)
class EngineIs:
    """Proven by one of these engines, given by name. An experimental engine is accepted only if it is named so."""

    names: frozenset[str]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", frozenset(names))
        if not names:
            raise _empty("EngineIs")
        for name in names:
            _require(_ENGINE, name, "name of an engine", "Write it without its version, such as 'ezkl'.")

    def check(self, inference: VerifiedInference, now: datetime) -> None:  # noqa: ARG002 - part of the protocol
        """Compare the name of the recipe's engine."""
        self.require(inference.recipe.engine)

    def require(self, engine: str) -> None:
        """Raise PolicyRefusedError unless the engine with this id is one of them."""
        if engine.partition("/")[0] not in self.names:
            raise PolicyRefusedError(f"The engine is {engine}, not {' or '.join(sorted(self.names))}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a prover says of a circuit before it proves; unverified, so it can only lead to a refusal.

    Args:
        model_id: the identity of the circuit.
        model: digest of its ONNX file.
        engine: the id of its engine.
        ceremony: the name of its trusted setup.
    """

    model_id: str
    model: str
    engine: str
    ceremony: str


def audit_policy(
    models: Iterable[Digest],
    *,
    circuit: str | None = None,
    signers: Iterable[str] = (),
    request_id: str | None = None,
    accept_engines: Iterable[str] = (),
    unsafe_accept_dev_setup: bool = False,
    further: Iterable[Policy] = (),
) -> AllOf:
    """All that an auditor requires; it always pins the ONNX file and refuses expired requests.

    What is left out is not required.

    Args:
        models: SHA-256 of the auditor's ONNX files, each of which must be the model.
        circuit: the model id of the only circuit to accept.
        signers: fingerprints of the only signers to accept.
        request_id: the only request to accept, `0x` and 64 hex digits in lower case.
        accept_engines: names of experimental engines whose proofs are accepted beside the default engine's.
        unsafe_accept_dev_setup: accept proofs that anyone can forge.
        further: policies to meet as well.

    Raises:
        InputError: an identifier is malformed.
    """
    signers, accept_engines = tuple(signers), tuple(accept_engines)
    rules: list[Policy] = [*(ModelFileIs(str(digest)) for digest in models), NotExpired()]
    if circuit is not None:
        rules.append(ModelIs(circuit))
    if signers:
        rules.append(SignedBy(*signers))
    if request_id is not None:
        rules.append(ContextIs(request_id=request_id))
    if unsafe_accept_dev_setup:
        rules.append(UnsafeAcceptDevSetup())
    if accept_engines:
        rules.append(EngineIs(DEFAULT_ENGINE, *accept_engines))
    return AllOf(*rules, *further)


def refuse_offer(policy: Policy, offer: Offer) -> None:
    """Raise PolicyRefusedError if the policy can accept no proof of this circuit, whatever its request and signer."""
    if isinstance(policy, AllOf):
        for part in policy.policies:
            refuse_offer(part, offer)
    elif isinstance(policy, AnyOf):
        _refuse_all(policy, offer)
    elif isinstance(policy, ModelIs) and offer.model_id != policy.model_id:
        raise PolicyRefusedError(f"The model id is {offer.model_id}, not {policy.model_id}.")
    elif isinstance(policy, ModelFileIs) and offer.model != policy.sha256:
        raise PolicyRefusedError(f"The ONNX file is {offer.model}, not {policy.sha256}.")
    elif isinstance(policy, SetupIs) and offer.ceremony != policy.ceremony:
        raise PolicyRefusedError(f"The trusted setup is {offer.ceremony}, not {policy.ceremony}.")
    elif isinstance(policy, EngineIs):
        policy.require(offer.engine)


def _refuse_all(policy: AnyOf, offer: Offer) -> None:
    reasons = []
    for part in policy.policies:
        try:
            refuse_offer(part, offer)
        except PolicyRefusedError as err:
            reasons.append(err.cause)
        else:
            return
    raise PolicyRefusedError(f"None of the alternatives can be met: {' '.join(reasons)}")


def accepts_dev_setup(policy: Policy) -> bool:
    """Whether a policy is `UnsafeAcceptDevSetup`, or has it in an `AllOf` that always applies."""
    if isinstance(policy, AllOf):
        return any(accepts_dev_setup(part) for part in policy.policies)
    return isinstance(policy, UnsafeAcceptDevSetup)


def named_engines(policy: Policy) -> frozenset[str]:
    """The names in an `EngineIs`, if the policy is one, or has it in an `AllOf` that always applies."""
    if isinstance(policy, AllOf):
        return frozenset[str]().union(*map(named_engines, policy.policies))
    return policy.names if isinstance(policy, EngineIs) else frozenset()


def _empty(name: str) -> EmptyPolicyError:
    return EmptyPolicyError(f"This {name} requires nothing.", "A policy must require a model, a signer or a request.")


def _require(
    pattern: re.Pattern[str], text: str | None, what: str, cure: str = "Write it in lower-case hex, in full."
) -> None:
    """Reject malformed values early: they would never match."""
    if text is not None and pattern.fullmatch(text) is None:
        raise InputError(f"{text[:80]!r} is not a {what}.", cure)
