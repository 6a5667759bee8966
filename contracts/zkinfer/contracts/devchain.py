"""A development chain inside this process; needs only the extra `chain-dev`.

The keys of its accounts are public, and its state is lost when the process ends.
"""

from __future__ import annotations

import ast
import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final, cast

from eth_utils.exceptions import ValidationError

from zkinfer.contracts import strict_json
from zkinfer.contracts.rpc import EthereumTesterProvider, Web3, recursion_limit_kept
from zkinfer.contracts.signers import DEV_MNEMONIC, DEV_PATH

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
_MAX_BYTES: Final = 1 << 22
_IN_NEXT_BLOCK: Final = ("eth_estimateGas", "eth_sendRawTransaction")
_PARSE, _INVALID, _FAILED = -32700, -32600, -32602


def free_port() -> int:
    """A port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


class DevServer(HTTPServer):
    """Serves a fresh embedded chain, one request at a time. Binds on construction; see `serve_forever`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self._web3 = embedded_web3()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://{ADDRESS}:{self.server_port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The accepted Host headers."""
        return tuple(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's types
        """Pass over a client that hung up, as one that ends while it waits for an answer does; show other errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, request: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON from outside
        """The response to one JSON-RPC request."""
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _devserver_error(None, _INVALID, "not a JSON-RPC request")
        if request["method"] in _IN_NEXT_BLOCK:
            self._set_clock()
        onion = self._web3.middleware_onion
        send_request = self._web3.provider.request_func(self._web3, cast("Any", onion))
        try:
            response = send_request(cast("RPCEndpoint", request["method"]), request.get("params", []))
        except (KeyError, TypeError, ValueError) as err:
            return _devserver_error(
                request.get("id"), _FAILED, f"the chain cannot do this: {type(err).__name__} {err}"[:300]
            )
        return {**_json_rpc_value(response), "jsonrpc": "2.0", "id": request.get("id")}

    def _set_clock(self) -> None:
        """Give the next block the present time, as nodes do; the tester would give it that of the last one."""
        tester: Any = cast("EthereumTesterProvider", self._web3.provider).ethereum_tester
        now = int(time.time())
        if tester.get_block_by_number("pending")["timestamp"] < now:
            tester.time_travel(now)


class _Handler(BaseHTTPRequestHandler):
    server: DevServer
    timeout = 30.0

    def do_POST(self) -> None:
        """Answer one request, or a batch."""
        if (refusal := self._refusal()) is not None:
            self.send_error(*refusal)
            return
        try:
            request = strict_json.loads(self.rfile.read(int(self.headers["Content-Length"])), max_bytes=_MAX_BYTES)
        except ValueError:
            self._reply(_devserver_error(None, _PARSE, "not JSON"))
            return
        self._reply(
            [self.server.answer(one) for one in request] if isinstance(request, list) else self.server.answer(request)
        )

    def _refusal(self) -> tuple[int, str] | None:
        length, kind = self.headers.get("Content-Length", ""), self.headers.get_content_type()
        if self.headers.get("Host") not in self.server.hosts or "Origin" in self.headers:
            return 403, "for programs of this machine only"
        if kind != "application/json":
            return 415, "send application/json"
        if not (length.isascii() and length.isdecimal() and int(length) <= _MAX_BYTES):
            return 413, "too large, or without Content-Length"
        return None

    def _reply(self, document: Any) -> None:  # noqa: ANN401 - any JSON value
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


def _devserver_error(request_id: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def _json_rpc_value(value: Any) -> Any:  # noqa: ANN401 - any value of the tester
    """A value in JSON-RPC's form: numbers and bytes in hex."""
    if isinstance(value, dict) or hasattr(value, "items"):
        mapping: Mapping[str, Any] = value
        return {name: one if name == "code" else _json_rpc_value(one) for name, one in mapping.items()}
    if isinstance(value, (list, tuple)):
        return [_json_rpc_value(one) for one in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) else value


# JSON-RPC error codes: for a call that reverted, and for a transaction that was rejected before execution.
_REVERTED, _REFUSED = 3, -32000


class _Provider(EthereumTesterProvider):
    """Reports reverted calls as nodes do."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - web3's signature
        try:
            return super().make_request(method, params)
        except TransactionFailed as err:
            return _error(_REVERTED, "execution reverted", data="0x" + _revert_data(err).hex())
        except (ValidationError, NotPossible, BlockNotFound) as err:
            return _error(_REFUSED, str(err))


def embedded_web3() -> Web3:
    """A connection to a fresh chain, whose accounts are those of `unsafe_dev_account`."""
    backend = PyEVMBackend.from_mnemonic(DEV_MNEMONIC, hd_path=DEV_PATH)
    backend.chain.gas_estimator = _gas_of_one_run
    return Web3(_Provider(EthereumTester(backend)))


def _gas_of_one_run(state: StateAPI, transaction: SignedTransactionAPI) -> int:
    """The gas of a transaction, from one run: a binary search would take seconds for each pairing.

    A tenth is added, because each call can pass on only 63/64 of its remaining gas.
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


def _revert_data(err: TransactionFailed) -> bytes:
    """The revert data of a call; the provider's own exception keeps only its text."""
    data = (err.__context__ or err).args[0]
    data = data.args[0] if isinstance(data, Exception) else data
    return data if isinstance(data, bytes) else _literal(str(data))


def _literal(text: str) -> bytes:
    """Parse revert data that is given as the repr of bytes."""
    try:
        data = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return b""
    return data if isinstance(data, bytes) else b""
