"""A source of series over HTTP that can fail in every way that a source fails, for each operator on its own."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zkinfer.oracle.recipes import Recipe

SHOWN: Final = 40
"""Numbers in a document."""
_STALE_STEPS: Final = 9
_LATE_SECONDS: Final = 3.0
_LARGE_BYTES: Final = 6 << 20


class Mode(StrEnum):
    """How a source answers one operator."""

    ERROR = "error"
    """Status 500."""
    LATE = "late"
    """After the operator's patience."""
    LARGE = "too large"
    """More bytes than an operator reads."""
    DAMAGED = "damaged"
    """Half of a document."""
    NOT_A_NUMBER = "not a number"
    """NaN in place of the last number."""
    LIE = "lie"
    """The last numbers are too high."""
    OLD = "old"
    """A series of some steps ago, as if it were the present one."""


DECEITFUL: Final = (Mode.LIE, Mode.OLD)
"""Answers that an operator cannot recognise on its own; the others must."""


@dataclass(frozen=True)
class Series:
    """Prices that move at each step of the clock by up to 2%, the same for the same seed.

    Args:
        first: prices before it begins to move.
        seed: of its moves.
        step: seconds of each.
        began: Unix seconds.
    """

    first: tuple[str, ...]
    seed: int
    step: int
    began: int
    _prices: list[str] = field(default_factory=list, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def at(self, now: float) -> tuple[str, ...]:
        """The numbers that a truthful source shows at a time."""
        return self.after(int((now - self.began) // self.step))

    def after(self, moves: int) -> tuple[str, ...]:
        """The numbers after so many moves."""
        with self._lock:
            prices = self._prices
            prices.extend(self.first[len(prices) :])
            while len(prices) < len(self.first) + moves:
                share = random.Random(f"{self.seed} {len(prices)}").uniform(-0.02, 0.02)  # noqa: S311 - reproducible
                prices.append(f"{min(max(float(prices[-1]) * (1 + share), 40.0), 120.0):.2f}")
            end = len(self.first) + max(moves, 0)
            return tuple(prices[max(end - SHOWN, 0) : end])

    def has_shown(self, recipe: Recipe, numbers: Sequence[Fraction], first: float, last: float) -> bool:
        """Whether a truthful source showed these numbers, within the recipe's tolerance, at a time in this range."""
        steps = range(int((first - self.began) // self.step), int((last - self.began) // self.step) + 1)
        shown = ([Fraction(one) for one in self.after(step)[-len(numbers) :]] for step in steps)
        return any(recipe.agrees(numbers, one) for one in shown)


class SourceServer:
    """Serves `/SERIES/OPERATOR` as JSON.

    Args:
        series: by name.
    """

    def __init__(self, series: Mapping[str, Series]) -> None:
        self.series = dict(series)
        self._modes: dict[int, Mode] = {}
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, name, operator = self.path.split("/")
                source.answer(self, name, int(operator))

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, series: str, operator: int) -> str:
        """Where an operator finds a series."""
        return f"http://127.0.0.1:{self._server.server_port}/{series}/{operator}"

    def fail(self, operator: int, mode: Mode) -> None:
        """Answer an operator in this way from now on."""
        self._modes[operator] = mode

    def recover(self, operator: int) -> None:
        """Answer an operator truthfully from now on."""
        self._modes.pop(operator, None)

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, name: str, operator: int) -> None:
        """Answer a request in the operator's mode."""
        mode, series = self._modes.get(operator), self.series[name]
        if mode == Mode.ERROR:
            request.send_error(500)
            return
        if mode == Mode.LATE:
            time.sleep(_LATE_SECONDS)
        try:
            _send(request, _document(series, mode, time.time()))
        except OSError:  # the operator did not wait, or did not read so much
            return


def _document(series: Series, mode: Mode | None, now: float) -> bytes:
    if mode == Mode.LARGE:
        return b" " * _LARGE_BYTES
    numbers = [*series.at(now - _STALE_STEPS * series.step if mode == Mode.OLD else now)]
    if mode == Mode.LIE:
        numbers[-5:] = [f"{float(one) * 1.3:.2f}" for one in numbers[-5:]]
    if mode == Mode.NOT_A_NUMBER:
        numbers[-1] = "NaN"
    text = json.dumps({"prices": [{"close": "@"} for _ in numbers]})
    for number in numbers:
        text = text.replace('"@"', number, 1)
    return text.encode()[: len(text) // 2 if mode == Mode.DAMAGED else None]


def _send(request: BaseHTTPRequestHandler, data: bytes) -> None:
    request.send_response(200)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(data)))
    request.end_headers()
    request.wfile.write(data)
