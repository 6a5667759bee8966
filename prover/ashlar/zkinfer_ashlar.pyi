"""Ashlar's prover in Rust. Integers in byte strings are int64, little-endian; `code` is a header and a program."""

from os import PathLike
from typing import final

class AshlarError(Exception):
    """Base of the module's exceptions; raised itself for an argument of the wrong length."""

class MalformedKeyError(AshlarError):
    """A key or program breaks a rule of well-formedness, W1 to W9."""

    rule: str

class ProofRejectedError(AshlarError):
    """A proof is refused at a step of the verifier."""

    step: int
    reason: str

class InputOutOfRangeError(AshlarError):
    """An element of an input is no value of the input's table; the index counts through all samples."""

    index: int
    value: int

class SetupError(AshlarError):
    """The setup is not readable, too small or not the key's."""

class AshlarPanicError(AshlarError):
    """A bug in this module."""

@final
class Network:
    """A program and its weights, read once for many inputs."""

    def __new__(cls, code: bytes, weights: bytes) -> Network: ...
    def forward(self, inputs: bytes) -> bytes:
        """The outputs of one or many inputs, one after the other."""

    def blocks(self, inputs: bytes) -> list[tuple[list[int], list[int], list[int]]]:
        """`(q, r, y)` of each block, the input first; all cells of the boxes."""

    def work(self) -> int:
        """Multiplications of one inference."""

def commit_weights(code: bytes, weights: bytes, setup_path: str | PathLike[str]) -> bytes:
    """The commitments to the chunks of the weights, 64 bytes each."""

def make_key(code: bytes, weights: bytes, setup_path: str | PathLike[str]) -> bytes:
    """The verifying key."""

def commit_input(code: bytes, inputs: bytes, setup_path: str | PathLike[str]) -> bytes:
    """The 32-byte digest of a hashed input."""

def forward(code: bytes, weights: bytes, inputs: bytes) -> bytes:
    """The outputs of one or many inputs, one after the other."""

def prove(
    key: bytes, weights: bytes, inputs: bytes, context: bytes, setup_path: str | PathLike[str]
) -> tuple[bytes, list[int], bytes]:
    """The statement's inputs, the outputs, and a proof that has been verified."""

def verify(key: bytes, context: bytes, inputs: bytes, outputs: list[int], proof: bytes) -> None:
    """Raise ProofRejectedError unless the proof is good."""

def memory(code: bytes) -> int:
    """Bytes of memory that a proof takes at most, beside the setup and the interpreter."""
