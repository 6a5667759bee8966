"""zkinfer's compiled contracts, and the identifiers that Python computes as they do.

Needs no node and no compiler. Names that talk to a chain need the extra `chain`, and are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zkinfer.contracts.artifacts import CONTRACTS, Artifact, Canary, ContractName, key_store_code, load, load_canary
from zkinfer.contracts.errors import ArtifactError, ChainError, CodeMismatchError
from zkinfer.contracts.identifiers import (
    ANY_INPUT,
    ZERO_ADDRESS,
    Layout,
    Registration,
    Request,
    input_commitment,
    listing_of,
    output_commitment,
)

if TYPE_CHECKING:
    from zkinfer.contracts.address_book import AddressBook
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.deploy import ASHLAR_SELECTOR, EZKL_SELECTOR, Governance, deploy, plan
    from zkinfer.contracts.feed_parts import deploy_face
    from zkinfer.contracts.feeds import FeedHub
    from zkinfer.contracts.governance import Powers, verify_deployment
    from zkinfer.contracts.ledger import Ledger
    from zkinfer.contracts.registry import Registry
    from zkinfer.contracts.rpc import connect
    from zkinfer.contracts.signers import RemoteSigner, load_keystore
    from zkinfer.contracts.transactions import Limits

__all__ = [
    "ANY_INPUT",
    "ASHLAR_SELECTOR",
    "CONTRACTS",
    "EZKL_SELECTOR",
    "ZERO_ADDRESS",
    "AddressBook",
    "Artifact",
    "ArtifactError",
    "Canary",
    "Chain",
    "ChainError",
    "CodeMismatchError",
    "ContractName",
    "FeedHub",
    "Governance",
    "Layout",
    "Ledger",
    "Limits",
    "Powers",
    "Registration",
    "Registry",
    "RemoteSigner",
    "Request",
    "connect",
    "deploy",
    "deploy_face",
    "input_commitment",
    "key_store_code",
    "listing_of",
    "load",
    "load_canary",
    "load_keystore",
    "output_commitment",
    "plan",
    "verify_deployment",
]

_LAZY = {
    "ASHLAR_SELECTOR": "deploy",
    "AddressBook": "address_book",
    "Chain": "chain",
    "EZKL_SELECTOR": "deploy",
    "FeedHub": "feeds",
    "Governance": "deploy",
    "Ledger": "ledger",
    "Limits": "transactions",
    "Powers": "governance",
    "Registry": "registry",
    "RemoteSigner": "signers",
    "connect": "rpc",
    "deploy": "deploy",
    "deploy_face": "feed_parts",
    "load_keystore": "signers",
    "plan": "deploy",
    "verify_deployment": "governance",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any export
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_LAZY[name]}")
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError(f"{name} needs {err.name}: pip install 'zkinfer[chain]'", name=err.name) from err
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__]
