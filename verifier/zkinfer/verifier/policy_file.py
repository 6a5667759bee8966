"""Policies as JSON documents.

    {"version": 1, "allOf": [{"modelIs": "0x.."}, {"signedBy": ["sha256:.."]}, {"anyOf": [..]}]}

A rule is an object with one key. A rule without an argument takes `true`, and `false` is refused rather than
guessed at.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import canonical
from zkinfer.verifier.errors import PolicyFileError
from zkinfer.verifier.policy import (
    AllOf,
    AnyOf,
    ContextIs,
    ModelFileIs,
    ModelIs,
    NotExpired,
    NotOlderThan,
    SetupIs,
    SignedBy,
    UnsafeAcceptDevSetup,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.verifier.policy import Policy

MAX_BYTES = 1 << 20
_MAX_SECONDS = 1 << 32
_CONTEXT_FIELDS = {"chainId": "chain_id", "consumer": "consumer", "requestId": "request_id", "requester": "requester"}


def load_policy(data: bytes) -> Policy:
    """Read a policy document.

    Raises:
        JsonError: not strict JSON.
        PolicyFileError: another version, an unknown rule, or an argument of the wrong kind.
        InputError: an argument is misspelt.
        EmptyPolicyError: it requires nothing.
    """
    document = canonical.load(data, max_bytes=MAX_BYTES, what="policy")
    if not isinstance(document, dict) or set(document) != {"version", "allOf"}:
        raise PolicyFileError("A policy is an object with the keys version and allOf, and no others.")
    version = document["version"]
    if type(version) is not int or version != 1:
        raise PolicyFileError(f"This is no policy of version 1: its version is {version!r:.40}.")
    return AllOf(*_rules(document["allOf"]))


def _rules(value: Any) -> list[Policy]:  # noqa: ANN401 - any JSON value
    return [_rule(item) for item in _typed(value, list, "a list of rules")]


def _rule(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict) or len(value) != 1:
        raise PolicyFileError("A rule is an object with exactly one key.")
    [(name, argument)] = value.items()
    reader = _READERS.get(name)
    if reader is None:
        raise PolicyFileError(f"{name[:80]!r} is no rule.", f"Known ones are {', '.join(sorted(_READERS))}.")
    return reader(argument)


def _typed(value: Any, kind: type, what: str) -> Any:  # noqa: ANN401 - any JSON value
    if type(value) is not kind:
        raise PolicyFileError(f"{value!r:.80} is not {what}.")
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text: str = _typed(value, str, "text")
    return text


def _signed_by(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    return SignedBy(*(_text(item) for item in _typed(value, list, "a list of key fingerprints")))


def _age(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    if not 0 < _typed(value, int, "a whole number of seconds") <= _MAX_SECONDS:
        raise PolicyFileError("The age in notOlderThanSeconds is no age.")
    return NotOlderThan(timedelta(seconds=value))


def _context(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    fields = _typed(value, dict, "an object of context fields")
    if not set(fields) <= set(_CONTEXT_FIELDS):
        raise PolicyFileError(f"A contextIs has the keys {', '.join(_CONTEXT_FIELDS)}, and no others.")
    kinds = {name: int if name == "chainId" else str for name in fields}
    return ContextIs(**{_CONTEXT_FIELDS[name]: _typed(item, kinds[name], f"a {name}") for name, item in fields.items()})


def _flag(policy: Policy) -> Callable[[Any], Policy]:
    def read(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
        if value is not True:
            raise PolicyFileError("A rule without an argument is written with true.", "To drop it, remove the rule.")
        return policy

    return read


_READERS: Mapping[str, Callable[[Any], Policy]] = {
    "allOf": lambda value: AllOf(*_rules(value)),
    "anyOf": lambda value: AnyOf(*_rules(value)),
    "contextIs": _context,
    "modelFileIs": lambda value: ModelFileIs(_text(value)),
    "modelIs": lambda value: ModelIs(_text(value)),
    "notExpired": _flag(NotExpired()),
    "notOlderThanSeconds": _age,
    "setupIs": lambda value: SetupIs(_text(value)),
    "signedBy": _signed_by,
    "unsafeAcceptDevSetup": _flag(UnsafeAcceptDevSetup()),
}
