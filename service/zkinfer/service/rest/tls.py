"""TLS of the HTTP server, with certificates that can be renewed without a restart."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from zkinfer.service.errors import SettingsError
from zkinfer.service.transport import CertificateFiles

if TYPE_CHECKING:
    from zkinfer.service.settings import Tls


class ReloadingContext(ssl.SSLContext):
    """A context that reads the files again at the first handshake after they changed.

    Each connection gets its TLS object from `wrap_bio`, so it uses the certificate and the CA of that moment; changing
    one context instead would keep the old CA beside the new one. While the files are unreadable, the last valid ones
    stay in use.

    Raises:
        SettingsError: the files cannot be read, or do not belong together.
    """

    _files: CertificateFiles
    _current: ssl.SSLContext

    def __new__(cls, _tls: Tls) -> Self:
        """A context of a server; Python's needs its protocol before `__init__`."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, tls: Tls) -> None:
        self._files = CertificateFiles(tls)
        self._current = self._files.context()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:  # noqa: ANN401 - as in ssl
        """A TLS object of the current context."""
        with suppress(SettingsError):
            if self._files.changed():
                self._current = self._files.context()
        return self._current.wrap_bio(*arguments, **options)
