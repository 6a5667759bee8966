"""The corpus of bad proofs: an honest proof, changed in every way that a verifier must detect.

It covers changes of a proof and its public values, for any verifier. Changes of an attestation, and those possible only
on a chain, are tested elsewhere.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zkinfer.circuits.engines.base import Proof
from zkinfer.circuits.engines.ezkl import instances

if TYPE_CHECKING:
    from collections.abc import Callable

Q: Final = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
"""The order of the field of coordinates; `field.MODULUS` is that of evaluations and public values."""
Cases = dict[str, Proof]
_SWAPPED = ((0, 2), (1, 3), (44, 45), (46, 47), (92, 94), (0, 95))


def words(proof: Proof) -> range:
    return range(len(proof.data) // 32)


def word(proof: Proof, place: int) -> int:
    return int.from_bytes(proof.data[32 * place : 32 * place + 32], "big")


def with_word(proof: Proof, place: int, value: int) -> Proof:
    data = proof.data[: 32 * place] + value.to_bytes(32, "big") + proof.data[32 * place + 32 :]
    return Proof(data, proof.statement)


def stating(proof: Proof, **changes: Any) -> Proof:
    """The proof with another statement."""
    return Proof(proof.data, replace(proof.statement, **changes))


def with_output(proof: Proof, place: int, value: int) -> Proof:
    outputs = proof.statement.outputs
    return stating(proof, outputs=(*outputs[:place], value, *outputs[place + 1 :]))


def with_input(proof: Proof, place: int, value: int) -> Proof:
    """For the demo's circuit, whose inputs are four-byte integers."""
    inputs = proof.statement.inputs
    return stating(proof, inputs=inputs[: 4 * place] + value.to_bytes(4, "big", signed=True) + inputs[4 * place + 4 :])


def input_at(proof: Proof, place: int) -> int:
    return int.from_bytes(proof.statement.inputs[4 * place : 4 * place + 4], "big", signed=True)


def with_limb(proof: Proof, place: int) -> Proof:
    """With one bit flipped in the limb that the engine takes from the context."""
    context = int.from_bytes(proof.statement.context, "big") ^ 1 << (256 - 26 * (place + 1))
    return stating(proof, context=context.to_bytes(32, "big"))


def flipped(proof: Proof, _: Proof) -> Cases:
    bits = {f"word {place}, bit {7 * place % 256}": (place, 1 << 7 * place % 256) for place in words(proof)}
    return {name: with_word(proof, place, word(proof, place) ^ bit) for name, (place, bit) in bits.items()}


def plus_a_modulus(proof: Proof, _: Proof) -> Cases:
    """The second spelling of every coordinate and evaluation."""
    places = itertools.product(words(proof), (("r", instances.MODULUS), ("q", Q)))
    sums = {f"word {place} + {name}": (place, word(proof, place) + modulus) for place, (name, modulus) in places}
    return {name: with_word(proof, place, value) for name, (place, value) in sums.items() if value < 1 << 256}


def zeroed(proof: Proof, _: Proof) -> Cases:
    return {f"zero {place}": with_word(proof, place, 0) for place in words(proof) if word(proof, place)}


def at_infinity(proof: Proof, _: Proof) -> Cases:
    return {
        f"infinity {place}": with_word(with_word(proof, place, 0), place + 1, 0)
        for place in words(proof)[::2]
        if word(proof, place) or word(proof, place + 1)
    }


def negated(proof: Proof, _: Proof) -> Cases:
    """Valid curve points, but other ones."""
    cases = {}
    for place in words(proof)[::2]:
        x, y = word(proof, place), word(proof, place + 1)
        if (y * y - x * x * x - 3) % Q == 0:
            cases[f"point {place}"] = with_word(proof, place + 1, Q - y)
    return cases


def swapped(proof: Proof, _: Proof) -> Cases:
    return {
        f"{first} and {second}": with_word(with_word(proof, first, word(proof, second)), second, word(proof, first))
        for first, second in _SWAPPED
    }


def of_another_length(proof: Proof, _: Proof) -> Cases:
    cut = {f"{change} bytes": Proof(proof.data[:change], proof.statement) for change in (-len(proof.data), -32, -1)}
    return cut | {f"+{more} bytes": Proof(proof.data + bytes(more), proof.statement) for more in (1, 32, 64)}


def of_another_inference(proof: Proof, other: Proof) -> Cases:
    return {"proof": Proof(other.data, proof.statement), "public values": Proof(proof.data, other.statement)}


def value_plus_one(proof: Proof, _: Proof) -> Cases:
    inputs, outputs = range(len(proof.statement.inputs) // 4), proof.statement.outputs
    return {
        **{f"input {place}": with_input(proof, place, input_at(proof, place) + 1) for place in inputs},
        **{f"output {place}": with_output(proof, place, value + 1) for place, value in enumerate(outputs)},
        **{f"limb {place} of the context": with_limb(proof, place) for place in range(5)},
    }


def value_negated(proof: Proof, _: Proof) -> Cases:
    return {
        f"output {place}": with_output(proof, place, -value)
        for place, value in enumerate(proof.statement.outputs)
        if value
    }


def values_swapped(proof: Proof, _: Proof) -> Cases:
    outputs, inputs = proof.statement.outputs, proof.statement.inputs
    return {
        "outputs 0 and 1": stating(proof, outputs=(outputs[1], outputs[0], *outputs[2:])),
        "outputs 8 and 9": stating(proof, outputs=(*outputs[:8], outputs[9], outputs[8])),
        "inputs reversed": stating(proof, inputs=inputs[::-1]),
    }


def other_number_of_values(proof: Proof, _: Proof) -> Cases:
    outputs, inputs = proof.statement.outputs, proof.statement.inputs
    return {
        "one output": stating(proof, outputs=outputs[:1]),
        "an output less": stating(proof, outputs=outputs[:-1]),
        "an output more": stating(proof, outputs=(*outputs, 0)),
        "no inputs": stating(proof, inputs=b""),
        "a byte less": stating(proof, inputs=inputs[:-1]),
        "an input more": stating(proof, inputs=inputs + bytes(4)),
        "an input for an output": stating(proof, inputs=inputs + bytes(4), outputs=outputs[:-1]),
    }


KINDS: Final[dict[str, Callable[[Proof, Proof], Cases]]] = {
    "a bit flipped in every word": flipped,
    "every word plus either modulus": plus_a_modulus,
    "every word zeroed": zeroed,
    "every pair of words the point at infinity": at_infinity,
    "every point negated": negated,
    "words swapped": swapped,
    "cut or extended": of_another_length,
    "proof and public values of two inferences": of_another_inference,
    "every public value plus one": value_plus_one,
    "every output negated": value_negated,
    "public values swapped": values_swapped,
    "public values missing or added": other_number_of_values,
}
