"""The checks of a verification, steps (2) to (10) of `Verifier.verify`: each returns a verified result or raises.

They rely on the order of the steps: each takes the results of earlier ones.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from zkinfer.circuits.build import Rebuilt, rebuild
from zkinfer.circuits.errors import (
    DataError,
    EngineCrashedError,
    EngineError,
    EngineMemoryError,
    EngineTimeoutError,
    ModelError,
    ProofRejectedError,
    RangeError,
    ZkinferError,
)
from zkinfer.circuits.frontend import NORMALISER
from zkinfer.circuits.srs import INSECURE_DEV
from zkinfer.circuits.statement import split_by_tensor
from zkinfer.circuits.tensor_files import in_shape
from zkinfer.circuits.tensors import dequantise, quantise
from zkinfer.verifier.errors import (
    CircuitMismatchError,
    ContextMismatchError,
    InputMismatchError,
    InsecureDevSetupError,
    InvalidProofError,
    LayoutMismatchError,
    OutputMismatchError,
    ProofLengthError,
    SignatureError,
    UnsupportedVersionError,
    UntrustedEngineError,
    UnusableRecipeError,
    ValueRangeError,
)
from zkinfer.verifier.opinions import commit_input, verify_proof
from zkinfer.verifier.policy import accepts_dev_setup, named_engines
from zkinfer.verifier.signing import PublicKey
from zkinfer.verifier.statement import output_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.engines.base import Engine, Program, Proof
    from zkinfer.circuits.recipe import Recipe
    from zkinfer.circuits.srs import TrustedSetup
    from zkinfer.circuits.statement import Context, Statement
    from zkinfer.circuits.tensors import TensorSpec
    from zkinfer.verifier.attestation import Attestation
    from zkinfer.verifier.opinions import IndependentVerifier
    from zkinfer.verifier.policy import Policy
    from zkinfer.verifier.statement import Predicate
    from zkinfer.verifier.trust import Trusted

    Arrays = Mapping[str, NDArray[np.generic]]
    Integers = Mapping[str, Sequence[int]]

_EDITED = "It was altered, or belongs to another circuit."


def require_dev_setup_allowed(ceremony: str, policy: Policy) -> None:
    """Step (2): reject `insecure-dev` unless the policy accepts it explicitly."""
    if ceremony == INSECURE_DEV and not accepts_dev_setup(policy):
        raise InsecureDevSetupError(
            "The trusted setup is insecure-dev, a setup for tests: anyone can forge such proofs.",
            "Ask for one under a real ceremony; for a demonstration, add UnsafeAcceptDevSetup to the policy "
            "(--unsafe-accept-dev-setup).",
        )


def accepted_engine(trusted: Trusted, name: str, policy: Policy) -> Engine:
    """Step (2): the engine with this id; an experimental one must be named by the policy."""
    engine, kind = trusted.engine(name), name.partition("/")[0]
    if engine.experimental and kind not in named_engines(policy):
        raise UntrustedEngineError(
            f"The proof was made with {name}, an experimental engine, which the policy does not name.",
            f"If you accept its proofs, say so: --accept-engine {kind}, or {kind!r} in the policy's engineIs.",
        )
    return engine


def require_known_normaliser(recipe: Recipe) -> None:
    """Step (2): reject a recipe of another normaliser, which would give another network."""
    if recipe.normaliser != NORMALISER:
        raise UnsupportedVersionError(
            f"The recipe names the normaliser {recipe.normaliser}; this version has {NORMALISER}.",
            "Verify with the version of zkinfer that made it, or ask for a new attestation.",
        )


def rebuild_circuit(predicate: Predicate, model: Path, *, engine: Engine, setup: TrustedSetup, cache: Path) -> Rebuilt:
    """Step (4): rebuild the circuit from our own files and compare it with the claim.

    Raises:
        UnusableRecipeError: the recipe's settings do not fit the model or the engine.
        CircuitMismatchError: the rebuilt circuit differs from the claim.
        EngineCrashedError, EngineMemoryError, EngineTimeoutError, CircuitError, InputError: the engine or the cache
            failed, which says nothing about the attestation.
    """
    recipe = predicate.recipe
    try:
        engine.check_run_arguments(recipe.run_arguments)
    except EngineError as err:
        raise UnusableRecipeError(
            "The engine refuses the recipe's run arguments. " + _printable(err), err.cure
        ) from err
    try:
        rebuilt = rebuild(model, recipe, engine=engine, setup=setup, cache=cache)
    except (EngineCrashedError, EngineMemoryError, EngineTimeoutError):  # of this machine, not of the recipe
        raise
    except (EngineError, ModelError) as err:
        raise UnusableRecipeError("The recipe does not fit the ONNX file. " + _printable(err), err.cure) from err
    _same_circuit(predicate, rebuilt)
    return rebuilt


def _printable(err: ZkinferError) -> str:
    """The cause of an error, without control characters that may come from the attestation."""
    return "".join(character if character.isprintable() else "?" for character in err.cause[:300])


def _same_circuit(predicate: Predicate, rebuilt: Rebuilt) -> None:
    claim, program = predicate.circuit, rebuilt.program
    pairs = (
        ("model digest", claim.model, rebuilt.identity.model),
        ("network digest", claim.network, rebuilt.identity.network),
        ("verifying key", claim.verifying_key, rebuilt.identity.verifying_key),
        ("model id", claim.claimed_model_id, rebuilt.identity.model_id),
        ("size of the trusted setup", predicate.setup_size, program.setup_size),
        ("list of inputs", predicate.inputs, program.inputs),
        ("list of outputs", predicate.outputs, program.outputs),
    )
    different = [name for name, claimed, found in pairs if claimed != found]
    if different:
        raise CircuitMismatchError(
            f"The circuit rebuilt from the ONNX file has another {', '.join(different)} than the attestation says.",
            "It was made with other settings or another version of the engine, or was altered.",
        )


def checked_statement(predicate: Predicate, program: Program) -> Statement:
    """Step (5): the statement, if it has the circuit's layout and its integers are in range.

    Raises:
        LayoutMismatchError: the layout or the number of values differs.
        ValueRangeError: an integer is outside the range of its tensor's dtype or of the circuit.
    """
    statement, layout = predicate.statement, program.layout
    if predicate.layout != layout:
        raise LayoutMismatchError("The statement has another layout than the circuit.", _EDITED)
    for what, found, wanted in (
        ("bytes of inputs", len(statement.inputs), layout.input_bytes),
        ("outputs", len(statement.outputs), layout.outputs),
    ):
        if found != wanted:
            raise LayoutMismatchError(f"The statement has {found} {what}; the circuit has {wanted}.", _EDITED)
    if layout.visibility == "public":
        _require_in_range(split_by_tensor(layout.unpack(statement.inputs), program.inputs), program.inputs, program)
    _require_in_range(split_by_tensor(statement.outputs, program.outputs), program.outputs, program)
    return statement


def _require_in_range(tensors: Integers, specs: Sequence[TensorSpec], program: Program) -> None:
    for spec in specs:
        low, high = spec.integer_range
        for integer in tensors[spec.name]:
            if abs(integer) >= program.integer_limit:
                raise ValueRangeError(
                    f"A value of {spec.name!r} is {integer}; this circuit holds integers below "
                    f"{program.integer_limit}.",
                    "The value wrapped around or was altered.",
                )
            if not low <= integer <= high:
                raise ValueRangeError(
                    f"A value of {spec.name!r} is {integer}, which {spec.dtype} cannot hold.", "It was altered."
                )


def checked_proof_bytes(data: bytes, wanted: int) -> bytes:
    """Step (6): the proof, if its length is exactly that of this circuit's proofs."""
    if len(data) != wanted:
        raise ProofLengthError(
            f"The proof has {len(data)} bytes; this circuit's proofs have {wanted}.",
            "It was cut or extended, or belongs to another circuit.",
        )
    return data


