"""A chain inside this process, for trials and tests: nothing to install but the extra `chain-dev`, nothing to run.

Its accounts' keys are known to everybody, and it is gone when the process ends.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils.exceptions import ValidationError
from web3 import EthereumTesterProvider, Web3

from zkinfer.contracts.chain import Chain

if TYPE_CHECKING:
    from web3.types import RPCEndpoint, RPCResponse

# Codes of JSON-RPC errors: for a call that reverted, and for a transaction that was not even tried.
_REVERTED, _REFUSED = 3, -32000


class _Provider(EthereumTesterProvider):
    """Answers a call that reverted as nodes do; the tester raises an exception with the data's `repr` in its text."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - as web3 has it
        try:
            return super().make_request(method, params)
        except TransactionFailed as err:
            return _error(_REVERTED, "execution reverted", data="0x" + _data_of(str(err)).hex())
        except ValidationError as err:
            return _error(_REFUSED, str(err))


def embedded_chain(account: int = 0) -> Chain:
    """A fresh chain, and one of its ten funded accounts."""
    tester = EthereumTester(PyEVMBackend())
    key = tester.backend.account_keys[account].to_bytes()
    return Chain(Web3(_Provider(tester)), Account.from_key(key))


def _error(code: int, message: str, **more: str) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 0, "error": {"code": code, "message": message, **more}}  # type: ignore[typeddict-item]


def _data_of(message: str) -> bytes:
    text = message.removeprefix("execution reverted: ")
    try:
        data = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return b""
    return data if isinstance(data, bytes) else b""
