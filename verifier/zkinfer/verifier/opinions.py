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
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from zkinfer.circuits.build import Rebuilt
    from zkinfer.circuits.engines.base import Engine, Proof
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.statement import Layout

_INDEPENDENT: Final = {"ashlar": "zkinfer.verifier.ashlar"}
"""The module of the independent verifier of each engine that has one here, by the engine's name."""


class IndependentVerifier(Protocol):
    """A second implementation of an engine's verifier, which needs the verifying key alone."""

    name: str
    """What to call it in a report."""

    def verify(self, key: bytes, layout: Layout, proof: Proof) -> None:
        """Return if the proof of this layout holds; raises ProofRejectedError."""
        ...


def verify_proof(
    engine: Engine,
    circuit: Rebuilt,
    setup: TrustedSetup,
    proof: Proof,
    *,
    second_opinion: bool = False,
    independent: Mapping[str, IndependentVerifier] | None = None,
) -> str:
    """Verify a proof, and say who did.

    Args:
        engine: the engine of the circuit.
        circuit: rebuilt from the auditor's own ONNX file.
        setup: the auditor's own trusted setup.
        proof: the claimed proof with its statement.
        second_opinion: ask the engine and the independent implementation.
        independent: further independent implementations, by the engine's name; asked for second opinions only.

    Raises:
        ProofRejectedError: the proof does not hold.
        OpinionsDifferError: one of two verifiers accepts it, and the other does not.
        InputError: there is no second opinion to ask.
        EngineError: nobody here can verify proofs of this engine.
    """
    voices = _voices(engine, circuit, setup, proof)
    second = (independent or {}).get(_name(engine)) if second_opinion else None
    if second is not None:
        voices[second.name] = lambda: second.verify(engine.evm_key(circuit.folder), circuit.program.layout, proof)
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
    accepting = " and ".join(one for one in voices if one not in rejections)
    raise OpinionsDifferError(
        f"Verifiers differ about this proof: {accepting} accepts it, and {name} rejects it: {first.cause}",
        "One of them has a fault. Trust neither, and report it as SECURITY.md says.",
    )


def _name(engine: Engine) -> str:
    return engine.id.partition("/")[0]


class _Module(Protocol):
    """An independent verifier that this package contains."""

    def verify(self, key: bytes, context: bytes, inputs: bytes, outputs: Sequence[int], proof: bytes) -> None: ...

    def commit_input(self, key: bytes, inputs: Sequence[int], setup: Path) -> bytes: ...


def _independent(engine: Engine) -> _Module | None:
    module = _INDEPENDENT.get(_name(engine))
    if module is None:
        return None
    found: _Module = import_module(module)  # late: most verifications do not need it
    return found
