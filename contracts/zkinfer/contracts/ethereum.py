"""web3 and eth_account, without what makes them slow to start: the one module that imports them when code runs.

Both import eth_keyfile, and that imports the curve BLS12-381 for the keys of validators, whose pairings take longer to
prepare than all the rest together. Here it imports stand-ins, which fetch the real thing when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Final

_BLS: Final = "py_ecc.bls"
_CURVE: Final = "py_ecc.bls12_381"
_CURVE_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


class _Late:
    """`G2ProofOfPossession`, once it is asked for anything."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(_BLS).G2ProofOfPossession, name)


def _import_keyfile() -> None:
    bls, curve = ModuleType(_BLS), ModuleType(_CURVE)
    bls.__dict__["G2ProofOfPossession"] = _Late()
    curve.__dict__["curve_order"] = _CURVE_ORDER
    absent = {name: module for name, module in ((_BLS, bls), (_CURVE, curve)) if name not in sys.modules}
    sys.modules.update(absent)
    try:
        import_module("eth_keyfile")
    except ModuleNotFoundError:
        import_module("web3")  # is not there either, and is what was to be installed: this says so
    finally:
        for name in absent:
            del sys.modules[name]


_import_keyfile()

from eth_account import Account  # noqa: E402 - after what makes them quick
from eth_account.typed_transactions.typed_transaction import TypedTransaction  # noqa: E402
from web3 import EthereumTesterProvider, HTTPProvider, Web3  # noqa: E402
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3Exception  # noqa: E402
from web3.middleware import ExtraDataToPOAMiddleware  # noqa: E402
from web3.types import RPCEndpoint  # noqa: E402

__all__ = [
    "Account",
    "ContractLogicError",
    "EthereumTesterProvider",
    "ExtraDataToPOAMiddleware",
    "HTTPProvider",
    "RPCEndpoint",
    "TransactionNotFound",
    "TypedTransaction",
    "Web3",
    "Web3Exception",
]
