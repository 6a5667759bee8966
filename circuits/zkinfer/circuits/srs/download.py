"""Download a setup file, with resumption of an interrupted download.

Only the file's content is trusted: its digest is pinned, or it passes the full check. HTTPS adds privacy and protects
against useless downloads; plain HTTP is used for loopback addresses only.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, BinaryIO

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import ceremonies
from zkinfer.circuits.srs.check import hash_setup
from zkinfer.circuits.srs.file_format import file_size, require_k
from zkinfer.circuits.storage import flush_to_disk, setup_write_errors

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.circuits.srs.ceremonies import Progress, TrustedSetup
    from zkinfer.circuits.srs.store import SetupStore

_READ_BYTES = 1 << 18
_RESUME = "Run the same command again to resume."
_OTHER_SOURCE = "Use another source, or import a local file with `zkinfer setup import FILE`."
_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})")


def fetch_setup(
    store: SetupStore,
    k: int,
    ceremony: str = ceremonies.PERPETUAL_POWERS_OF_TAU,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    timeout_s: float = 30,
) -> TrustedSetup:
    """Download a ceremony's file of 2^k powers into the store; idempotent.

    Args:
        store: the destination; its lock serialises downloads of several processes.
        k: 1 to 26; the file has about 128 * 2^k bytes.
        ceremony: its name; `insecure-dev` is generated instead of downloaded.
        base_url: URL of a mirror that holds files named `<ceremony>-raw-<k>`; replaces the known source.
        progress: called with the fraction downloaded, from 0 to 1.
        timeout_s: seconds without data after which the download fails.

    Raises:
        SetupError: no such file, no network, not enough disk space, or wrong content. A partial download is kept for
            the next call; wrong content is removed.
    """
    require_k(k)
    url = _url(ceremonies.by_name(ceremony), k, base_url)
    with store.lock():
        present = store.stored(ceremony, k)
        if present is not None:
            return present
        part = store.path_for(ceremony, k).with_suffix(".part")
        download = _Download(url, part, file_size(k), progress, timeout_s)
        resumed = download.run()
        try:
            return _accept(store, part, ceremony, k)
        except _WrongContentError:
            if not resumed:
                raise
        download.run()  # the file changed between the two attempts, or the first part was wrong: start over once
        return _accept(store, part, ceremony, k)


class _WrongContentError(SetupError):
    """The downloaded content is not the expected file; it has been removed."""


def _url(ceremony: ceremonies.Ceremony, k: int, base_url: str | None) -> str:
    if base_url is not None and ceremony.name != ceremonies.INSECURE_DEV:
        return _safe(f"{base_url.rstrip('/')}/{ceremony.name}-raw-{k}")
    if ceremony.url_template is None:
        raise SetupError(
            f"Setups of {ceremony.name} are not published.", "Pass `--setup insecure-dev` to generate one."
        )
    return _safe(ceremony.url_template.format(k=k))


def _safe(url: str) -> str:
    """The URL if it is HTTPS, or HTTP to a loopback address; raises SetupError for any other."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as err:
        raise SetupError(f"{url} is not a valid URL: {err}.", "Use an https URL.") from err
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return url
    raise SetupError(f"{url} is neither https nor http to a loopback address.", "Use an https URL.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _accept(store: SetupStore, part: Path, ceremony: str, k: int) -> TrustedSetup:
    """Check the content and rename the file; wrong content is removed, so that the next call starts over."""
    try:
        _require_digest(part, ceremonies.by_name(ceremony).files.get(k))
        return store.adopt(part, ceremony, k)
    except SetupError as err:
        part.unlink(missing_ok=True)
        raise _WrongContentError(f"The download was rejected and removed. {err.cause}", _OTHER_SOURCE) from err


def _require_digest(part: Path, expected: str | None) -> None:
    if expected is not None and (digest := hash_setup(part).hex) != expected:
        raise SetupError(f"Its sha256 is {digest}, not {expected}.")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to URLs that `_safe` accepts."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,  # noqa: ANN401 - the signature of urllib
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        return super().redirect_request(req, fp, code, msg, headers, _safe(newurl))


class _Download:
    """The download of one URL into one partial file."""

    def __init__(self, url: str, part: Path, size: int, progress: Progress | None, timeout_s: float) -> None:
        self._url = url
        self._part = part
        self._size = size
        self._progress = progress
        self._timeout_s = timeout_s
        # A proxy from the environment cannot reach the loopback address of this machine.
        is_local = urllib.parse.urlsplit(url).scheme == "http"
        proxies = [urllib.request.ProxyHandler({})] if is_local else []
        self._opener = urllib.request.build_opener(_SafeRedirects, *proxies)

    def run(self) -> bool:
        """Complete the partial file; returns whether it was resumed from an earlier attempt."""
        have = self._have()
        if have == self._size:
            return True
        with self._open(have) as response:
            start = self._start(response, have)
            with setup_write_errors(self._part), self._part.open("ab") as file:
                file.truncate(start)
                self._receive(response, file, start)
                flush_to_disk(file)
        return start > 0

    def _have(self) -> int:
        size = self._part.stat().st_size if self._part.exists() else 0
        return size if size <= self._size else 0

    def _open(self, have: int) -> http.client.HTTPResponse:
        headers = {"User-Agent": "zkinfer", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - checked by _safe
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as err:
            with err:
                raise self._refused(err.code) from err
        except (OSError, http.client.HTTPException) as err:
            reason = getattr(err, "reason", err)
            raise SetupError(f"Cannot reach {self._url}: {reason}.", f"Check the network. {_RESUME}") from err
        return response

    def _refused(self, status: int) -> SetupError:
        if status == 416:  # the server's file is shorter than the partial one
            self._part.unlink(missing_ok=True)
            return SetupError(f"{self._url} does not have the expected size.", _OTHER_SOURCE)
        if status == 404:
            return SetupError(f"{self._url} does not exist (404).", _OTHER_SOURCE)
        return SetupError(f"{self._url} returned HTTP status {status}.", f"Try again later. {_RESUME}")

    def _start(self, response: http.client.HTTPResponse, have: int) -> int:
        """The offset at which the response starts; raises SetupError for a wrong length before reading it."""
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status == 206 and match is not None and int(match[1]) == have:
            start, total = have, int(match[2])
        else:  # the server ignored the range and sends the whole file
            start, total = 0, self._size if response.length is None else response.length
        if total != self._size:
            raise SetupError(f"{self._url} has {total:,} bytes instead of {self._size:,}.", _OTHER_SOURCE)
        return start

    def _receive(self, response: http.client.HTTPResponse, file: BinaryIO, done: int) -> None:
        while done < self._size:
            data = self._read(response, min(_READ_BYTES, self._size - done))
            if not data:
                raise SetupError(f"{self._url} ended after {done:,} of {self._size:,} bytes.", _RESUME)
            file.write(data)
            done += len(data)
            if self._progress is not None:
                self._progress(done / self._size)

    def _read(self, response: http.client.HTTPResponse, count: int) -> bytes:
        try:
            return response.read(count)
        except (OSError, http.client.HTTPException) as err:
            raise SetupError(f"The download from {self._url} was interrupted: {err}.", _RESUME) from err
