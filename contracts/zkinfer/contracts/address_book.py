"""The address book: the addresses of a deployment on one chain, and its governance.

One file per chain, in canonical JSON: sorted, without spaces. `governance` and `salt` are the constructors' arguments;
all addresses follow from them, so a file with other addresses is rejected. `verify_deployment` compares it with the
chain. `accepted` is a later change of governance that the file's owner agreed to; `dedicated` are the verifiers of
single circuits that were deployed later.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from zkinfer.contracts import strict_json
from zkinfer.contracts.artifacts import load, load_canary
from zkinfer.contracts.deploy import CANARY_KEY, Governance, Plan, plan
from zkinfer.contracts.errors import AddressBookError
from zkinfer.contracts.ezkl.dedicated import DedicatedVerifier
from zkinfer.contracts.governance import POWERS, Powers
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Mapping

_Value = TypeVar("_Value")
FORMAT: Final = "zkinfer-deployment/1"
_MAX_BYTES: Final = 1 << 16
_DEDICATED_WORDS: Final = ("key_digest", "creation_hash", "code_hash")
_ADDRESS, _WORD = re.compile(r"0x[0-9a-f]{40}"), re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AddressBook:
    """One deployment on one chain."""

    chain_id: int
    governance: Governance
    salt: bytes = bytes(32)
    accepted: Powers | None = None
    dedicated: tuple[DedicatedVerifier, ...] = ()

    @property
    def plan(self) -> Plan:
        """The contracts of the deployment."""
        return plan(self.governance, self.salt)

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by name."""
        return self.plan.addresses

    @property
    def guardian(self) -> str:
        """The account that may stop verifiers: as planned, or as accepted later."""
        return self.accepted.guardian if self.accepted else self.governance.guardian

    def dedicated_at(self, selector: bytes) -> DedicatedVerifier | None:
        """The verifier of a single circuit with this selector, if the book has it."""
        return next((one for one in self.dedicated if one.selector == selector), None)

    def require_consistent(self, verifier: DedicatedVerifier) -> None:
        """Raise AddressBookError if the book has another verifier for the same circuit."""
        known = self.dedicated_at(verifier.selector)
        if known is not None and replace(known, accepted=verifier.accepted) != verifier:
            raise AddressBookError(
                f"The address book names another verifier of this circuit, under 0x{verifier.selector.hex()}.",
                "The engine or the compiler generates other code now; a selector is used once.",
            )

    def with_dedicated(self, *verifiers: DedicatedVerifier) -> Self:
        """A copy with these verifiers of single circuits, replacing any with the same selectors."""
        known = {one.selector: one for one in (*self.dedicated, *verifiers)}
        return replace(self, dedicated=tuple(known[selector] for selector in sorted(known)))

    def to_bytes(self) -> bytes:
        """The file's content."""
        plan = self.plan
        document = {
            "format": FORMAT,
            "chainId": self.chain_id,
            "governance": {**asdict(self.governance), "proposers": list(self.governance.proposers)},
            "salt": "0x" + self.salt.hex(),
            "addresses": plan.addresses,
            "codeHashes": {part.name: _code_hash(part.name) for part in plan.parts},
        }
        if self.accepted is not None:
            document["accepted"] = asdict(self.accepted)
        if self.dedicated:
            document["dedicated"] = [_dedicated_document(one) for one in self.dedicated]
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes.

        Raises AddressBookError, which names the field, for anything else, including addresses that do not follow from
        the governance, such as those of another version of the contracts.
        """
        document = _parse_object(data, "address book")
        if document.get("format") != FORMAT:
            raise AddressBookError("The file is not an address book.", "`zkinfer chain deploy` writes one.")
        chain_id, salt = document.get("chainId"), document.get("salt")
        if not isinstance(chain_id, int) or isinstance(chain_id, bool) or chain_id < 1:
            raise _invalid_field("chainId")
        if not isinstance(salt, str) or not _WORD.fullmatch(salt):
            raise _invalid_field("salt")
        accepted = _powers(document["accepted"]) if "accepted" in document else None
        book = cls(chain_id, _governance(document.get("governance")), bytes.fromhex(salt[2:]), accepted)
        book = book.with_dedicated(*_read_dedicated(document.get("dedicated", []), book.salt))
        book._require(document)
        if book.to_bytes() != data:
            raise AddressBookError("The address book is not in canonical form, or has unknown fields.")
        return book

    def _require(self, document: dict[str, Any]) -> None:
        wanted = json.loads(self.to_bytes())
        for name in ("addresses", "codeHashes"):
            if document.get(name) != wanted[name]:
                raise AddressBookError(
                    f"The {name} in the address book do not match these contracts under this governance.",
                    "It was altered, or written by another version of zkinfer.",
                )


def read_book(path: Path) -> AddressBook:
    """Read a file; raises AddressBookError if it cannot be read, or as `AddressBook.from_bytes`."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as err:
        raise AddressBookError(
            f"{path} cannot be read: {(err.strerror or 'error').lower()}.",
            "Run `zkinfer chain deploy`, or give the file of a deployment with --deployment.",
        ) from err
    if len(data) > _MAX_BYTES:
        raise AddressBookError(f"{path} is too large for an address book.")
    return AddressBook.from_bytes(data)


