"""Policies as documents in JSON or TOML, with one schema: `zkinfer.verifier.policy_rules`.

    {"version": 1, "allOf": [{"modelIs": "0x.."}, {"signedBy": ["sha256:.."]}, {"anyOf": [..]}]}

A rule is an object with one key. A rule without an argument has the value `true`; `false` is rejected as ambiguous. In
TOML the same document begins with `version = 1`, and each rule is a table `[[allOf]]`.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import canonical
from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import PolicyFileError
from zkinfer.verifier.policy import AllOf
from zkinfer.verifier.policy_rules import read_rules, write_rule
from zkinfer.verifier.suggestions import suggestion

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.verifier.policy import Policy

MAX_BYTES = 1 << 20
_KEYS = ("version", "allOf")


def load_policy(data: bytes) -> Policy:
    """Parse a policy document in JSON.

    Raises:
        JsonError: not strict JSON.
        PolicyFileError: another version, an unknown rule, or an argument of the wrong type.
        InputError: an argument is malformed.
        EmptyPolicyError: the policy requires nothing.
    """
    return read_policy(canonical.load(data, max_bytes=MAX_BYTES, what="policy"))


def load_policy_toml(data: bytes) -> Policy:
    """Parse a policy document in TOML; raises PolicyFileError if it is not TOML, else as `load_policy`."""
    if len(data) > MAX_BYTES:
        raise PolicyFileError(f"The policy has {len(data):,} bytes, over the limit of {MAX_BYTES:,}.")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise PolicyFileError(f"The policy is not TOML: {err}.", "A file in JSON must not end in .toml.") from err
    except RecursionError as err:
        raise PolicyFileError("The policy is nested too deeply.") from err
    try:
        as_json = canonical.dump(document)
    except (TypeError, ValueError) as err:  # a date, or infinity
        raise PolicyFileError("The policy holds a value that JSON cannot hold.", "Write times in quotes.") from err
    return load_policy(as_json)


def load_policy_file(path: Path) -> Policy:
    """Parse a policy file, in TOML if its name ends in `.toml`.

    Raises:
        InputError: it is no file.
        JsonError, PolicyFileError, EmptyPolicyError: as `load_policy` and `load_policy_toml`.
    """
    if not path.is_file():
        raise InputError(f"The policy {path} is not a file.", "Check its path.")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    return load_policy_toml(data) if path.suffix == ".toml" else load_policy(data)


def read_policy(document: Any) -> Policy:  # noqa: ANN401 - any JSON value
    """The policy of a parsed document; raises PolicyFileError, InputError and EmptyPolicyError as `load_policy`."""
    if not isinstance(document, dict) or set(document) != set(_KEYS):
        unknown = sorted(set(document) - set(_KEYS)) if isinstance(document, dict) else []
        hint = suggestion(unknown[0], _KEYS) if unknown else ""
        raise PolicyFileError("A policy is an object with exactly the keys version and allOf.", hint)
    version = document["version"]
    if type(version) is not int or version != 1:
        raise PolicyFileError(f"The policy version {version!r:.40} is not supported.", "Use version 1.")
    return AllOf(*read_rules(document["allOf"]))


def write_policy(policy: Policy) -> dict[str, Any]:
    """The document of a policy, as `read_policy` takes it; raises PolicyFileError for a class of the caller's own."""
    parts = policy.policies if isinstance(policy, AllOf) else (policy,)
    return {"version": 1, "allOf": [write_rule(part) for part in parts]}
