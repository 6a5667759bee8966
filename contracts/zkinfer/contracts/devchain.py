"""A chain inside this process, for trials and tests: nothing to install but the extra `chain-dev`, nothing to run.

The keys of its accounts are public, and it is gone when the process ends.
"""

from __future__ import annotations

import ast
import json
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final, cast

from eth_utils.exceptions import ValidationError

from zkinfer.contracts import strict_json
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.signers import DEV_PATH, DEV_WORDS, unsafe_dev_account
from zkinfer.contracts.web3_imports import EthereumTesterProvider, Web3, recursion_limit_kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eth.abc import SignedTransactionAPI, StateAPI
    from web3.types import RPCEndpoint, RPCResponse

with recursion_limit_kept():
    from eth.vm.spoof import SpoofTransaction
    from eth_tester import EthereumTester, PyEVMBackend
    from eth_tester.exceptions import BlockNotFound, TransactionFailed
    from eth_tester.exceptions import ValidationError as NotPossible

ADDRESS: Final = "127.0.0.1"
_MOST_BYTES: Final = 1 << 22
_PARSE, _INVALID, _FAILED = -32700, -32600, -32602


def free_port() -> int:
    """A port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


class DevServer(HTTPServer):
    """Serves one fresh embedded chain, one request after the other. Binds when it is made; see `serve_forever`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self._web3 = embedded_web3()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{ADDRESS}:{self.server_port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which it may be called."""
        return tuple(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def answer(self, request: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON from outside
        """The response to one request of JSON-RPC."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _devserver_error(None, _INVALID, "no request of JSON-RPC")
        onion = self._web3.middleware_onion
        ask = self._web3.provider.request_func(self._web3, cast("Any", onion))
        try:
            response = ask(cast("RPCEndpoint", request["method"]), request.get("params", []))
        except (KeyError, TypeError, ValueError) as err:
            return _devserver_error(
                request.get("id"), _FAILED, f"the chain cannot do this: {type(err).__name__} {err}"[:300]
            )
        return {**_wired(response), "jsonrpc": "2.0", "id": request.get("id")}


class _Handler(BaseHTTPRequestHandler):
    server: DevServer
    timeout = 30.0

    def do_POST(self) -> None:
        """Answer one request, or a list of them."""
        if (refusal := self._refusal()) is not None:
            self.send_error(*refusal)
            return
        try:
            asked = strict_json.loads(self.rfile.read(int(self.headers["Content-Length"])), max_bytes=_MOST_BYTES)
        except ValueError:
            self._reply(_devserver_error(None, _PARSE, "not JSON"))
            return
        self._reply(
            [self.server.answer(one) for one in asked] if isinstance(asked, list) else self.server.answer(asked)
        )

    def _refusal(self) -> tuple[int, str] | None:
        length, kind = self.headers.get("Content-Length", ""), self.headers.get_content_type()
        if self.headers.get("Host") not in self.server.hosts or "Origin" in self.headers:
            return 403, "for programs of this machine only"
        if kind != "application/json":
            return 415, "send application/json"
        if not (length.isascii() and length.isdecimal() and int(length) <= _MOST_BYTES):
            return 413, "too large, or of no known length"
        return None

    def _reply(self, document: Any) -> None:  # noqa: ANN401 - any JSON value
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the base class has it
        """Log nothing: requests hold calldata, which is noise here."""


def _devserver_error(request_id: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def _wired(value: Any) -> Any:  # noqa: ANN401 - what the tester gives
    """As JSON-RPC writes it: numbers and bytes in hex."""
    if isinstance(value, dict) or hasattr(value, "items"):
        mapping: Mapping[str, Any] = value
        return {name: one if name == "code" else _wired(one) for name, one in mapping.items()}
    if isinstance(value, (list, tuple)):
        return [_wired(one) for one in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) else value


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
