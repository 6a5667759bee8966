"""Who verifies a proof: its engine, an implementation that shares no code with it, or both.

Where an engine's own code is not installed, the independent implementation alone decides. A second opinion asks both,
and rejects the proof if they differ.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from zkinfer.circuits.errors import EngineError, InputError, ProofRejectedError
from zkinfer.verifier.errors import OpinionsDifferError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.engines.base import Engine, Proof
    from zkinfer.circuits.srs import TrustedSetup

_INDEPENDENT: Final = {"ashlar": "zkinfer.verifier.ashlar"}
"""The module of the independent verifier of each engine that has one, by the engine's name."""


class IndependentVerifier(Protocol):
    """A second implementation of an engine's verifier, which needs the verifying key alone."""

    def verify(self, key: bytes, context: bytes, inputs: bytes, outputs: Sequence[int], proof: bytes) -> None:
        """Return if the proof holds; raises ProofRejectedError."""
        ...

    def commit_input(self, key: bytes, inputs: Sequence[int], setup: Path) -> bytes:
        """The digest of a hashed input."""
        ...


def verify_proof(
    engine: Engine, circuit: Rebuilt, setup: TrustedSetup, proof: Proof, *, second_opinion: bool = False
) -> str:
    """Verify a proof, and say who did.

    Args:
        engine: the engine of the circuit.
        circuit: rebuilt from the auditor's own ONNX file.
        setup: the auditor's own trusted setup.
        proof: the claimed proof with its statement.
        second_opinion: ask the engine and the independent implementation.

    Raises:
        ProofRejectedError: the proof does not hold.
        OpinionsDifferError: one of two verifiers accepts it, and the other does not.
        InputError: there is no second opinion to ask.
        EngineError: nobody here can verify proofs of this engine.
    """
    voices = _voices(engine, circuit, setup, proof)
    if second_opinion and len(voices) < 2:
        missing = engine.unavailable or f"There is no independent verifier of proofs by {engine.id}."
        raise InputError(f"There is no second opinion on this proof. {missing}", "Verify without --second-opinion.")
    if not voices:
        raise EngineError(engine.unavailable)
    return _ask(voices if second_opinion else dict(list(voices.items())[:1]))


def commit_input(engine: Engine, circuit: Rebuilt, setup: TrustedSetup, tensor: int, integers: Sequence[int]) -> bytes:
    """The digest that represents a hashed input in a statement; raises EngineError if nobody here can compute it."""
    if not engine.unavailable:
        return engine.commit(circuit.folder, circuit.program, setup.path, tensor, integers)
    independent = _independent(engine)
    if independent is None:
        raise EngineError(engine.unavailable)
    return independent.commit_input(engine.evm_key(circuit.folder), integers, setup.path)


def _voices(engine: Engine, circuit: Rebuilt, setup: TrustedSetup, proof: Proof) -> dict[str, Callable[[], None]]:
    """Each verifier that can be asked here, by what to call it; the engine comes first."""
    voices: dict[str, Callable[[], None]] = {}
    if not engine.unavailable:
        voices[engine.id] = lambda: engine.verify(circuit.folder, circuit.program, setup.path, proof)
    if (independent := _independent(engine)) is not None:
        statement = proof.statement
        voices["the independent verifier"] = lambda: independent.verify(
            engine.evm_key(circuit.folder), statement.context, statement.inputs, statement.outputs, proof.data
        )
    return voices


def _ask(voices: dict[str, Callable[[], None]]) -> str:
    rejections: dict[str, ProofRejectedError] = {}
    for name, verify in voices.items():
        try:
            verify()
        except ProofRejectedError as err:
            rejections[name] = err
    if not rejections:
        return " and ".join(voices)
    name, first = next(iter(rejections.items()))
    if len(rejections) == len(voices):
        raise first
    [accepting] = voices.keys() - rejections.keys()
    raise OpinionsDifferError(
        f"Two verifiers differ about this proof: {accepting} accepts it, and {name} rejects it: {first.cause}",
        "One of them has a fault. Trust neither, and report it as SECURITY.md says.",
    )


def _independent(engine: Engine) -> IndependentVerifier | None:
    module = _INDEPENDENT.get(engine.id.partition("/")[0])
    if module is None:
        return None
    found: IndependentVerifier = import_module(module)  # late: most verifications do not need it
    return found
