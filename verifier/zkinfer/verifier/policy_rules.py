"""The rules of policy documents: how each is written, what it means, and which class it stands for.

This table is the one schema of policies: the reader, the writer and docs/reference/policy.md follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from zkinfer.verifier.errors import PolicyFileError
from zkinfer.verifier.policy import (
    AllOf,
    AnyOf,
    ContextIs,
    EngineIs,
    ModelFileIs,
    ModelIs,
    NotExpired,
    NotMadeAfter,
    NotOlderThan,
    SetupIs,
    SignedBy,
    UnsafeAcceptDevSetup,
)
from zkinfer.verifier.statement import read_time, write_time
from zkinfer.verifier.suggestions import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zkinfer.verifier.policy import Policy

    Read = Callable[[Any], Policy]
    Write = Callable[[Any], Any]

_MAX_SECONDS: Final = 1 << 32
_CONTEXT_FIELDS: Final = {
    "chainId": "chain_id",
    "consumer": "consumer",
    "requestId": "request_id",
    "requester": "requester",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy document.

    Args:
        argument: what its value is.
        meaning: when the rule holds, as the end of a sentence.
        example: a value.
        kind: the class that it stands for.
        read: makes the policy from a value; raises PolicyFileError, InputError and EmptyPolicyError.
        write: makes the value from the policy.
    """

    argument: str
    meaning: str
    example: Any
    kind: type
    read: Read
    write: Write


