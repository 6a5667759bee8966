"""Connections to nodes, and their errors. A URL may contain a secret, so messages show only its host.

web3 and eth_account import py_ecc, which raises the interpreter's recursion limit to 100,000. The C stack ends long
before that, so a deeply nested JSON document would then end the process instead of raising RecursionError. Import the
names in `__all__` from here, and anything else that imports py_ecc (eth_tester, py-evm, eth_keyfile) within
`recursion_limit_kept`. The module takes half a second to import: only modules that talk to a chain import it.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import RequestException

from zkinfer.contracts import strict_json
from zkinfer.contracts.abi import revert_advice, revert_reason
from zkinfer.contracts.errors import RevertedError, RpcError

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
    "Node",
    "RPCEndpoint",
    "RPCResponse",
    "TransactionNotFound",
    "TypedTransaction",
    "Web3",
    "Web3Exception",
    "connect",
    "is_loopback",
    "is_safe",
    "parse_url",
    "recursion_limit_kept",
    "redacted",
    "rpc_errors",
]


_TIMEOUT: Final = 120.0
_MAX_MESSAGE: Final = 300
_MAX_ANSWER: Final = 1 << 26  # bytes: the events of many blocks
_MAX_VALUES: Final = 1 << 21
# No connection; or an answer that is not JSON, or of a shape that web3 does not expect.
_NO_ANSWER: Final = (RequestException, ValueError, LookupError, TypeError, AttributeError)
_SILENT: Final = logging.Logger("silent", logging.CRITICAL + 1)


class Node(HTTPProvider):
    """The provider for a node's URL, which is not logged."""

    logger = _SILENT

    def __init__(self, url: str) -> None:
        super().__init__(url, request_kwargs={"timeout": _TIMEOUT})
        self._request_session_manager.logger = _SILENT

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Parse an answer strictly; raises StrictJsonError, which `rpc_errors` turns into RpcError."""
        response: RPCResponse = strict_json.loads(raw_response, max_bytes=_MAX_ANSWER, max_values=_MAX_VALUES)
        return response


def connect(url: str) -> Web3:
    """A connection to the node at a URL; raises RpcError if it is invalid, or the traffic could be altered."""
    parts = parse_url(url)
    if not is_safe(parts):
        raise RpcError(
            f"The URL of {redacted(url)} is not encrypted, so an attacker could answer in place of the node.",
            "Use https, or a tunnel to a port of this machine.",
        )
    web3 = Web3(Node(url))
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # blocks of some chains carry signatures there
    return web3


def parse_url(url: str) -> SplitResult:
    """The parts of a URL; raises RpcError if it is invalid."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise RpcError("The URL of a node begins with https:// or http:// and names a host.", "Check --rpc.")
    return parts


def is_safe(parts: SplitResult) -> bool:
    """Whether the traffic is protected: encrypted, or within this machine or a private network."""
    return parts.scheme == "https" or is_loopback(parts) or _is_private(parts.hostname or "")


def is_loopback(parts: SplitResult) -> bool:
    """Whether the URL is of this machine: `localhost` or a loopback address, no other name."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def redacted(url: str) -> str:
    """A URL without its secrets: only scheme, host and port."""
    parts = parse_url(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


@contextmanager
def rpc_errors(web3: Web3) -> Iterator[None]:
    """Turn web3's exceptions into RevertedError and RpcError; TransactionNotFound passes through."""
    try:
        yield
    except TransactionNotFound:  # an answer, not a failure
        raise
    except ContractLogicError as err:
        meaning, cure = revert_advice(err.data)
        raise RevertedError(f"{revert_reason(err.data)} {meaning}".rstrip(), cure) from err
    except Web3Exception as err:
        raise RpcError(f"The node refused: {_without_url(str(err), web3)[:_MAX_MESSAGE]}.") from err
    except _NO_ANSWER as err:
        url = _url_of(web3)
        host = redacted(url) if url else "the chain"
        own = bool(url) and is_loopback(parse_url(url))
        start = ", or start a node there: zkinfer chain dev" if own and isinstance(err, NoConnection) else ""
        raise RpcError(f"{host} gave no valid answer ({type(err).__name__}).", f"Check --rpc{start or '.'}") from None


def _without_url(text: str, web3: Web3) -> str:
    url = _url_of(web3)
    return text.replace(url, redacted(url)) if url else text


def _url_of(web3: Web3) -> str:
    return str(getattr(web3.provider, "endpoint_uri", "") or "")


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host  # a name within the local network, such as a container's
