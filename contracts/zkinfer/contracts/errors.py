"""What can go wrong between Python and a chain.

`zkinfer.contracts` imports none of the other packages, so that a service which only talks to a chain needs nothing of
them; its errors have a root of their own, with the `cause` and the `cure` that all errors of zkinfer have.
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
    """An artifact is missing from the installation, or is not what was installed."""


class CodeMismatchError(ChainError):
    """A contract on a chain has other code than the one that this version of zkinfer ships."""


class PatchError(ChainError):
    """The source that the engine generated is not the one that the patch was written for."""


class CompilerError(ChainError):
    """The Solidity compiler is missing, is of another version, or refuses a source."""


class RpcError(ChainError):
    """The node cannot be reached, or what it answers makes no sense."""


class WrongChainError(ChainError):
    """The node is on another chain than the one that was meant."""


class SignerError(ChainError):
    """The key of an account cannot be had, or what was signed is not what was asked."""


class RevertedError(ChainError):
    """A contract refused; the message names its reason."""


class TransactionFailedError(ChainError):
    """A transaction was not sent, or no block took it."""


class FeeLimitError(TransactionFailedError):
    """A transaction would cost more than it may, or than the account has."""


class AlreadyRegisteredError(ChainError):
    """The publisher registered this model before, and not as it is to be registered now."""


class AddressBookError(ChainError):
    """The file that says where a deployment lies is missing, or is not one."""


class DeploymentError(ChainError):
    """A deployment is incomplete, or not what its address book says."""
