"""Verifiers of one circuit alone: what a deployment knows of them, and how to create them on a chain.

The engine generates one for each circuit, and the compiler makes it. Its code names no contract of ours, so an
address book holds only the hashes of its code. Whether the code belongs to the key is checked by generating it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.abi import constructor_data
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import Part, create2_address, create_missing, require_there
from zkinfer.contracts.errors import CodeMismatchError, DeploymentError
from zkinfer.contracts.ezkl.solc import code_hash
from zkinfer.contracts.registration import dedicated_selector

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import OnPart
    from zkinfer.contracts.ezkl.solc import Generated


VERIFIER: Final = "Halo2Verifier"
_MOST_CODE: Final = 24_576  # EIP-170


@dataclass(frozen=True, slots=True)
class DedicatedVerifier:
    """What the addresses of a verifier of one circuit, of its adapter and of its stop follow from.

    Args:
        key_digest: of the verifying key that is compiled in.
        creation_hash: keccak256 of the code that creates it.
        code_hash: keccak256 of the code that lies on the chain.
        guardian: who could stop it when it was deployed.
        salt: of the deployment.
        accepted: who may stop it now, where the keeper of the address book agreed to another.
    """

    key_digest: str
    creation_hash: str
    code_hash: str
    guardian: str
    salt: bytes
    accepted: str | None = None

    @classmethod
    def of(cls, generated: Generated, key_digest: str, guardian: str, salt: bytes) -> DedicatedVerifier:
        """Of a verifier that was compiled; raises DeploymentError where no contract can be as large."""
        if len(generated.deployed) > _MOST_CODE:
            raise DeploymentError(
                f"The verifier of this circuit has {len(generated.deployed):,} bytes of code; a contract has at most "
                f"{_MOST_CODE:,}.",
                "Use the verifier for all circuits, or compile the model to fewer columns.",
            )
        return cls(key_digest, code_hash(generated.creation), code_hash(generated.deployed), guardian, salt)

    @property
    def selector(self) -> bytes:
        """Its route."""
        return dedicated_selector(self.key_digest)

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by name."""
        return {VERIFIER: self._verifier} | {part.name: part.address for part in self._around}

    def parts(self, creation: bytes) -> tuple[Part, ...]:
        """All contracts, in the order in which they are created, with the code that creates the verifier."""
        return (Part(VERIFIER, creation, self.salt), *self._around)

    @property
    def _verifier(self) -> str:
        return create2_address(self.salt, _bytes(self.creation_hash))

    @property
    def _around(self) -> tuple[Part, Part]:
        told = (self._verifier, _bytes(self.code_hash), _bytes(self.key_digest))
        adapter = Part("DedicatedHalo2Adapter", constructor_data("DedicatedHalo2Adapter", told), self.salt)
        watched = (adapter.address, self.guardian)
        return adapter, Part("EmergencyStop", constructor_data("EmergencyStop", watched), self.salt)


def deploy_dedicated(
    chain: Chain, wanted: DedicatedVerifier, creation: bytes, on_part: OnPart = lambda *_: None
) -> list[str]:
    """Create what is missing of a verifier of one circuit; returns the names of what was created, as `deploy` does.

    It is no route yet: that is the timelock's to add.

    Raises:
        DeploymentError: it was deployed before, and stopped; or other code came to lie there.
        ChainError: the chain refused; what was created before stays, and to deploy again goes on there.
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

    Addresses are hashes of code and arguments, so that code at an address says what its constructor was given. That
    the code was generated from the key, this does not say; `zkinfer.chain.listings` finds out.

    Raises DeploymentError where one is missing, CodeMismatchError where another contract lies there.
    """
    at = wanted.addresses
    found = code_hash(require_there(chain, VERIFIER, at[VERIFIER]))
    if found != wanted.code_hash:
        raise CodeMismatchError(f"The code of {VERIFIER} at {at[VERIFIER]} is {found}, not {wanted.code_hash}.")
    load("DedicatedHalo2Adapter").require_code(
        require_there(chain, "DedicatedHalo2Adapter", at["DedicatedHalo2Adapter"])
    )
    load("EmergencyStop").require_code(require_there(chain, "EmergencyStop", at["EmergencyStop"]))


def require_guardian(chain: Chain, wanted: DedicatedVerifier) -> str:
    """The guardian, if it is the one in the address book; raises DeploymentError for another one."""
    found, expected = guardian_of(chain, wanted), wanted.accepted or wanted.guardian
    if found != expected:
        raise DeploymentError(
            f"On chain {chain.id} the guardian of the verifier 0x{wanted.selector.hex()} is {found} "
            f"instead of {expected}.",
            "If you know of that change and agree: zkinfer chain verify-deployment --accept-governance",
        )
    return found


def guardian_of(chain: Chain, wanted: DedicatedVerifier) -> str:
    """Who may stop it now."""
    return str(chain.read("EmergencyStop", wanted.addresses["EmergencyStop"], "owner"))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
