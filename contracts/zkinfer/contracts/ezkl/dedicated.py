"""Verifiers of single circuits: their record in an address book, and their deployment.

The engine generates the source for each circuit. The code refers to no other contract, so an address book stores only
its hashes. To check that the code belongs to the key, generate it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.abi import creation_code
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import Part, create2_address, create_missing, require_code_at
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError
from zkinfer.contracts.ezkl.solc import code_hash
from zkinfer.contracts.identifiers import keccak256, words

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import OnPart
    from zkinfer.contracts.ezkl.solc import Generated


VERIFIER: Final = "Halo2Verifier"
_SELECTOR_NAME: Final = b"ezkl-23.0.5-halo2-kzg-bn254-dedicated-v1"
_MAX_CODE: Final = 24_576  # EIP-170


def dedicated_selector(key_digest: str) -> bytes:
    """The selector of the verifier for a single key, as DedicatedHalo2Adapter.sol computes it."""
    padded = _SELECTOR_NAME.ljust(-(-len(_SELECTOR_NAME) // 32) * 32, b"\0")
    return keccak256(words([64, key_digest, len(_SELECTOR_NAME)]) + padded)[:4]


@dataclass(frozen=True, slots=True)
class DedicatedVerifier:
    """The verifier of a single circuit: the values that determine its address, its adapter's and its stop's.

    Args:
        key_digest: of the verifying key that is compiled in.
        creation_hash: keccak256 of its creation code.
        code_hash: keccak256 of its deployed code.
        guardian: the account that could stop it when it was deployed.
        salt: of the deployment.
        accepted: the account that may stop it now, if the owner of the address book accepted another.
    """

    key_digest: str
    creation_hash: str
    code_hash: str
    guardian: str
    salt: bytes
    accepted: str | None = None

    @classmethod
    def of(cls, generated: Generated, key_digest: str, guardian: str, salt: bytes) -> DedicatedVerifier:
        """The record of a compiled verifier; raises DeploymentError if its code exceeds the limit of a contract."""
        if len(generated.deployed) > _MAX_CODE:
            raise DeploymentError(
                f"The verifier of this circuit has {len(generated.deployed):,} bytes of code; a contract has at most "
                f"{_MAX_CODE:,}.",
                "Use the verifier for all circuits, or compile the model to fewer columns.",
            )
        return cls(key_digest, code_hash(generated.creation), code_hash(generated.deployed), guardian, salt)

    @property
    def selector(self) -> bytes:
        """The selector under which it is routed."""
        return dedicated_selector(self.key_digest)

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by name."""
        return {VERIFIER: self._verifier} | {part.name: part.address for part in self._wrappers}

    def parts(self, creation: bytes) -> tuple[Part, ...]:
        """All contracts in the order of creation, given the creation code of the verifier."""
        return (Part(VERIFIER, creation, self.salt), *self._wrappers)

    @property
    def _verifier(self) -> str:
        return create2_address(self.salt, _bytes(self.creation_hash))

    @property
    def _wrappers(self) -> tuple[Part, Part]:
        arguments = (self._verifier, _bytes(self.code_hash), _bytes(self.key_digest))
        adapter = Part("DedicatedHalo2Adapter", creation_code("DedicatedHalo2Adapter", arguments), self.salt)
        guarded = (adapter.address, self.guardian)
        return adapter, Part("EmergencyStop", creation_code("EmergencyStop", guarded), self.salt)


def deploy_dedicated(
    chain: Chain, wanted: DedicatedVerifier, creation: bytes, on_part: OnPart = lambda *_: None
) -> list[str]:
    """Create the missing contracts of a verifier of a single circuit, and return their names.

    This adds no route; only the timelock can.

    Raises:
        DeploymentError: it was deployed before, and stopped.
        CodeMismatchError: a created contract has other code.
        ChainError: the chain refused; deploying again continues after the contracts created so far.
    """
    stop = wanted.addresses["EmergencyStop"]
    if chain.code(stop) and not chain.read("EmergencyStop", stop, "live"):
        raise DeploymentError(
            f"The verifier of this circuit at {stop} was stopped, for ever.",
            "Compile the model with other settings, which gives another key and so another verifier.",
        )
    made = create_missing(chain, wanted.parts(creation), on_part)
    if chain.sends:
        verify_dedicated(chain, wanted)
    return made


def verify_dedicated(chain: Chain, wanted: DedicatedVerifier) -> None:
    """Return if verifier, adapter and stop are on the chain as recorded, stopped or not; raise if not.

    Addresses are hashes of code and arguments, so they also prove the constructors' arguments. They do not prove that
    the code was generated from the key; `zkinfer.chain.listings` checks that.

    Raises DeploymentError if one is missing, CodeMismatchError if one has other code.
    """
    at = wanted.addresses
    found = code_hash(require_code_at(chain, VERIFIER, at[VERIFIER]))
    if found != wanted.code_hash:
        raise CodeMismatchError(f"The code of {VERIFIER} at {at[VERIFIER]} is {found}, not {wanted.code_hash}.")
    load("DedicatedHalo2Adapter").require_code(
        require_code_at(chain, "DedicatedHalo2Adapter", at["DedicatedHalo2Adapter"])
    )
    load("EmergencyStop").require_code(require_code_at(chain, "EmergencyStop", at["EmergencyStop"]))


def require_guardian(chain: Chain, wanted: DedicatedVerifier) -> str:
    """The guardian; raises DeploymentError if it is not the one in the address book."""
    found, expected = guardian_of(chain, wanted), wanted.accepted or wanted.guardian
    if found != expected:
        raise DeploymentError(
            f"On chain {chain.id} the guardian of the verifier 0x{wanted.selector.hex()} is {found} "
            f"instead of {expected}.",
            "If you know of that change and agree: zkinfer chain verify-deployment --accept-governance",
        )
    return found


def guardian_of(chain: Chain, wanted: DedicatedVerifier) -> str:
    """The account that may stop it now."""
    return str(chain.read("EmergencyStop", wanted.addresses["EmergencyStop"], "owner"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
