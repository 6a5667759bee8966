"""Policies as JSON documents.

    {"version": 1, "allOf": [{"modelIs": "0x.."}, {"signedBy": ["sha256:.."]}, {"anyOf": [..]}]}

A rule is an object with one key. A rule without an argument has the value `true`; `false` is rejected as ambiguous.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import PolicyFileError
from zkinfer.verifier.policy import (
    AllOf,
    AnyOf,
    ContextIs,
    EngineIs,
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
    from pathlib import Path

    from zkinfer.verifier.policy import Policy

MAX_BYTES = 1 << 20
_MAX_SECONDS = 1 << 32
_CONTEXT_FIELDS = {"chainId": "chain_id", "consumer": "consumer", "requestId": "request_id", "requester": "requester"}


def load_policy(data: bytes) -> Policy:
    """Parse a policy document.

    Raises:
        JsonError: not strict JSON.
        PolicyFileError: another version, an unknown rule, or an argument of the wrong type.
        InputError: an argument is malformed.
        EmptyPolicyError: the policy requires nothing.
    """
    document = canonical.load(data, max_bytes=MAX_BYTES, what="policy")
    if not isinstance(document, dict) or set(document) != {"version", "allOf"}:
        raise PolicyFileError("A policy is an object with exactly the keys version and allOf.")
    version = document["version"]
    if type(version) is not int or version != 1:
        raise PolicyFileError(f"The policy version {version!r:.40} is not supported.", "Use version 1.")
    return AllOf(*_rules(document["allOf"]))


def load_policy_file(path: Path) -> Policy:
    """Parse a policy file; raises InputError if it is no file, and as `load_policy`."""
    if not path.is_file():
        raise InputError(f"The policy {path} is not a file.", "Check its path.")
    return load_policy(path.read_bytes())


def _rules(value: Any) -> list[Policy]:  # noqa: ANN401 - any JSON value
    return [_rule(item) for item in _typed(value, list, "a list of rules")]


def _rule(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict) or len(value) != 1:
        raise PolicyFileError("A rule is an object with exactly one key.")
    [(name, argument)] = value.items()
    reader = _READERS.get(name)
    if reader is None:
        raise PolicyFileError(f"The rule {name[:80]!r} is unknown.", f"Use one of {', '.join(sorted(_READERS))}.")
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


def _engine_is(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    return EngineIs(*(_text(item) for item in _typed(value, list, "a list of engines")))


def _age(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    if not 0 < _typed(value, int, "a whole number of seconds") <= _MAX_SECONDS:
        raise PolicyFileError("notOlderThanSeconds is out of range.", f"Give whole seconds from 1 to {_MAX_SECONDS:,}.")
    return NotOlderThan(timedelta(seconds=value))


def _context(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    fields = _typed(value, dict, "an object of context fields")
    if not set(fields) <= set(_CONTEXT_FIELDS):
        raise PolicyFileError(f"A contextIs has only the keys {', '.join(_CONTEXT_FIELDS)}.")
    kinds = {name: int if name == "chainId" else str for name in fields}
    return ContextIs(**{_CONTEXT_FIELDS[name]: _typed(item, kinds[name], f"a {name}") for name, item in fields.items()})


def _flag(policy: Policy) -> Callable[[Any], Policy]:
    def read(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
        if value is not True:
            raise PolicyFileError("A rule without an argument has the value true.", "Remove the rule to disable it.")
        return policy

    return read


_READERS: Mapping[str, Callable[[Any], Policy]] = {
    "allOf": lambda value: AllOf(*_rules(value)),
    "anyOf": lambda value: AnyOf(*_rules(value)),
    "contextIs": _context,
    "engineIs": _engine_is,
    "modelFileIs": lambda value: ModelFileIs(_text(value)),
    "modelIs": lambda value: ModelIs(_text(value)),
    "notExpired": _flag(NotExpired()),
    "notOlderThanSeconds": _age,
    "setupIs": lambda value: SetupIs(_text(value)),
    "signedBy": _signed_by,
    "unsafeAcceptDevSetup": _flag(UnsafeAcceptDevSetup()),
}
