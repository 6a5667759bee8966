"""Signers of transactions: a key from an encrypted file, or a remote signer over HTTP.

Private keys are not accepted from command lines, environment variables or files that others can read.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from eth_keys.exceptions import BadSignature
from eth_utils.address import is_address, to_checksum_address
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes
from rlp.exceptions import RLPException

from zkinfer.contracts import strict_json
from zkinfer.contracts.errors import RpcError, SignerError
from zkinfer.contracts.rpc import (
    Account,
    Node,
    RPCEndpoint,
    TypedTransaction,
    Web3,
    is_loopback,
    parse_url,
    redacted,
    rpc_errors,
)

if TYPE_CHECKING:
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

DEV_CHAINS: Final = (31337, 131277322940537)
"""The chain ids of anvil and of the embedded chain."""
DEV_MNEMONIC: Final = "test test test test test test test test test test test junk"
DEV_PATH: Final = "m/44'/60'/0'/0"
"""The derivation path of their accounts."""
_MAX_KEYSTORE: Final = 1 << 16


class Signed(Protocol):
    """A signed transaction."""

    @property
    def raw_transaction(self) -> HexBytes:
        """The encoding to send to a node."""
        ...


class Signer(Protocol):
    """An account that can sign, such as eth_account's local accounts."""

    @property
    def address(self) -> Any:  # noqa: ANN401 - eth_account has its own type of checksummed text
        """The account, checksummed."""
        ...

    def sign_transaction(self, transaction_dict: Any) -> Signed:  # noqa: ANN401 - eth_account's signature
        """Sign exactly this transaction."""
        ...


def load_keystore(path: Path, passphrase: bytes) -> LocalAccount:
    """The account in a JSON keystore (version 3, as geth and cast write them).

    Raises SignerError if others can read the file, it is not a keystore, or the passphrase is wrong.
    """
    data = _read_private(path)
    try:
        key = Account.decrypt(strict_json.loads(data), passphrase.decode("utf-8", "surrogateescape"))
    except ValueError as err:  # such as JSONDecodeError, or a MAC that differs
        raise SignerError(f"{path} is not a keystore, or the passphrase is wrong.", "Check both.") from err
    except (KeyError, TypeError, AttributeError, NotImplementedError) as err:
        raise SignerError(f"{path} is not a JSON keystore of version 3.", "Make one with geth or cast.") from err
    account: LocalAccount = Account.from_key(key)
    return account


def encrypt_keystore(account: LocalAccount, passphrase: bytes, *, iterations: int | None = None) -> bytes:
    """The content of a JSON keystore (version 3) for an account."""
    document = Account.encrypt(account.key, passphrase.decode(), kdf="scrypt", iterations=iterations)
    return json.dumps(document).encode()


def unsafe_dev_account(number: int, chain_id: int) -> LocalAccount:
    """One of the accounts of a development chain, whose keys are public; raises SignerError on any other chain."""
    if chain_id not in DEV_CHAINS:
        raise SignerError(
            f"The keys of development accounts are public, and chain {chain_id} is not a development chain.",
            "Use a keystore or a signer.",
        )
    Account.enable_unaudited_hdwallet_features()
    account: LocalAccount = Account.from_mnemonic(DEV_MNEMONIC, account_path=f"{DEV_PATH}/{number}")
    return account


@dataclass(frozen=True, slots=True)
class RemotelySigned:
    """A transaction from a remote signer, checked against the request."""

    raw_transaction: HexBytes


class RemoteSigner:
    """A signer over JSON-RPC, such as web3signer: it keeps the key, and its answers are verified.

    Args:
        url: https, or a port of this machine.
        address: the signing account.
    """

    def __init__(self, url: str, address: str) -> None:
        if not (parse_url(url).scheme == "https" or is_loopback(parse_url(url))):
            raise SignerError(
                f"The connection to the signer at {redacted(url)} is not encrypted.",
                "Use https, or a port of this machine.",
            )
        if not is_address(address):
            raise SignerError(f"{address[:60]!r} is not the address of an account.", "Write 0x and 40 hex digits.")
        self._web3 = Web3(Node(url))
        self._name = redacted(url)
        self.address = to_checksum_address(address)

    def sign_transaction(self, transaction_dict: dict[str, Any]) -> RemotelySigned:
        """Request a signature; raises SignerError if the answer is another transaction, or from another account."""
        asked = {name: hex(one) if isinstance(one, int) else _text(one) for name, one in transaction_dict.items()}
        del asked["type"]  # follows from the fees
        answer = self._ask({"from": self.address, **asked})
        raw = answer.get("raw") if isinstance(answer, dict) else answer
        try:
            signed = HexBytes(raw)  # type: ignore[arg-type]
            sender = Account.recover_transaction(signed)
            found = TypedTransaction.from_bytes(signed).as_dict()
        except (ValueError, TypeError, ValidationError, RLPException, BadSignature) as err:
            raise self._unexpected("something other than a signed transaction") from err
        if sender != self.address:
            raise self._unexpected(f"a transaction of {sender}")
        expected = {**transaction_dict, "accessList": ()}
        for name, value in expected.items():
            if _plain(found.get(name)) != _plain(value):
                raise self._unexpected(f"a transaction with another {name}")
        return RemotelySigned(signed)

    def _ask(self, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON from outside
        try:
            with rpc_errors(self._web3):
                answer = self._web3.provider.make_request(RPCEndpoint("eth_signTransaction"), [asked])
        except RpcError as err:
            raise SignerError(f"The signer at {self._name} does not answer.", "Is it running?") from err
        if "result" not in answer:
            raise SignerError(f"The signer at {self._name} refused: {str(answer.get('error'))[:200]}.")
        return answer["result"]

    def _unexpected(self, what: str) -> SignerError:
        return SignerError(f"The signer at {self._name} returned {what}.", "Nothing was sent. Do not use this signer.")


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_KEYSTORE) if stat.S_ISREG(status.st_mode) else b""
    except OSError as err:
        raise SignerError(f"{path} cannot be read: {(err.strerror or 'error').lower()}.", "Check --keystore.") from err
    if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
        raise SignerError(f"Others can read {path}, or own it.", f"Run: chmod go= {path}")
    return data


def _text(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x"))
    return tuple(value) if isinstance(value, (list, tuple)) else value
