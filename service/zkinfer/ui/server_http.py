"""Requests to a running `zkinfer serve` over HTTP, bounded in size and time.

The token goes to the configured address and to no other: redirects are not followed, and no proxy, `.netrc` or CA that
the environment names is used.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx2

from zkinfer.circuits.errors import InputError
from zkinfer.ui.errors import ServerError
from zkinfer.ui.server_values import Problem, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zkinfer.ui.settings import ServerAccess

SECONDS: Final = 10.0
"""The time limit of one request with its answer."""
_MAX_PROBLEM: Final = 1 << 16
_MAX_SHOWN: Final = 2000
_PROBLEM: Final = "application/problem+json"
_ADDRESS: Final = "Check the address: it is that of `zkinfer serve --rest`, not that of gRPC."
_CURES: Final = {
    HTTPStatus.UNAUTHORIZED: "Start the page with --token-file and a token of this server.",
    HTTPStatus.FORBIDDEN: "Start the page with --token-file and a token that may do this.",
}


class ServerHttp:
    """Gets documents of one server. A connection lives as long as one request.

    Args:
        access: the server's URL, the token, and the CAs to trust.
        seconds: the time limit of one request with its answer.

    Raises:
        InputError: the file of CAs holds none.
    """

    def __init__(self, access: ServerAccess, *, seconds: float = SECONDS) -> None:
        self._access, self._seconds = access, seconds
        self._tls = _context(access.root_certificates)

    async def get(self, path: str, *, query: Mapping[str, str] | None = None, most: int) -> bytes:
        """The body of a path of the server.

        Args:
            path: relative to the server's URL, without a slash at its beginning.
            query: of the URL.
            most: bytes that the answer may have.

        Raises:
            ServerError: the server cannot be reached, refuses, redirects, or answers too much or too slowly.
        """
        return await self._sent("GET", path, None, query, most)

    async def post(self, path: str, content: bytes, *, query: Mapping[str, str] | None = None, most: int) -> bytes:
        """The answer to a file that is sent to a path of the server; arguments and errors as for `get`."""
        return await self._sent("POST", path, content, query, most)

    async def _sent(
        self, method: str, path: str, content: bytes | None, query: Mapping[str, str] | None, most: int
    ) -> bytes:
        kind = {} if content is None else {"content-type": "application/octet-stream"}
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client() as client,
                client.stream(method, path, params=query, content=content, headers=kind) as answer,
            ):
                if answer.status_code == HTTPStatus.OK:
                    return await _body(answer, most)
                raise await _refusal(answer)
        except (TimeoutError, httpx2.TimeoutException) as err:
            cause = f"{self._access.url} did not answer within {self._seconds:g} seconds."
            raise ServerError(cause, "Try again, or check its log.", status=HTTPStatus.GATEWAY_TIMEOUT) from err
        except httpx2.ConnectError as err:
            cause = f"The server at {self._access.url} cannot be reached: {_why(err)}."
            raise ServerError(cause, "Check the address, whether it runs, and whether it requires TLS.") from err
        except httpx2.HTTPError as err:
            raise ServerError(f"{self._access.url} does not answer in HTTP: {_why(err)}.", _ADDRESS) from err

    def _client(self) -> httpx2.AsyncClient:
        token = {"authorization": f"Bearer {self._access.token}"} if self._access.token else {}
        return httpx2.AsyncClient(
            base_url=self._access.url,
            headers={"accept": f"application/json, {_PROBLEM}", "accept-encoding": "identity", **token},
            verify=self._tls,
            follow_redirects=False,
            trust_env=False,
            timeout=self._seconds,
        )


def _context(certificates: bytes | None) -> ssl.SSLContext:
    """TLS with these CAs, or with those of the system."""
    if certificates is None:
        return httpx2.create_ssl_context(trust_env=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificates.decode("ascii"))
    except (ValueError, ssl.SSLError) as err:  # not text, or no certificate
        raise InputError("The file of CAs holds no certificate.", "Name a file in PEM with --tls-ca.") from err
    return context


async def _body(answer: httpx2.Response, most: int) -> bytes:
    """The body as sent; a compressed one was not asked for, and could be larger than it looks."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise ServerError("The server's answer is compressed, which was not requested.", _ADDRESS)
    data = bytearray()
    async for part in answer.aiter_raw():
        data += part
        if len(data) > most:
            raise ServerError(f"The server's answer exceeds {most:,} bytes.", "It is not read.")
    return bytes(data)


async def _refusal(answer: httpx2.Response) -> ServerError:
    """The error that the server states in a problem document, or else one that names the status."""
    number = answer.status_code
    if answer.is_redirect:
        return ServerError("The server redirects to another address.", "Start the page with that address as --server.")
    if answer.headers.get("content-type", "").partition(";")[0] != _PROBLEM:
        return ServerError(f"The server answered with the HTTP status {number}, and gave no reason.", _ADDRESS)
    problem = parsed(Problem, await _body(answer, _MAX_PROBLEM), "problem document")
    status = HTTPStatus.NOT_FOUND if number == HTTPStatus.NOT_FOUND else HTTPStatus.BAD_GATEWAY
    return ServerError(problem.detail[:_MAX_SHOWN], _cure(number, problem), status=status)


def _cure(number: int, problem: Problem) -> str:
    """What helps beyond the server's own words, and where its operator finds more."""
    parts = [_CURES.get(HTTPStatus(number), "") if number in set(HTTPStatus) else ""]
    if problem.retry_after is not None:
        parts.append(f"Try again in {problem.retry_after:.3g} seconds.")
    named = " ".join(filter(None, (str(number), problem.code[:40], problem.reason[:80])))
    request = f", request {problem.request_id[:80]}" if problem.request_id else ""
    return " ".join(filter(None, [*parts, f"The server's error is {named}{request}."]))


def _why(err: httpx2.HTTPError) -> str:
    return (str(err) or type(err).__name__).rstrip(".")[:200]
