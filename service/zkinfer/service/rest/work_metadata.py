"""What marketplaces and crawlers read of a work: token metadata, and headers about training and mining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zkinfer.v1.works_pb2 import Work
    from zkinfer.works.statement import Rights

_PROVEN = "proven"


def metadata_of(work: Work) -> dict[str, Any]:
    """The metadata of a token, as ERC-721, ERC-7007 and ERC-7517 (`dataMiningPreference`) describe them.

    The creator's URI is repeated as `external_url`, never as `image`: nobody has checked what is there. A `proof_type`
    is stated only while the proof may be relied on.
    """
    short = f"{work.work[:10]}..."
    found: dict[str, Any] = {
        "name": work.certificate.name or f"{work.kind} {short}",
        "description": f"A work of the kind {work.kind}. {work.label.text} {_NOT_PROVEN}",
        "attributes": _attributes(work),
    }
    if work.uri.startswith(("https://", "http://", "ipfs://", "ar://")):
        found["external_url"] = work.uri
    if work.origin == "generated":
        found["aigc_type"] = work.kind
    if work.label.level == _PROVEN:
        found["proof_type"] = "validity"
    if (rights := _rights_of(work)) is not None:
        from zkinfer.works.vocabularies import to_erc7517  # noqa: PLC0415 - an extra

        found["dataMiningPreference"] = to_erc7517(rights)
    return found


_NOT_PROVEN = "Nothing here says who owns a copyright."


def usage_headers(work: Work) -> dict[str, str]:
    """What may be done with a work, for crawlers: `Content-Usage` (IETF aipref) and W3C's TDM Reservation Protocol.

    Without a certificate nothing was said, and nothing is sent.
    """
    rights = _rights_of(work)
    if rights is None:
        return {}
    from zkinfer.works.vocabularies import to_content_usage, to_tdmrep  # noqa: PLC0415 - an extra

    return {"content-usage": to_content_usage(rights), **to_tdmrep(rights)}


def _attributes(work: Work) -> list[dict[str, Any]]:
    known = {
        "Kind": work.kind,
        "Origin": work.origin,
        "Made by AI": work.label.ai_generated,
        "Evidence": work.label.level or "unknown",
        "Standing": work.standing,
        "Creator": work.creator,
        "Parents": len(work.parents),
    }
    found: list[dict[str, Any]] = [{"trait_type": name, "value": value} for name, value in known.items()]
    since = {"trait_type": "Registered", "display_type": "date", "value": work.since.seconds}
    return [*found, since]


def _rights_of(work: Work) -> Rights | None:
    """What the creator's certificate allows; None if it says nothing."""
    said = work.certificate
    if not (said.training and said.mining and said.inference):
        return None
    from zkinfer.works.kinds import Permission  # noqa: PLC0415 - an extra
    from zkinfer.works.statement import Rights  # noqa: PLC0415

    return Rights(
        training=Permission(said.training), mining=Permission(said.mining), inference=Permission(said.inference)
    )
