"""Listening addresses: `host:port`, `[address]:port` or `unix:/path`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zkinfer.service.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

_HOST_HEADER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@]+)(:[0-9]*)?")
_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A listening address; `port` is 0 for any free port and for Unix sockets."""

    text: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address; raises SettingsError."""
        if text.startswith("unix:") and len(text) > len("unix:"):
            return cls(text, "", 0)
        match = _HOST_PORT.fullmatch(text)
        if match is None or int(match["port"]) > 65_535:
            raise SettingsError(f"{text!r:.120} is not an address.", "Write host:port, [address]:port or unix:/path.")
        return cls(text, match["six"] or match["host"], int(match["port"]))

    @property
    def is_local(self) -> bool:
        """Whether it can be reached from this machine only."""
        return not self.host or _is_loopback(self.host)

    def with_port(self, port: int) -> str:
        """This address with the bound port."""
        return f"{self.text.rpartition(':')[0]}:{port}" if self.host else self.text


def is_own_name(header: str, names: Collection[str]) -> bool:
    """Whether a Host header has one of these names, in lower case, or is `localhost` or a loopback address.

    A web page's name may resolve to this machine; its requests have that name in this header.
    """
    match = _HOST_HEADER.fullmatch(header)
    if match is None:
        return False
    name = match[1].lower()
    return name in names or _is_loopback(name.strip("[]"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
