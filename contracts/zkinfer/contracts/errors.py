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


class ArtefactError(ChainError):
    """An artefact is missing from the installation, or is not what was installed."""


class CodeMismatchError(ChainError):
    """A contract on a chain has other code than the one that this version of zkinfer ships."""


class PatchError(ChainError):
    """The source that the engine generated is not the one that the patch was written for."""


class RpcError(ChainError):
    """The node cannot be reached, or what it answers makes no sense."""


class RevertedError(ChainError):
    """A contract refused; the message names its reason."""


class TransactionFailedError(ChainError):
    """A transaction was not sent, or no block took it."""


class DeploymentError(ChainError):
    """A deployment is incomplete, or not what its address book says."""
