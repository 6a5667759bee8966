"""Imports of web3 and eth_account that leave the interpreter's recursion limit unchanged.

Both import py_ecc, which raises the limit to 100,000. The C stack ends long before that, so a deeply nested JSON
document would then end the process instead of raising RecursionError. Import the names below from here, and anything
else that imports py_ecc (eth_tester, py-evm, eth_keyfile) within `recursion_limit_kept`. The module takes half a second
to import: only modules that talk to a chain import it.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Restore the interpreter's recursion limit after the imports of the block, also when one of them fails."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


with recursion_limit_kept():
    import web3  # noqa: F401 - first, so that the error of an installation without the extra names web3
    from eth_account import Account
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from web3 import EthereumTesterProvider, HTTPProvider, Web3
    from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception
    from web3.middleware import ExtraDataToPOAMiddleware
    from web3.types import RPCEndpoint, RPCResponse

__all__ = [
    "Account",
    "ContractLogicError",
    "EthereumTesterProvider",
    "ExtraDataToPOAMiddleware",
    "HTTPProvider",
    "RPCEndpoint",
    "RPCResponse",
    "TransactionNotFound",
    "TypedTransaction",
    "Web3",
    "Web3Exception",
    "recursion_limit_kept",
]
