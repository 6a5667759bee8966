"""The address book: the addresses of a deployment on one chain, and its governance.

One file per chain, in canonical JSON: sorted, without spaces. `governance` and `salt` are the constructors' arguments;
all addresses follow from them, so a file with other addresses is rejected. `verify_deployment` compares it with the
chain. `accepted` is a later change of governance that the file's owner agreed to.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from zkinfer.contracts import strict_json
from zkinfer.contracts.artifacts import load, load_canary
from zkinfer.contracts.deploy import Governance, Plan, plan
from zkinfer.contracts.errors import AddressBookError
from zkinfer.contracts.governance import POWERS, Powers
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from zkinfer.contracts.deploy import Part

FORMAT: Final = "zkinfer-deployment/1"
_MAX_BYTES: Final = 1 << 16
_ADDRESS, _WORD = re.compile(r"0x[0-9a-f]{40}"), re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AddressBook:
    """One deployment on one chain."""

    chain_id: int
    governance: Governance
    salt: bytes = bytes(32)
    accepted: Powers | None = None

    @property
    def plan(self) -> Plan:
        """The contracts of the deployment."""
        return plan(self.governance, self.salt)

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by name."""
        return self.plan.addresses

    def to_bytes(self) -> bytes:
        """The file's content."""
        plan = self.plan
        document = {
            "format": FORMAT,
            "chainId": self.chain_id,
            "governance": {**asdict(self.governance), "proposers": list(self.governance.proposers)},
            "salt": "0x" + self.salt.hex(),
            "addresses": plan.addresses,
            "codeHashes": {part.name: _code_hash(part) for part in plan.parts},
        }
        if self.accepted is not None:
            document["accepted"] = asdict(self.accepted)
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
    if replace(read_book(path), accepted=book.accepted) != book:
        raise AddressBookError(
            f"{path} names another deployment on chain {book.chain_id}.",
            "Give another file with --deployment, or remove this one.",
        )
    return True


def write_book(book: AddressBook, path: Path) -> None:
    """Write a file atomically; raises AddressBookError if it exists and is of another deployment.

    A file of this deployment is left unchanged, with its accepted governance.
    """
    if not is_of_deployment(path, book):
        _write(book, path)


def accept_powers(book: AddressBook, path: Path, powers: Powers) -> None:
    """Record the current governance of a deployment; raises AddressBookError if the file is of another deployment."""
    accepting = replace(book, accepted=None if powers == Powers.planned(book.plan) else powers)
    is_of_deployment(path, accepting)
    _write(accepting, path)


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
    for name in ("ezkl_guardian", "ashlar_guardian", "router_owner"):
        if not _is_address(given.get(name)):
            raise _invalid_field(f"accepted.{name}")
    lists = {name: given.get(name) for name in ("proposers", "executors", "cancellers", "admins")}
    for name, accounts in lists.items():
        if not isinstance(accounts, list) or not all(_is_address(one) for one in accounts):
            raise _invalid_field(f"accepted.{name}")
    if set(given) != set(POWERS):
        raise _invalid_field("accepted")
    return Powers(**{**given, **{name: tuple(accounts or ()) for name, accounts in lists.items()}})


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


def _code_hash(part: Part) -> str:
    """The hash of a part's code, with zeros for its immutables."""
    if part.contract is None:
        return "0x" + keccak256(b"\0" + load_canary().key).hex()
    return load(part.contract).code_hash
