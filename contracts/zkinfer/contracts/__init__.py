"""The contracts of zkinfer, compiled, and what Python must compute as they do. Needs no chain, no node, no compiler."""

from zkinfer.contracts.errors import ArtefactError, ChainError, CodeMismatchError, PatchError
from zkinfer.contracts.loading import CONTRACTS, Artefact, Canary, ContractName, key_store_code, load, load_canary
from zkinfer.contracts.patching import patch_dedicated, patch_reusable
from zkinfer.contracts.registration import SELECTOR, Registration
from zkinfer.contracts.requests import ANY_INPUT, NOBODY, Request, commitment, listing_of

__all__ = [
    "ANY_INPUT",
    "CONTRACTS",
    "NOBODY",
    "SELECTOR",
    "Artefact",
    "ArtefactError",
    "Canary",
    "ChainError",
    "CodeMismatchError",
    "ContractName",
    "PatchError",
    "Registration",
    "Request",
    "commitment",
    "key_store_code",
    "listing_of",
    "load",
    "load_canary",
    "patch_dedicated",
    "patch_reusable",
]
