"""A running `zkinfer serve`, as the page browses it over HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from zkinfer.circuits.errors import InputError
from zkinfer.ui.errors import ServerError
from zkinfer.ui.server_http import ServerHttp
from zkinfer.ui.server_values import ModelPage, Proof, ProofPage, ServedModel, parsed
from zkinfer.verifier.statement import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.ui.settings import ServerAccess

_MOST_PROOFS: Final = 50
_MOST_PAGES: Final = 20
_MAX_DOCUMENT: Final = 4 << 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ServerBrowser:
    """Reads models and proofs of one server, with the operator's token.

    Args:
        access: the server's URL and the token.
        http: gets its documents.

    Raises:
        InputError: the CAs of the access cannot be used.
    """

    def __init__(self, access: ServerAccess, http: ServerHttp | None = None) -> None:
        self._access, self._http = access, http or ServerHttp(access)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._access.url

    async def models(self) -> Sequence[ServedModel]:
        """The server's models; raises ServerError."""
        found: list[ServedModel] = []
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"page_token": token} if token else None
            data = await self._http.get("v1/models", query=query, most=_MAX_DOCUMENT)
            page = parsed(ModelPage, data, "list of models")
            found += page.models
            token = page.next_page_token
            if not token:
                return found
        raise ServerError(f"The server's list of models has more than {_MOST_PAGES} pages.", "Ask it for one model.")

    async def model(self, name: str, version: str) -> ServedModel:
        """One version of a model; raises InputError for a malformed name, and ServerError."""
        if _MODEL.fullmatch(name) is None or _MODEL.fullmatch(version) is None:
            raise InputError(f"{name[:80]!r} {version[:40]!r} is not the name of a model.", "Choose one of the list.")
        path = f"v1/models/{quote(name, safe='')}/versions/{quote(version, safe='')}"
        return parsed(ServedModel, await self._http.get(path, most=_MAX_DOCUMENT), "model")

    async def proofs(self) -> Sequence[Proof]:
        """The newest proofs of the token's owner; raises ServerError."""
        query = {"page_size": str(_MOST_PROOFS)}
        data = await self._http.get("v1/operations", query=query, most=_MAX_DOCUMENT)
        return parsed(ProofPage, data, "list of proofs").operations

    async def proof(self, name: str) -> Proof:
        """One proof; raises InputError for a malformed name, and ServerError."""
        return parsed(Proof, await self._http.get(_path(name), most=_MAX_DOCUMENT), "proof")

    async def attestation(self, name: str) -> bytes:
        """The bytes of a proof's attestation, which nobody has verified; raises as `proof`."""
        return await self._http.get(f"{_path(name)}/attestation", most=MAX_BYTES)


def _path(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name[:80]!r} is not the name of a proof.", "Choose one of the list.")
    return f"v1/operations/proofs/{name}"
