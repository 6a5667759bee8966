"""The contracts of works that anybody may create: works with their market and tills, and funds of contributors.

They are no part of a deployment's plan, since they have no administrator, and their token URIs lead to somebody's
server. Each is created at an address that is a hash of its code and arguments, so creating it again does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.contracts.abi import creation_code, hex_to_bytes
from zkinfer.contracts.artifacts import load
from zkinfer.contracts.deploy import Part, require_code_at
from zkinfer.contracts.errors import DeploymentError
from zkinfer.contracts.identifiers import ZERO_ADDRESS

if TYPE_CHECKING:
    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain


def works_of(ledger: str, base_uri: str, similarity: bytes = b"") -> Part:
    """Works with their market and the code of their tills.

    Args:
        ledger: where answers of models are recorded.
        base_uri: the first part of every token's URI; the decimal id and `/metadata` follow.
        similarity: what `similarity_code` gives, if proven fingerprints are to be compared.
    """
    return Part("Works", creation_code("Works", (ledger, base_uri, similarity)), bytes(32), "Works")


def similarity_code(ledger: str, listing: str, margin: int, arbiter: str = ZERO_ADDRESS) -> bytes:
    """The creation code of the contract that compares works, which Works creates.

    Args:
        ledger: where fingerprints are recorded.
        listing: the one fingerprint model.
        margin: by how much rounding can change a coefficient, see `zkinfer.works.print_model.margin`.
        arbiter: decides contested flags; zero for none.
    """
    return creation_code("Similarity", (ledger, hex_to_bytes(listing), margin, arbiter))


def fund_of(root: str, total_weight: int, manifest: str, uri: str, market: str) -> Part:
    """A fund of contributors.

    Args:
        root: of the Merkle tree over accounts and weights.
        total_weight: the sum of all weights.
        manifest: SHA-256 of the file that lists them.
        uri: where the file is.
        market: that the fund's data set earns on.
    """
    arguments = (hex_to_bytes(root), total_weight, hex_to_bytes(manifest), uri, market)
    return Part("ContributorFund", creation_code("ContributorFund", arguments), bytes(32), "ContributorFund")


def studio_of(works: str, listing: str, model: int) -> Part:
    """A studio, where pictures of one model are ordered.

    Args:
        works: where pictures are registered.
        listing: of the model that paints; its owner must be the till of the model's work.
        model: the work that the model is.
    """
    return Part("Studio", creation_code("Studio", (works, hex_to_bytes(listing), model)), bytes(32), "Studio")


def require_studio_at(chain: Chain, address: str) -> None:
    """Return if an address has the code of a studio, and the works that it names are this version's.

    Raises as `require_works_at`.
    """
    load("Studio").require_code(require_code_at(chain, "Studio", address))
    require_works_at(chain, str(chain.read("Studio", address, "WORKS")).lower())


def require_works_at(chain: Chain, address: str) -> None:
    """Return if an address, the market and the till that it names have the code of works, and name each other.

    Raises DeploymentError if there is no code, or one names another contract; CodeMismatchError if it is other code.
    """
    load("Works").require_code(require_code_at(chain, "Works", address))
    market = _part_of(chain, address, "Market", "MARKET")
    _require_named(chain, "Market", market, "WORKS", address)
    till = _part_of(chain, address, "Till", "TILL")
    _require_named(chain, "Till", till, "MARKET", market)


def similarity_at(chain: Chain, address: str) -> str:
    """The address of the contract that compares the works at an address, whose code was compared.

    Raises as `require_works_at`, and DeploymentError if these works compare no fingerprints.
    """
    require_works_at(chain, address)
    if _named(chain, "Works", address, "SIMILARITY") == ZERO_ADDRESS:
        raise DeploymentError(
            "These works compare no fingerprints.", "They were deployed without `works deploy --print-listing`."
        )
    similarity = _part_of(chain, address, "Similarity", "SIMILARITY")
    _require_named(chain, "Similarity", similarity, "WORKS", address)
    _require_named(chain, "Similarity", similarity, "LEDGER", _named(chain, "Works", address, "LEDGER"))
    return similarity


def _part_of(chain: Chain, works: str, name: ContractName, getter: str) -> str:
    part = _named(chain, "Works", works, getter)
    load(name).require_code(require_code_at(chain, name, part))
    return part


def _require_named(chain: Chain, name: ContractName, address: str, getter: str, expected: str) -> None:
    if (found := _named(chain, name, address, getter)) != expected:
        raise DeploymentError(
            f"The {name} at {address} belongs to {found}, not to {expected}.", "Check the address of the works."
        )


def _named(chain: Chain, name: ContractName, address: str, getter: str) -> str:
    return str(chain.read(name, address, getter)).lower()
