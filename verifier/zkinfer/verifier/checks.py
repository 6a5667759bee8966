"""The single checks of a verification: each raises its refusal or returns what it established.

They perform steps (2) to (10) of `Verifier.verify` and rely on its order: every function takes what an earlier
step returned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits import field
from zkinfer.circuits.build import Rebuilt, rebuild
from zkinfer.circuits.errors import (
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    InputError,
    ModelError,
    ProofRejectedError,
    ZkinferError,
)
from zkinfer.circuits.frontend import NORMALISER
from zkinfer.circuits.tensors import dequantise, quantise
from zkinfer.verifier.errors import (
    CircuitMismatchError,
    ContextMismatchError,
    InputMismatchError,
    InsecureDevSetupError,
    InstanceCountError,
    InvalidProofError,
    NonCanonicalInstanceError,
    OutputMismatchError,
    ProofLengthError,
    SignatureError,
    UnsupportedVersionError,
    UnusableRecipeError,
    ValueRangeError,
)
from zkinfer.verifier.policy import accepts_dev_setup
from zkinfer.verifier.signing import PublicKey
from zkinfer.verifier.statement import output_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from numpy.typing import NDArray

    from zkinfer.circuits.context import Context
    from zkinfer.circuits.engines.base import Engine, Program, Proof
    from zkinfer.circuits.recipe import Recipe
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.verifier.attestation import Attestation
    from zkinfer.verifier.policy import Policy
    from zkinfer.verifier.statement import Predicate

    Arrays = Mapping[str, NDArray[np.generic]]
    Integers = Mapping[str, Sequence[int]]


def dev_setup_allowed(recipe: Recipe, policy: Policy) -> None:
    """Step (2): refuse `insecure-dev` unless the policy accepts it in so many words."""
    if recipe.setup.is_insecure_dev and not accepts_dev_setup(policy):
        raise InsecureDevSetupError(
            "The proof was made under insecure-dev, a setup for tests: anybody can forge such proofs.",
            "Ask for one under a real ceremony; for a demonstration, add UnsafeAcceptDevSetup to the policy "
            "(--unsafe-accept-dev-setup).",
        )


def normaliser_known(recipe: Recipe) -> None:
    """Step (2): refuse a recipe of another normaliser, which would give another network."""
    if recipe.normaliser != NORMALISER:
        raise UnsupportedVersionError(
            f"The recipe names the normaliser {recipe.normaliser}; this version has {NORMALISER}.",
            "Verify with the version of zkinfer that made it, or ask for a new attestation.",
        )


def rebuilt_circuit(predicate: Predicate, model: Path, *, engine: Engine, setup: TrustedSetup, cache: Path) -> Rebuilt:
    """Step (4): make the circuit again from our own files and compare it with the claim.

    Raises:
        UnusableRecipeError: the recipe's settings do not fit the model or the engine.
        CircuitMismatchError: what was rebuilt is another circuit.
        EngineCrashedError, EngineMemoryError, EngineTimeoutError, CircuitError, InputError: the engine or the cache
            failed, which says nothing about the attestation.
    """
    recipe = predicate.recipe
    try:
        engine.check_run_arguments(recipe.run_arguments)
    except EngineError as err:
        raise UnusableRecipeError("The engine refuses the recipe's run arguments. " + _plain(err), err.cure) from err
    try:
        rebuilt = rebuild(model, recipe, engine=engine, setup=setup, cache=cache)
    except (EngineCrashedError, EngineMemoryError, EngineTimeoutError):  # of this machine, not of the recipe
        raise
    except (EngineError, ModelError) as err:
        raise UnusableRecipeError("The recipe does not fit the ONNX file. " + _plain(err), err.cure) from err
    _same_circuit(predicate, rebuilt)
    return rebuilt


def _plain(err: ZkinferError) -> str:
    """What an error says, without the control characters that the attestation may have put into it."""
    return "".join(character if character.isprintable() else "?" for character in err.cause[:300])


def _same_circuit(predicate: Predicate, rebuilt: Rebuilt) -> None:
    claim, program = predicate.circuit, rebuilt.program
    pairs = (
        ("model digest", claim.model, rebuilt.identity.model),
        ("network digest", claim.network, rebuilt.identity.network),
        ("verifying key", claim.verifying_key, rebuilt.identity.verifying_key),
        ("model id", claim.claimed_model_id, rebuilt.identity.model_id),
        ("number of rows", predicate.log_rows, program.log_rows),
        ("list of inputs", predicate.inputs, program.inputs),
        ("list of outputs", predicate.outputs, program.outputs),
    )
    different = [name for name, claimed, found in pairs if claimed != found]
    if different:
        raise CircuitMismatchError(
            f"The circuit rebuilt from the ONNX file has another {', '.join(different)} than the attestation says.",
            "It was made with other settings or another version of the engine, or was altered.",
        )


def instances(predicate: Predicate, program: Program) -> tuple[int, ...]:
    """Step (5): the public values, as many as the circuit has and each below the modulus."""
    found, wanted = len(predicate.instances), program.instance_count
    if found != wanted:
        raise InstanceCountError(
            f"The attestation has {found} public values; the circuit has {wanted}.", "Some were added or removed."
        )
    try:
        return tuple(field.from_word(word) for word in predicate.instances)
    except InputError as err:
        raise NonCanonicalInstanceError(f"A public value is not canonical: {err.cause}", "It was altered.") from err


def proof_of_length(data: bytes, wanted: int) -> bytes:
    """Step (6): the proof, with exactly the length that this circuit's proofs have."""
    if len(data) != wanted:
        raise ProofLengthError(
            f"The proof has {len(data)} bytes; this circuit's proofs have {wanted}.",
            "It was cut or extended, or belongs to another circuit.",
        )
    return data


