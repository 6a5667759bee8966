"""Whether a record of a deployment's ledger may be relied on now: it can lose its effect after it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.works.errors import CertificateError

if TYPE_CHECKING:
    from zkinfer.chain.blocks import Blocks
    from zkinfer.chain.deployment import Deployed


def sound_listing(deployed: Deployed, blocks: Blocks, record: str) -> str:
    """The listing of the model whose answer is on record.

    Args:
        deployed: the deployment whose ledger has the record.
        blocks: of the same node.
        record: the request's id.

    Raises:
        CertificateError: there is no such record, the node has no log of its request, or the model was revoked or its
            verifier stopped.
        ChainError: the node cannot be read.
    """
    ledger = deployed.ledger
    entry = ledger.entry(record)
    if entry.state != "recorded":
        raise CertificateError(f"The ledger has no answer {record}: it is {entry.state}.", "Ask another node.")
    request = blocks.request(ledger.address, record, deployed.chain.height())
    if request is None or request.id(deployed.chain.id, ledger.address) != record:
        raise CertificateError("The node has no log of the request with this id.", "Ask an archive node.")
    require_sound_model(deployed, request.listing)
    return request.listing


def require_sound_model(deployed: Deployed, listing: str) -> None:
    """Return if recorded answers of a model may be relied on now.

    Raises:
        CertificateError: the model was revoked, or its verifier stopped.
        ChainError: the node cannot be read, or the registry has no such model.
    """
    registry = deployed.registry
    if registry.status(listing) == "revoked" or not registry.verifier_is_live(listing):
        raise CertificateError("The record's model was revoked, or its verifier stopped.", "Do not rely on it.")


def conditions(deployed: Deployed) -> str:
    """Under which a record of a deployment's ledger is relied on, in one sentence."""
    lasts = "It counts while the model is not revoked and its verifier not stopped"
    if deployed.book.governance.test:
        return f"{lasts}; the deployment is for tests, and takes models whose proofs anyone can forge."
    return f"{lasts}."
