"""The words in which a work is described: what it is, who made it, what is allowed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM: Final = "io.iscc.v0"
"""The Image-Code of ISO 24138 in C2PA's list of algorithms for soft bindings."""


class Kind(StrEnum):
    """What a work is; the order is that of the contract's enum."""

    IMAGE = "image"
    TEXT = "text"
    AUDIO = "audio"
    VIDEO = "video"
    MODEL = "model"
    ADAPTER = "adapter"
    PROMPT = "prompt"
    WORKFLOW = "workflow"
    DATASET = "dataset"
    OTHER = "other"


class Origin(StrEnum):
    """Who or what made a work; the order is that of the contract's enum."""

    UNSTATED = "unstated"
    HUMAN = "human"
    COMPOSITE = "composite"
    GENERATED = "generated"

    @property
    def is_by_model(self) -> bool:
        """Whether a model made it, or a part of it."""
        return self in (Origin.COMPOSITE, Origin.GENERATED)


SOURCE_TYPES: Final = {
    Origin.GENERATED: "trainedAlgorithmicMedia",
    Origin.COMPOSITE: "compositeWithTrainedAlgorithmicMedia",
    Origin.HUMAN: "digitalCreation",
}
"""IPTC's digital source types; a work of unstated origin names none."""


class Permission(StrEnum):
    """One answer to a question of consent, in the words of CAWG and ERC-7517; the strictest comes last."""

    ALLOWED = "allowed"
    CONSTRAINED = "constrained"
    NOT_ALLOWED = "notAllowed"


def strictest_of(answers: Iterable[Permission]) -> Permission:
    """What holds if there are several answers; at least one."""
    return max(answers, key=list(Permission).index)


def strictest_of_known(*answers: Permission | None) -> Permission | None:
    """What holds if some questions may have no answer; None if none has one."""
    known = [one for one in answers if one is not None]
    return strictest_of(known) if known else None
