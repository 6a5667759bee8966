"""Alerts to the operator's webhook. They never delay the daemon: a full queue drops the oldest."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import httpx2

from zkinfer.service.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING: Final = 256
_ATTEMPTS: Final = 6
_FIRST_WAIT: Final = 1.0
_TIMEOUT: Final = 10.0


class AlertKind(StrEnum):
    """What the operator is told."""

    LATE = "late"
    SOURCE_REFUSED = "source refused"
    ANSWER_REFUSED = "answer refused"
    PEERS_DISAGREE = "peers disagree"
    PROOF_FAILED = "proof failed"
    POST_REFUSED = "post refused"
    BALANCE_LOW = "balance low"
    CONTRADICTED = "contradicted"
    KEY_ELSEWHERE = "key used elsewhere"
    CLOCK_WENT_BACK = "clock went back"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: its kind, what it is about (a feed or a chain), and a sentence.

    `cleared` says that an earlier alert about the same no longer holds.
    """

    kind: AlertKind
    about: str
    text: str
    cleared: bool = False

    def document(self, now: float) -> dict[str, Any]:
        """The JSON that the webhook gets."""
        return {
            "kind": str(self.kind),
            "about": self.about,
            "text": self.text,
            "cleared": self.cleared,
            "time": int(now),
        }


class Alerts:
    """Tells the operator once when something begins, and once when it ends.

    Args:
        url: of the webhook, which gets a JSON object by POST; None for the log alone.
        transport: of httpx2; for tests.
        sleep: waits between attempts; returns whether the alerts were stopped meanwhile.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        self._url = url
        self._transport = transport
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._changed = threading.Condition()
        self._waiting: deque[Alert] = deque(maxlen=MAX_WAITING)
        self._active: set[tuple[AlertKind, str]] = set()
        self.dropped = 0

    def begin(self, kind: AlertKind, about: str, text: str) -> None:
        """Tell that something holds, unless it was told already."""
        with self._changed:
            if (kind, about) in self._active:
                return
            self._active.add((kind, about))
        log.warning(str(kind), about=about, reason=text)
        self._enqueue(Alert(kind, about, text))

    def end(self, kind: AlertKind, about: str) -> None:
        """Tell that it no longer holds, if it was told that it did."""
        with self._changed:
            if (kind, about) not in self._active:
                return
            self._active.remove((kind, about))
        log.info(f"no longer {kind}", about=about)
        self._enqueue(Alert(kind, about, "It no longer holds.", cleared=True))

    @property
    def active(self) -> frozenset[tuple[AlertKind, str]]:
        """What holds now."""
        with self._changed:
            return frozenset(self._active)

    def run(self) -> None:
        """Send alerts until `stop`; for a thread of its own."""
        while (alert := self._next()) is not None:
            self._send(alert)

    def stop(self) -> None:
        """End `run`; alerts that still wait are not sent."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def _enqueue(self, alert: Alert) -> None:
        if self._url is None:
            return
        with self._changed:
            self.dropped += len(self._waiting) == MAX_WAITING
            self._waiting.append(alert)
            self._changed.notify_all()

    def _next(self) -> Alert | None:
        with self._changed:
            while not self._waiting and not self._stopped.is_set():
                self._changed.wait()
            return None if self._stopped.is_set() else self._waiting.popleft()

    def _send(self, alert: Alert) -> None:
        """Try a few times, with growing waits."""
        wait, why = _FIRST_WAIT, ""
        for _ in range(_ATTEMPTS):
            if not (why := self._attempt(alert)) or self._sleep(wait):
                return
            wait *= 2
        self.dropped += 1
        log.error("an alert was not delivered", about=alert.about, reason=why)

    def _attempt(self, alert: Alert) -> str:
        """Send once; why it failed, without the URL, which may hold a secret, or nothing."""
        assert self._url is not None  # noqa: S101 - nothing is queued without one
        try:
            with (
                httpx2.Client(timeout=_TIMEOUT, transport=self._transport, trust_env=False) as client,
                client.stream("POST", self._url, json=alert.document(time.time())) as answer,
            ):
                accepted, status = answer.is_success, answer.status_code  # its body is not read
        except (httpx2.HTTPError, httpx2.InvalidURL) as err:
            return f"The webhook did not answer ({type(err).__name__})."
        return "" if accepted else f"The webhook answered with status {status}."
