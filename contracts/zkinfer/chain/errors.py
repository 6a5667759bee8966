"""What can go wrong when the verifier asks a chain, and why it then refuses an attestation."""

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RefusedError


class NodeError(ZkinferError):
    """The chain's node cannot be reached or used, so that there is no verdict."""


class LedgerError(ZkinferError):
    """The code at the ledger's address is not a ledger of this version, so its records mean nothing."""


class ListingError(ZkinferError):
    """A listing is not of the circuit that it is said to be of, or may not be relied on."""


class OtherChainError(RefusedError):
    """The proof was made for a request on another chain than the one that was asked."""


class NotRecordedError(RefusedError):
    """The ledger has no answer to this request on record."""


class NotFinalError(RefusedError):
    """The answer is on record, but not deep enough in the chain to stay there."""


class RecordMismatchError(RefusedError):
    """The ledger has another answer on record, of another model, about another input, or one that is unsound since."""
