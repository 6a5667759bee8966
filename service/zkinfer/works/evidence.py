"""How much a statement about a work rests on: three words that are never mixed."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """What a statement rests on.

    A record of the ledger proves that a model gave these outputs. A signature attests that its key stands for a
    statement. Everything else is somebody's word.
    """

    PROVEN = "proven"
    ATTESTED = "attested"
    CLAIMED = "claimed"


UNPROVEN = (
    "that the work is original, or who owns its copyright",
    "that it derives from another work, or that a data set trained a model",
    "that a detector is right; its fidelity report says how often it was",
)
"""What nothing here proves, for everybody who shows a work."""
