"""Reaching a node, and what to say where it fails. Its URL may hold a secret, so messages show its host alone."""

from __future__ import annotations

import ipaddress
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from requests.exceptions import RequestException

from zkinfer.contracts import strict_json
from zkinfer.contracts.abi import reason_of
from zkinfer.contracts.errors import RevertedError, RpcError
from zkinfer.contracts.web3_imports import (
    ContractLogicError,
    ExtraDataToPOAMiddleware,
    HTTPProvider,
    RPCResponse,
    TransactionNotFound,
    Web3,
    Web3Exception,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT: Final = 120.0
_LONGEST: Final = 300
_MAX_ANSWER: Final = 1 << 26  # bytes: the events of many blocks
_MAX_VALUES: Final = 1 << 21
# No connection; or an answer that is not JSON, or of another shape than web3 takes apart.
_NO_ANSWER: Final = (RequestException, ValueError, LookupError, TypeError, AttributeError)
_SILENT: Final = logging.Logger("silent", logging.CRITICAL + 1)


class Node(HTTPProvider):
    """A node by its URL, which is not logged."""

    logger = _SILENT

    def __init__(self, url: str) -> None:
        super().__init__(url, request_kwargs={"timeout": _TIMEOUT})
        self._request_session_manager.logger = _SILENT

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        """Parse an answer strictly; raises StrictJsonError, which `asking` turns into RpcError."""
        response: RPCResponse = strict_json.loads(raw_response, max_bytes=_MAX_ANSWER, max_values=_MAX_VALUES)
        return response


def connect(url: str) -> Web3:
    """A connection to the node at a URL; raises RpcError where it is invalid, or the traffic could be altered."""
    parts = parse_url(url)
    if not is_safe(parts):
        raise RpcError(
            f"The URL of {shown(url)} is not encrypted, so anyone on the way could answer for the node.",
            "Use https, or a tunnel to a port of this machine.",
        )
    web3 = Web3(Node(url))
    web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)  # blocks of some chains carry signatures there
    return web3


def parse_url(url: str) -> SplitResult:
    """The parts of a URL; raises RpcError for what is none."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise RpcError("The URL of a node begins with https:// or http:// and names a host.", "Check --rpc.")
    return parts


def is_safe(parts: SplitResult) -> bool:
    """Whether the traffic is protected: encrypted, or within this machine or a private network."""
    return parts.scheme == "https" or is_loopback(parts) or _is_private(parts.hostname or "")


def is_loopback(parts: SplitResult) -> bool:
    """Whether the URL is of this machine: `localhost`, or an address, not a name that looks like one."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(url: str) -> str:
    """A URL without what may be secret in it: its host and port."""
    parts = parse_url(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


@contextmanager
def asking(web3: Web3) -> Iterator[None]:
    """Turn what a call of a node raises into RevertedError and RpcError; TransactionNotFound stays what it is."""
    try:
        yield
    except TransactionNotFound:  # an answer, not a failure
        raise
    except ContractLogicError as err:
        raise RevertedError(reason_of(err.data)) from err
    except Web3Exception as err:
        raise RpcError(f"The node refused: {_without_url(str(err), web3)[:_LONGEST]}.") from err
    except _NO_ANSWER as err:
        where = _url_of(web3)
        host = shown(where) if where else "the chain"
        raise RpcError(f"{host} does not answer as a node does ({type(err).__name__}).", "Check --rpc.") from None


def _without_url(text: str, web3: Web3) -> str:
    url = _url_of(web3)
    return text.replace(url, shown(url)) if url else text


def _url_of(web3: Web3) -> str:
    return str(getattr(web3.provider, "endpoint_uri", "") or "")


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host  # a name within one's own network, as containers have
