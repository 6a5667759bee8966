"""Errors of verifying against a chain, and the reasons for refusing an attestation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import ZkinferError
from zkinfer.contracts import ChainError, CodeMismatchError
from zkinfer.contracts.errors import AddressBookError, DeploymentError
from zkinfer.verifier import RecordUnavailableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator


class NodeError(RecordUnavailableError):
    """The chain's node cannot be reached or used."""


class LedgerError(RecordUnavailableError):
    """The code at the ledger's address is not a ledger of this version, so its records cannot be used."""


class ListingError(ZkinferError):
    """A listing is not of the given circuit, or must not be relied on."""


class OtherChainError(RefusedError):
    """The proof was made for a request on another chain than the node's."""


class NotRecordedError(RefusedError):
    """The ledger has no answer to this request on record."""


class NodesDifferError(RefusedError):
    """Two nodes of the chain tell different records, blocks or code."""


class NotFinalError(RefusedError):
    """The answer is on record, but not yet final."""


class RecordMismatchError(RefusedError):
    """The recorded answer is another one, of another model or about another input, or has become unsound."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate errors of `zkinfer.contracts`, which have another root, to those of this package."""
    try:
        yield
    except (AddressBookError, CodeMismatchError, DeploymentError) as err:
        raise LedgerError(err.cause, err.cure) from err
    except ChainError as err:
        raise NodeError(err.cause, err.cure) from err
