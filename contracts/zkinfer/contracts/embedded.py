"""A chain inside this process, for trials and tests: nothing to install but the extra `chain-dev`, nothing to run.

Its accounts' keys are known to everybody, and it is gone when the process ends.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from eth.vm.spoof import SpoofTransaction
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import BlockNotFound, TransactionFailed
from eth_tester.exceptions import ValidationError as NotPossible
from eth_utils.exceptions import ValidationError

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.ethereum import EthereumTesterProvider, Web3
from zkinfer.contracts.signers import DEV_PATH, DEV_WORDS, unsafe_dev_account

if TYPE_CHECKING:
    from eth.abc import SignedTransactionAPI, StateAPI
    from web3.types import RPCEndpoint, RPCResponse

# Codes of JSON-RPC errors: for a call that reverted, and for a transaction that was not even tried.
_REVERTED, _REFUSED = 3, -32000


class _Provider(EthereumTesterProvider):
    """Answers a call that reverted as nodes do."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - as web3 has it
        try:
            return super().make_request(method, params)
        except TransactionFailed as err:
            return _error(_REVERTED, "execution reverted", data="0x" + _data_of(err).hex())
        except (ValidationError, NotPossible, BlockNotFound) as err:
            return _error(_REFUSED, str(err))


def embedded_chain(account: int = 0) -> Chain:
    """A fresh chain, and one of its ten funded accounts."""
    web3 = embedded_web3()
    chain = Chain(web3)
    return Chain(web3, unsafe_dev_account(account, chain.id))


def embedded_web3() -> Web3:
    """A connection to a fresh chain, whose accounts are those of `unsafe_dev_account`."""
    backend = PyEVMBackend.from_mnemonic(DEV_WORDS, hd_path=DEV_PATH)
    backend.chain.gas_estimator = _gas_of_one_run
    return Web3(_Provider(EthereumTester(backend)))


def _gas_of_one_run(state: StateAPI, transaction: SignedTransactionAPI) -> int:
    """What a transaction takes, from running it once: to search by running costs seconds for each pairing.

    Each contract on the way keeps back a 64th of what it could pass on, so a tenth is added.
    """
    widest = SpoofTransaction(transaction, gas=state.gas_limit, gas_price=0)
    snapshot = state.snapshot()
    try:
        computation = state.apply_transaction(cast("SignedTransactionAPI", widest))
        computation.raise_if_error()
        used = state.gas_limit - computation.get_gas_remaining()
    finally:
        state.revert(snapshot)
    return int(max(used, widest.intrinsic_gas) * 11 // 10)


def _error(code: int, message: str, **more: str) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 0, "error": {"code": code, "message": message, **more}}  # type: ignore[typeddict-item]


def _data_of(err: TransactionFailed) -> bytes:
    """What the contract gave when it refused; the provider writes it anew, and loses all but the text in it."""
    said = (err.__context__ or err).args[0]
    said = said.args[0] if isinstance(said, Exception) else said
    return said if isinstance(said, bytes) else _literal(str(said))


def _literal(text: str) -> bytes:
    """Calls give the data as Python writes it."""
    try:
        data = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return b""
    return data if isinstance(data, bytes) else b""