def proof_holds(engine: Engine, circuit: Rebuilt, setup: TrustedSetup, proof: Proof) -> None:
    """Step (7): the engine's own verification, under the key that we rebuilt."""
    try:
        engine.verify(circuit.folder, circuit.program, setup.path, proof)
    except ProofRejectedError as err:
        raise InvalidProofError(
            "The proof does not hold for these public values.",
            "The proof or a value was altered, or belongs to another inference.",
        ) from err


def public_integers(program: Program, values: Sequence[int], role: Literal["input", "output"]) -> Integers:
    """Step (8): the integers of every tensor that is public, by name; raises ValueRangeError."""
    specs = {spec.name: spec for spec in (program.inputs if role == "input" else program.outputs)}
    return {
        slot.name: [
            _integer(value, specs[slot.name], program) for value in values[slot.start : slot.start + slot.count]
        ]
        for slot in program.slots
        if slot.role == role and not slot.hashed
    }


def _integer(value: int, spec: TensorSpec, program: Program) -> int:
    try:
        integer = field.decode(value)
    except InputError as err:
        raise ValueRangeError(f"A value of {spec.name!r} is no circuit integer. {err.cause}") from err
    if abs(integer) >= program.integer_limit:
        raise ValueRangeError(
            f"A value of {spec.name!r} is {integer}; this circuit holds integers below {program.integer_limit}.",
            "The value wrapped around or was altered.",
        )
    low, high = spec.integer_range
    if not low <= integer <= high:
        raise ValueRangeError(f"A value of {spec.name!r} is {integer}, which is no {spec.dtype}.", "It was altered.")
    return integer


def subject_is_output(claimed: str, program: Program, values: Sequence[int]) -> None:
    """Step (8): the statement's subject is the proven output."""
    slots = [slot for slot in program.slots if slot.role == "output"]
    words = [word for slot in slots for word in values[slot.start : slot.start + slot.count]]
    if output_digest(words) != claimed:
        raise OutputMismatchError(
            "The digest in the statement's subject is not that of the proven output.", "The subject was altered."
        )


def input_expected(engine: Engine, program: Program, values: Sequence[int], expected: Arrays) -> None:
    """Step (8): the proof is about these inputs: all of the circuit's, each the same when quantised.

    Arrays are first brought to the model's own dtype, as they are for the model itself. Of a hashed input the
    digest is compared.

    Raises:
        InputMismatchError: a name, a shape or a value differs, or an input is private and cannot be compared.
        DataError: an expected array holds NaN or infinities.
    """
    names = {spec.name for spec in program.inputs}
    if set(expected) != names:
        raise InputMismatchError(
            f"The circuit's inputs are {sorted(names)}; expected were {sorted(expected)}.", "Name every input."
        )
    slots = {slot.name: slot for slot in program.slots if slot.role == "input"}
    for spec in program.inputs:
        slot = slots.get(spec.name)
        if slot is None:
            raise InputMismatchError(f"The input {spec.name!r} is {spec.visibility}, so it cannot be compared.")
        integers = _quantised(expected[spec.name], spec)
        wanted = [engine.commit(integers)] if slot.hashed else [field.encode(integer) for integer in integers]
        if list(values[slot.start : slot.start + slot.count]) != wanted:
            raise InputMismatchError(
                f"The proof is about another value of the input {spec.name!r} than the expected one.",
                "The request was answered for somebody else's input.",
            )


def _quantised(array: NDArray[np.generic], spec: TensorSpec) -> list[int]:
    if array.shape != spec.shape:
        raise InputMismatchError(
            f"The proof is about an input {spec.describe()}; the expected one has the shape {list(array.shape)}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        own = array.astype(spec.dtype)
    if not spec.is_float and not np.array_equal(own, array):
        raise InputMismatchError(
            f"The input {spec.name!r} takes {spec.dtype}; the expected values are no such numbers."
        )
    return quantise(own, spec)


def tensors(specs: Sequence[TensorSpec], integers: Integers) -> Arrays:
    """Step (8): read-only arrays of the public tensors, in the model's own units."""
    return MappingProxyType(
        {spec.name: _read_only(dequantise(integers[spec.name], spec)) for spec in specs if spec.name in integers}
    )


def _read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """A copy over immutable bytes: its flags cannot be turned back."""
    return np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)


def context_is_proven(context: Context, program: Program, values: Sequence[int]) -> None:
    """Step (9): the public values hold the hash of the claimed request."""
    found = [tuple(values[slot.start : slot.start + slot.count]) for slot in program.slots if slot.role == "context"]
    if found != [context.limbs]:
        raise ContextMismatchError(
            "The proof was made for another request than the attestation says.",
            "The context was altered, or the proof replayed from another chain, contract or request.",
        )


def signer(attestation: Attestation) -> PublicKey:
    """Step (10): the key named in the attestation, if it signed it. Whose key that is, the policy must say."""
    key = PublicKey(attestation.signer_key)
    named = attestation.predicate.signer.algorithm
    if key.algorithm != named:
        raise SignatureError(f"The attestation names {named} for a key of another kind.", "It was altered.")
    if key.fingerprint != attestation.envelope.keyid:
        raise SignatureError("The envelope's keyid is not the fingerprint of the key that the statement names.")
    key.verify(attestation.envelope.signed_bytes, attestation.envelope.signature)
    return key
