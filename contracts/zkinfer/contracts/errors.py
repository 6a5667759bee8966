"""Errors of artifacts, nodes, signers and contracts.

`zkinfer.contracts` imports none of the other packages, so that programs can use it alone; its errors have a separate
root, with the `cause` and the `cure` of all zkinfer errors.
"""


class ChainError(Exception):
    """Root of all errors of `zkinfer.contracts`."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause, cure)
        self.cause = cause
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.cause} {self.cure}".strip()


class ArtifactError(ChainError):
    """An artifact is missing from the installation, or damaged."""


class CodeMismatchError(ChainError):
    """The code of a contract on a chain is not what this version of zkinfer ships."""


class RpcError(ChainError):
    """The node cannot be reached, or its answer is invalid."""


class WrongChainError(ChainError):
    """The node is on another chain than expected."""


class SignerError(ChainError):
    """The key of an account is unavailable, or the signer signed another transaction than requested."""


class RevertedError(ChainError):
    """A contract reverted; the message contains the reason."""


class TransactionFailedError(ChainError):
    """A transaction was not sent, or not included in a block."""


class FeeLimitError(TransactionFailedError):
    """A transaction would cost more than the limits or the balance allow."""


class AlreadyRegisteredError(ChainError):
    """The publisher registered this model before, with other values."""


class AddressBookError(ChainError):
    """The address book of a deployment is missing or invalid."""


class DeploymentError(ChainError):
    """A deployment is incomplete, or does not match its address book."""


class SubjectError(ChainError):
    """The subject of a licence is no domain."""


class FeedFormatError(ChainError):
    """A specification, a list of signers or a payload of a feed is malformed, or not in its one encoding."""


class FeedSignatureError(ChainError):
    """The signatures of a payload are invalid, in the wrong order, too few, or of other accounts than the feed's."""


class AnswerOutOfBoundsError(ChainError):
    """An answer lies outside the bounds of its feed; it is refused, never clamped."""


class FeedContradictedError(ChainError):
    """A proof shows another answer than the signers of a feed signed, for the inputs that they signed."""
