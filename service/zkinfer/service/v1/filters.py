"""Filters of lists, a small part of AIP-160: `state = QUEUED AND model = "digits"`, `done = false`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zkinfer.circuits.errors import InputError
from zkinfer.prover.jobs import JobState

_TERM = re.compile(r'\s*(?P<name>[a-z]+)\s*=\s*(?:"(?P<quoted>[^"\\\x00]*)"|(?P<bare>[A-Za-z0-9_.-]+))\s*')
_MAX_TEXT = 512
_HELP = 'Join terms with AND: state = QUEUED, done = true, model = "name".'


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are wanted; empty for all."""

    states: tuple[JobState, ...] = ()
    model: str | None = None


def read_filter(text: str) -> Filter:
    """Read a filter; raises InputError for what is none."""
    if len(text) > _MAX_TEXT:
        raise InputError(f"The filter has more than {_MAX_TEXT} characters.", _HELP)
    if not text.strip():
        return Filter()
    terms: dict[str, str] = {}
    for part in re.split(r"\bAND\b", text):
        match = _TERM.fullmatch(part)
        if match is None or match["name"] not in ("state", "done", "model") or match["name"] in terms:
            raise InputError(f"{part.strip()!r:.80} is no term of a filter, or one too many.", _HELP)
        terms[match["name"]] = match["quoted"] if match["bare"] is None else match["bare"]
    return Filter(_states(terms), terms.get("model"))


def _states(terms: dict[str, str]) -> tuple[JobState, ...]:
    wanted = set(JobState)
    if "done" in terms:
        if terms["done"] not in ("true", "false"):
            raise InputError(f"done is true or false, not {terms['done']!r:.40}.", _HELP)
        wanted = {state for state in wanted if state.final == (terms["done"] == "true")}
    if "state" in terms:
        if terms["state"] not in set(JobState):
            raise InputError(f"{terms['state']!r:.40} is no state.", f"Known are {', '.join(JobState)}.")
        wanted &= {JobState(terms["state"])}
    if not wanted:
        raise InputError("No state is both.", _HELP)
    return tuple(state for state in JobState if state in wanted) if len(wanted) < len(JobState) else ()