def read_rule(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    """The policy that a rule stands for; raises PolicyFileError, InputError and EmptyPolicyError."""
    if not isinstance(value, dict) or len(value) != 1:
        raise PolicyFileError("A rule is an object with exactly one key.")
    [(name, argument)] = value.items()
    rule = RULES.get(name)
    if rule is None:
        known = f"Use one of {', '.join(sorted(RULES))}."
        raise PolicyFileError(f"The rule {name[:80]!r} is unknown.", f"{suggestion(name, RULES)} {known}".strip())
    return rule.read(argument)


def read_rules(value: Any) -> list[Policy]:  # noqa: ANN401 - any JSON value
    """The policies of a list of rules; raises as `read_rule`."""
    return [read_rule(item) for item in _typed(value, list, "a list of rules")]


def write_rule(policy: Policy) -> dict[str, Any]:
    """The rule that stands for a policy; raises PolicyFileError for a class of the caller's own."""
    for name, rule in RULES.items():
        if type(policy) is rule.kind:
            return {name: rule.write(policy)}
    raise PolicyFileError(f"A {type(policy).__name__} cannot be written in a policy document.")


def _typed(value: Any, kind: type, what: str) -> Any:  # noqa: ANN401 - any JSON value
    if type(value) is not kind:
        raise PolicyFileError(f"{value!r:.80} is not {what}.")
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text: str = _typed(value, str, "text")
    return text


def _texts(value: Any, what: str) -> list[str]:  # noqa: ANN401 - any JSON value
    return [_text(item) for item in _typed(value, list, what)]


def _age(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    if not 0 < _typed(value, int, "a whole number of seconds") <= _MAX_SECONDS:
        raise PolicyFileError("notOlderThanSeconds is out of range.", f"Give whole seconds from 1 to {_MAX_SECONDS:,}.")
    return NotOlderThan(timedelta(seconds=value))


def _moment(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    text = _text(value)
    try:
        return NotMadeAfter(read_time(text))
    except ValueError as err:
        raise PolicyFileError(f"{text[:80]!r} is not a time.", "Write it as 2026-11-30T12:00:00Z, in UTC.") from err


def _context(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
    fields = _typed(value, dict, "an object of context fields")
    if unknown := sorted(set(fields) - set(_CONTEXT_FIELDS)):
        known = f"A contextIs has only the keys {', '.join(_CONTEXT_FIELDS)}."
        raise PolicyFileError(
            f"The key {unknown[0][:80]!r} is unknown.", f"{suggestion(unknown[0], _CONTEXT_FIELDS)} {known}".strip()
        )
    kinds = {name: int if name == "chainId" else str for name in fields}
    return ContextIs(**{_CONTEXT_FIELDS[name]: _typed(item, kinds[name], f"a {name}") for name, item in fields.items()})


def _context_fields(policy: ContextIs) -> dict[str, Any]:
    found = {name: getattr(policy, attribute) for name, attribute in _CONTEXT_FIELDS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _flag(policy: Policy) -> tuple[Read, Write]:
    def read(value: Any) -> Policy:  # noqa: ANN401 - any JSON value
        if value is not True:
            raise PolicyFileError("A rule without an argument has the value true.", "Remove the rule to disable it.")
        return policy

    return read, lambda _policy: True


def _parts(policy: AllOf | AnyOf) -> list[Any]:
    return [write_rule(part) for part in policy.policies]


_WORD: Final = "0x758c834514d414b23527b26d4e837f4cb2f6ed8e0e8d767455263de95ec2ec04"
_DIGEST: Final = "sha256:34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e"

RULES: Final[Mapping[str, Rule]] = {
    "modelIs": Rule(
        "model id",
        "it is this circuit: ONNX file, quantisation, setup and engine. The strictest way to name a model",
        _WORD,
        ModelIs,
        lambda value: ModelIs(_text(value)),
        lambda policy: policy.model_id,
    ),
    "modelFileIs": Rule(
        "`sha256:…`",
        "it is this ONNX file, in any quantisation the prover chose",
        _DIGEST,
        ModelFileIs,
        lambda value: ModelFileIs(_text(value)),
        lambda policy: policy.sha256,
    ),
    "signedBy": Rule(
        "list of fingerprints",
        "one of these keys signed, and it was not declared ephemeral",
        [_DIGEST],
        SignedBy,
        lambda value: SignedBy(*_texts(value, "a list of key fingerprints")),
        lambda policy: sorted(policy.fingerprints),
    ),
    "notOlderThanSeconds": Rule(
        "whole number above 0",
        "it was signed at most this long ago, and not more than 5 minutes ahead of the clock. The time is the signer's "
        "claim: combine it with `signedBy`",
        3600,
        NotOlderThan,
        _age,
        lambda policy: int(policy.age.total_seconds()),
    ),
    "notMadeAfter": Rule(
        "`YYYY-MM-DDTHH:MM:SSZ`",
        "it was signed at this time or before, with 5 minutes of tolerance. The time is the signer's claim",
        "2026-11-30T12:00:00Z",
        NotMadeAfter,
        _moment,
        lambda policy: write_time(policy.moment),
    ),
    "notExpired": Rule(
        "`true`",
        "the request has not expired; a request without an expiry never does",
        True,
        NotExpired,
        *_flag(NotExpired()),
    ),
    "contextIs": Rule(
        "object with one or more of `chainId`, `consumer`, `requestId`, `requester`",
        "the request has these values",
        {"chainId": 1, "requestId": _WORD},
        ContextIs,
        _context,
        _context_fields,
    ),
    "setupIs": Rule(
        "a ceremony's name",
        "it was proven under this ceremony",
        "perpetual-powers-of-tau",
        SetupIs,
        lambda value: SetupIs(_text(value)),
        lambda policy: policy.ceremony,
    ),
    "engineIs": Rule(
        "list of names",
        "it was proven by one of these engines. An experimental engine is accepted only if it is named, at the top or "
        "inside `allOf`",
        ["ezkl"],
        EngineIs,
        lambda value: EngineIs(*_texts(value, "a list of engines")),
        lambda policy: sorted(policy.names),
    ),
    "allOf": Rule(
        "list of rules", "all hold", [{"notExpired": True}], AllOf, lambda value: AllOf(*read_rules(value)), _parts
    ),
    "anyOf": Rule(
        "list of rules",
        "at least one holds",
        [{"modelIs": _WORD}, {"modelFileIs": _DIGEST}],
        AnyOf,
        lambda value: AnyOf(*read_rules(value)),
        _parts,
    ),
    "unsafeAcceptDevSetup": Rule(
        "`true`",
        "always: it requires nothing, and permits `insecure-dev`, under which anyone can forge proofs. Effective only "
        "at the top or inside `allOf`",
        True,
        UnsafeAcceptDevSetup,
        *_flag(UnsafeAcceptDevSetup()),
    ),
}
"""By name, in the order of the documentation."""
