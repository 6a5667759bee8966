"""The code of a ledger and of the contracts that it relies on, compared with what this version compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.chain.errors import LedgerError
from zkinfer.contracts import load
from zkinfer.contracts.deploy import verify_code
from zkinfer.contracts.identifiers import keccak256
from zkinfer.verifier import ContractCode

if TYPE_CHECKING:
    from zkinfer.contracts import ContractName
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain


class LedgerCode:
    """The contracts of one ledger.

    Args:
        ledger: its address, in lower case; or the address book of its deployment, all of whose code is then compared.
    """

    def __init__(self, ledger: str | AddressBook) -> None:
        self._book = None if isinstance(ledger, str) else ledger
        self.ledger = ledger if isinstance(ledger, str) else ledger.addresses["InferenceLedger"]

    def registry(self, chain: Chain) -> str:
        """The address of the ledger's registry, after comparing the code of ledger, registry and router.

        Raises:
            LedgerError: the deployment is on another chain, there is no code, or the parts rely on different routers.
            CodeMismatchError, DeploymentError: the code is another one.
        """
        if self._book is not None:
            if self._book.chain_id != chain.id:
                raise LedgerError(
                    f"The deployment is on chain {self._book.chain_id}; the node is on chain {chain.id}.",
                    "Give the address book of a deployment on the node's chain.",
                )
            verify_code(chain, self._book.plan)
        return _registry_of(chain, self.ledger)

    def compared(self, chain: Chain, registry: str) -> tuple[ContractCode, ...]:
        """The code that `registry` compared, with its hash on the chain, by name."""
        named = {
            **({} if self._book is None else self._book.addresses),
            "InferenceLedger": self.ledger,
            "ModelRegistry": registry,
            "VerifierRouter": chain.read("InferenceLedger", self.ledger, "ROUTER"),
        }
        return tuple(
            ContractCode(name, address, "0x" + keccak256(chain.code(address)).hex())
            for name, address in sorted(named.items())
        )


def _registry_of(chain: Chain, ledger: str) -> str:
    """The ledger's registry. Registry and router are immutables of the ledger."""
    _require_code(chain, "InferenceLedger", ledger)
    registry: str = chain.read("InferenceLedger", ledger, "REGISTRY")
    router: str = chain.read("InferenceLedger", ledger, "ROUTER")
    _require_code(chain, "ModelRegistry", registry)
    _require_code(chain, "VerifierRouter", router)
    if chain.read("ModelRegistry", registry, "ROUTER") != router:
        raise LedgerError(f"The ledger at {ledger} and its registry rely on different routers.")
    return registry


def _require_code(chain: Chain, name: ContractName, address: str) -> None:
    code = chain.code(address)
    if not code:
        raise LedgerError(f"There is no {name} at {address}: the account has no code.", "Check address and chain.")
    load(name).require_code(code)
