"""The numbered steps of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "skipped", "not_reached"]

TITLES = (
    "the file is an attestation of a known version",
    "engine and trusted setup are accepted",
    "the ONNX file is the one named",
    "the circuit rebuilt from it is the one described",
    "the statement has the layout and the ranges of the circuit",
    "the proof has the length of this circuit's proofs",
    "the proof holds",
    "inputs and outputs are what the proof is about",
    "the request is what the proof is about",
    "the signature is by the key named",
    "the policy is met",
    "the chain's record agrees",
)
CHAIN_RECORD = len(TITLES)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. `detail` says what was found, or why the step failed."""

    number: int
    title: str
    status: Status
    detail: str = ""