def require_valid_proof(
    engine: Engine,
    circuit: Rebuilt,
    setup: TrustedSetup,
    proof: Proof,
    *,
    second_opinion: bool = False,
    independent: Mapping[str, IndependentVerifier] | None = None,
) -> str:
    """Step (7): the proof holds under the rebuilt key; says who verified it, see `opinions`."""
    try:
        return verify_proof(engine, circuit, setup, proof, second_opinion=second_opinion, independent=independent)
    except ProofRejectedError as err:
        raise InvalidProofError(
            "The proof does not hold for these public values.",
            "The proof or a value was altered, or belongs to another inference.",
        ) from err


def public_inputs(program: Program, statement: Statement) -> Integers:
    """Step (8): the integers of every public input, by name; none if inputs are hashed or private."""
    layout = program.layout
    return split_by_tensor(layout.unpack(statement.inputs), program.inputs) if layout.visibility == "public" else {}


def outputs(program: Program, statement: Statement) -> Integers:
    """Step (8): the integers of every output, by name."""
    return split_by_tensor(statement.outputs, program.outputs)


def require_output_subject(claimed: str, statement: Statement) -> None:
    """Step (8): the subject of the in-toto statement is the proven output."""
    if output_digest(statement.outputs) != claimed:
        raise OutputMismatchError(
            "The digest in the statement's subject is not that of the proven output.", "The subject was altered."
        )


