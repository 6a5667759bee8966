"""The words in which a work is described: what it is, who made it, what is allowed."""

from __future__ import annotations

from enum import StrEnum


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


class Permission(StrEnum):
    """One answer to a question of consent, in the words of CAWG and ERC-7517."""

    ALLOWED = "allowed"
    CONSTRAINED = "constrained"
    NOT_ALLOWED = "notAllowed"
