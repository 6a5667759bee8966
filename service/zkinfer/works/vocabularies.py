"""Rights in the published vocabularies: CAWG, ERC-7517, IETF's Content-Usage, TDMRep, PLUS, and Story's PIL.

Where a vocabulary has fewer words, the most restrictive one is used: `constrained` becomes no.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from zkinfer.works.kinds import Permission, strictest_of
from zkinfer.works.statement import Rights
from zkinfer.works.terms import Use

if TYPE_CHECKING:
    from zkinfer.works.terms import Offer

_PLUS: Final = "http://ns.useplus.org/ldf/vocab/DMI-"
_ADDRESS: Final = re.compile(r"[\x21-\x7e]{1,2048}")
_CAWG: Final = {
    "ai_generative_training": "training",
    "ai_training": "training",
    "ai_inference": "inference",
    "data_mining": "mining",
}
_ERC7517: Final = {
    "dataMining": "mining",
    "aiInference": "inference",
    "aiTraining": "training",
    "aiGenerativeTraining": "training",
    "aiTrainingWithAuthorship": "training",
    "aiGenerativeTrainingWithAuthorship": "training",
}


def to_cawg(rights: Rights) -> dict[str, Any]:
    """The data of the assertion `cawg.training-mining` (CAWG 1.x)."""
    return {"entries": {f"cawg.{name}": _cawg_entry(rights, getattr(rights, field)) for name, field in _CAWG.items()}}


def from_cawg(data: dict[str, Any]) -> Rights:
    """The rights that an assertion gives, also in the older words that begin with `c2pa`.

    What it does not name, or names in unknown words, is not allowed.
    """
    entries: Any = data.get("entries")
    entries = entries if isinstance(entries, dict) else {}
    found = {"training": Permission.NOT_ALLOWED, "mining": Permission.NOT_ALLOWED, "inference": Permission.NOT_ALLOWED}
    policy = ""
    for field in found:
        answers = [_use_of(entry) for name, entry in entries.items() if _field_of(name) == field]
        if answers:
            found[field] = strictest_of(answers)
    for entry in entries.values():
        given = entry.get("constraint_info") if isinstance(entry, dict) else None
        policy = policy or (given if isinstance(given, str) and _ADDRESS.fullmatch(given) else "")
    return Rights(**found, policy=policy)


def to_erc7517(rights: Rights) -> dict[str, str]:
    """The object `dataMiningPreference` of a token's metadata (ERC-7517)."""
    return {name: str(getattr(rights, field)) for name, field in _ERC7517.items()}


def to_content_usage(rights: Rights) -> str:
    """The value of the header Content-Usage (IETF aipref, drafts of August 2026): `train-ai=n, search=y`."""
    return f"train-ai={_yes_or_no(rights.training)}, search={_yes_or_no(rights.mining)}"


def to_tdmrep(rights: Rights) -> dict[str, str]:
    """The headers of W3C's TDM Reservation Protocol."""
    reserved = rights.mining != Permission.ALLOWED or rights.training != Permission.ALLOWED
    headers = {"tdm-reservation": "1" if reserved else "0"}
    return {**headers, "tdm-policy": rights.policy} if reserved and rights.policy else headers


def to_plus(rights: Rights) -> str:
    """The URI for `plus:DataMining` in XMP (PLUS, as IPTC uses it)."""
    if rights.mining == Permission.NOT_ALLOWED:
        return _PLUS + "PROHIBITED"
    if rights.training == Permission.NOT_ALLOWED:
        return _PLUS + "PROHIBITED-AIMLTRAINING"
    if Permission.CONSTRAINED in (rights.mining, rights.training):
        return _PLUS + "PROHIBITED-SEECONSTRAINT"
    return _PLUS + "ALLOWED"


def to_pil(offer: Offer) -> dict[str, Any]:
    """The fields of Story's Programmable IP License that an offer decides; amounts in wei and millionths."""
    return {
        "transferable": False,
        "defaultMintingFee": offer.price,
        "expiration": offer.duration,
        "commercialUse": Use.COMMERCIAL in offer.uses,
        "commercialAttribution": Use.COMMERCIAL in offer.uses and Use.ATTRIBUTION in offer.uses,
        "commercialRevShare": offer.share_bps * 10_000,
        "derivativesAllowed": Use.DERIVATIVES in offer.uses,
        "derivativesAttribution": Use.DERIVATIVES in offer.uses and Use.ATTRIBUTION in offer.uses,
        "derivativesApproval": False,
        "derivativesReciprocal": Use.DERIVATIVES in offer.uses,
        "uri": offer.uri,
    }


def _cawg_entry(rights: Rights, answer: Permission) -> dict[str, str]:
    entry = {"use": str(answer)}
    if answer == Permission.CONSTRAINED and rights.policy:
        entry["constraint_info"] = rights.policy
    return entry


def _field_of(name: str) -> str | None:
    prefix, _, question = name.partition(".")
    return _CAWG.get(question) if prefix in ("cawg", "c2pa") else None


def _use_of(entry: object) -> Permission:
    use = entry.get("use") if isinstance(entry, dict) else None
    return Permission(use) if isinstance(use, str) and use in set(Permission) else Permission.NOT_ALLOWED


def _yes_or_no(answer: Permission) -> str:
    return "y" if answer == Permission.ALLOWED else "n"