def is_of_deployment(path: Path, book: AddressBook) -> bool:
    """Whether a file exists and is of this deployment, whatever it accepts; raises AddressBookError for other files."""
    if not path.exists():
        return False
    if replace(read_book(path), accepted=book.accepted, dedicated=book.dedicated) != book:
        raise AddressBookError(
            f"{path} names another deployment on chain {book.chain_id}.",
            "Give another file with --deployment, or remove this one.",
        )
    return True


def write_book(book: AddressBook, path: Path) -> None:
    """Write a file atomically; raises AddressBookError if it exists and is of another deployment.

    A file of this deployment is left unchanged, with its accepted governance and its verifiers of single circuits.
    """
    if not is_of_deployment(path, book):
        _write(book, path)


def accept_powers(book: AddressBook, path: Path, powers: Powers, guardians: Mapping[bytes, str] | None = None) -> None:
    """Record the current governance of a deployment; raises AddressBookError if the file is of another deployment.

    `guardians` are the guardians of verifiers of single circuits, by selector.
    """
    now = {one.selector: one.accepted or one.guardian for one in book.dedicated} | dict(guardians or {})
    agreed = [replace(one, accepted=_if_changed(now[one.selector], one.guardian)) for one in book.dedicated]
    accepting = replace(book.with_dedicated(*agreed), accepted=_if_changed(powers, Powers.planned(book.plan)))
    is_of_deployment(path, accepting)
    _write(accepting, path)


def add_dedicated(path: Path, verifier: DedicatedVerifier) -> None:
    """Add a verifier of a single circuit to the file of its deployment, unless it has it.

    Raises AddressBookError if the file has another verifier for the same circuit.
    """
    book = read_book(path)
    book.require_consistent(verifier)
    if book.dedicated_at(verifier.selector) is None:
        _write(book.with_dedicated(verifier), path)


def _write(book: AddressBook, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace_file(path, book.to_bytes())
    except OSError as err:
        raise AddressBookError(f"{path} cannot be written: {(err.strerror or 'error').lower()}.") from err


def _replace_file(path: Path, data: bytes) -> None:
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


def _governance(found: object) -> Governance:
    fields = found if isinstance(found, dict) else {}
    guardian, proposers = fields.get("guardian"), fields.get("proposers")
    if not _is_address(guardian):
        raise _invalid_field("governance.guardian")
    if not isinstance(proposers, list) or not all(_is_address(one) for one in proposers):
        raise _invalid_field("governance.proposers")
    delay, test = fields.get("delay"), fields.get("test")
    if not isinstance(delay, int) or isinstance(delay, bool) or delay < 0:
        raise _invalid_field("governance.delay")
    if not isinstance(test, bool):
        raise _invalid_field("governance.test")
    return Governance(str(guardian), tuple(proposers), delay, test)


def _powers(found: object) -> Powers:
    given = found if isinstance(found, dict) else {}
    delay = given.get("delay")
    if not isinstance(delay, int) or isinstance(delay, bool) or delay < 0:
        raise _invalid_field("accepted.delay")
    for name in ("guardian", "router_owner"):
        if not _is_address(given.get(name)):
            raise _invalid_field(f"accepted.{name}")
    lists = {name: given.get(name) for name in ("proposers", "executors", "cancellers", "admins")}
    for name, accounts in lists.items():
        if not isinstance(accounts, list) or not all(_is_address(one) for one in accounts):
            raise _invalid_field(f"accepted.{name}")
    if set(given) != set(POWERS):
        raise _invalid_field("accepted")
    return Powers(**{**given, **{name: tuple(accounts or ()) for name, accounts in lists.items()}})


def _if_changed(found: _Value, planned: _Value) -> _Value | None:
    return None if found == planned else found


def _dedicated_document(one: DedicatedVerifier) -> dict[str, Any]:
    names = {name: getattr(one, name) for name in _DEDICATED_WORDS} | {"guardian": one.guardian}
    accepted = {} if one.accepted is None else {"accepted": one.accepted}
    return {**names, **accepted, "addresses": one.addresses, "selector": "0x" + one.selector.hex()}


def _read_dedicated(found: object, salt: bytes) -> list[DedicatedVerifier]:
    """Parse what `_dedicated_document` writes; comparing the whole file detects unknown fields."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _invalid_field("dedicated")
    for one in found:
        for name in _DEDICATED_WORDS:
            if not isinstance(one.get(name), str) or not _WORD.fullmatch(one[name]):
                raise _invalid_field(f"dedicated.{name}")
        if not _is_address(one.get("guardian")) or not _is_address(one.get("accepted", one["guardian"])):
            raise _invalid_field("dedicated.guardian")
    names = (*_DEDICATED_WORDS, "guardian", "accepted")
    return [DedicatedVerifier(**{name: one[name] for name in names if name in one}, salt=salt) for one in found]


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _parse_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        document = strict_json.loads(data)
    except ValueError as err:
        raise AddressBookError(f"The {what} is not JSON.") from err
    if not isinstance(document, dict):
        raise AddressBookError(f"The {what} is not a JSON object.")
    return document


def _invalid_field(name: str) -> AddressBookError:
    return AddressBookError(f"The field {name} of the address book is missing or invalid.", "It was altered.")


def _code_hash(name: str) -> str:
    """The hash of a part's code, with zeros for its immutables."""
    if name == CANARY_KEY:
        return "0x" + keccak256(b"\0" + load_canary().key).hex()
    return load(name).code_hash
