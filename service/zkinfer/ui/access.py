"""Who may use the page: entry by the link that the command prints, sessions, and tokens against forged posts.

Other users of this machine can connect to a loopback address too, and the page acts with the operator's server token
and files. So nothing but the style, the script and the entry is served without a session, and only the printed link,
which holds a random key, opens one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

_MAX_SESSIONS: Final = 64


@dataclass(slots=True)
class Session:
    """One browser that has opened the link; `language` is empty until one is chosen."""

    id: str
    token: str
    language: str = ""


@dataclass(slots=True)
class Access:
    """The key of the entry, and the sessions that it opened; the oldest is closed if there are too many."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _sessions: dict[str, Session] = field(default_factory=dict, repr=False)

    def enter(self, key: str) -> Session | None:
        """A new session for the right key; None for any other."""
        if not hmac.compare_digest(key.encode(), self.key.encode()):
            return None
        name = secrets.token_urlsafe(32)
        while len(self._sessions) >= _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        token = hmac.new(self._secret, name.encode(), hashlib.sha256).hexdigest()
        self._sessions[name] = Session(name, token)
        return self._sessions[name]

    def session(self, name: str) -> Session | None:
        """The open session with this name."""
        return self._sessions.get(name)


def is_token_of(session: Session, token: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(token.encode(), session.token.encode())