def require_expected_inputs(
    engine: Engine, circuit: Rebuilt, setup: TrustedSetup, statement: Statement, expected: Arrays
) -> None:
    """Step (8): the quantised expected inputs are exactly those of the proof.

    Arrays are first converted to the shape (see `zkinfer.circuits.tensor_files.in_shape`) and the dtype of the model's
    inputs. For hashed inputs, the digests are compared.

    Raises:
        InputMismatchError: a name, a shape or a value differs, or the inputs are private and cannot be compared.
        DataError: an expected array holds NaN or infinity.
    """
    program = circuit.program
    names = {spec.name for spec in program.inputs}
    if set(expected) != names:
        raise InputMismatchError(
            f"The circuit's inputs are {sorted(names)}; expected were {sorted(expected)}.", "Name every input."
        )
    if program.layout.visibility == "private":
        raise InputMismatchError("The inputs are private, so they cannot be compared.")
    integers = [_quantised(expected[spec.name], spec) for spec in program.inputs]
    if program.layout.visibility == "public":
        stated: list[object] = list(public_inputs(program, statement).values())
        wanted: list[object] = list(integers)
    else:
        stated = list(program.layout.digests(statement.inputs))
        wanted = [_digest(engine, circuit, setup, n, tensor) for n, tensor in enumerate(integers)]
    for spec, one, other in zip(program.inputs, stated, wanted, strict=True):
        if one != other:
            raise InputMismatchError(
                f"The proof has another value of the input {spec.name!r} than expected.",
                "The request was answered for another input.",
            )


def _digest(engine: Engine, circuit: Rebuilt, setup: TrustedSetup, number: int, integers: Sequence[int]) -> bytes:
    try:
        return commit_input(engine, circuit, setup, number, integers)
    except RangeError as err:  # no proof is about such an input
        name = circuit.program.inputs[number].name
        raise InputMismatchError(
            f"The expected input {name!r} leaves the circuit's range, so no proof is about it."
        ) from err


def _quantised(array: NDArray[np.generic], spec: TensorSpec) -> list[int]:
    try:
        array = in_shape(array, spec)
    except DataError as err:
        raise InputMismatchError(
            f"The proof's input is {spec.describe()}; the expected one has the shape {list(array.shape)}."
        ) from err
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(spec.dtype)
    if not spec.is_float and not np.array_equal(converted, array):
        raise InputMismatchError(f"The input {spec.name!r} has dtype {spec.dtype}; the expected values do not fit it.")
    return quantise(converted, spec)


def tensors(specs: Sequence[TensorSpec], integers: Integers) -> Arrays:
    """Step (8): read-only arrays of the public tensors, in the model's own units."""
    return MappingProxyType(
        {spec.name: _read_only(dequantise(integers[spec.name], spec)) for spec in specs if spec.name in integers}
    )


def _read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """A copy over immutable bytes, which cannot be made writable again."""
    return np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)


def require_proven_context(context: Context, statement: Statement) -> None:
    """Step (9): the statement holds the hash of the claimed request."""
    if statement.context != context.hash:
        raise ContextMismatchError(
            "The proof was made for another request than the attestation says.",
            "The context was altered, or the proof replayed from another chain, contract or request.",
        )


def verified_signer(attestation: Attestation) -> PublicKey:
    """Step (10): the key that the attestation names, if it made the signature. The policy decides whose key that is."""
    key = PublicKey(attestation.signer_key)
    named = attestation.predicate.signer.algorithm
    if key.algorithm != named:
        raise SignatureError(f"The attestation names {named}, but its key is {key.algorithm}.", "It was altered.")
    if key.fingerprint != attestation.envelope.keyid:
        raise SignatureError("The envelope's keyid is not the fingerprint of the key that the statement names.")
    key.verify(attestation.envelope.signed_bytes, attestation.envelope.signature)
    return key
