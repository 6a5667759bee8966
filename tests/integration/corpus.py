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

    from zkinfer.circuits.statement import Layout

Q: Final = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
"""The order of the field of coordinates; `field.MODULUS` is that of evaluations and public values."""
Cases = dict[str, Proof]
_SWAPPED = ((0, 2), (1, 3), (44, 45), (46, 47), (-4, -2), (0, -1))
"""Words by their places, which count from the end if negative."""


def words(proof: Proof) -> range:
    return range(len(proof.data) // 32)


def word(proof: Proof, place: int) -> int:
    return int.from_bytes(proof.data[32 * place : 32 * place + 32], "big")


def with_word(proof: Proof, place: int, value: int) -> Proof:
    data = proof.data[: 32 * place] + value.to_bytes(32, "big") + proof.data[32 * place + 32 :]
    return Proof(data, proof.statement)


def points(proof: Proof) -> list[tuple[int, int, int]]:
    """The points among the pairs of words: the place of the first word, and both coordinates."""
    pairs = [(place, word(proof, place), word(proof, place + 1)) for place in words(proof)[:-1]]
    return [(place, x, y) for place, x, y in pairs if max(x, y) < Q and (y * y - x * x * x - 3) % Q == 0]


def stating(proof: Proof, **changes: Any) -> Proof:
    """The proof with another statement."""
    return Proof(proof.data, replace(proof.statement, **changes))


def with_output(proof: Proof, place: int, value: int) -> Proof:
    outputs = proof.statement.outputs
    return stating(proof, outputs=(*outputs[:place], value, *outputs[place + 1 :]))


def with_input(proof: Proof, place: int, value: int, layout: Layout) -> Proof:
    """For public inputs."""
    width, inputs = layout.input_width, proof.statement.inputs
    packed = value.to_bytes(width, "big", signed=layout.signed)
    return stating(proof, inputs=inputs[: width * place] + packed + inputs[width * (place + 1) :])


def with_limb(proof: Proof, place: int) -> Proof:
    """With one bit flipped in the limb that the engine takes from the context."""
    context = int.from_bytes(proof.statement.context, "big") ^ 1 << (256 - 26 * (place + 1))
    return stating(proof, context=context.to_bytes(32, "big"))


def flipped(proof: Proof, *_: object) -> Cases:
    bits = {f"word {place}, bit {7 * place % 256}": (place, 1 << 7 * place % 256) for place in words(proof)}
    return {name: with_word(proof, place, word(proof, place) ^ bit) for name, (place, bit) in bits.items()}


def plus_a_modulus(proof: Proof, *_: object) -> Cases:
    """The second spelling of every coordinate and evaluation."""
    places = itertools.product(words(proof), (("r", instances.MODULUS), ("q", Q)))
    sums = {f"word {place} + {name}": (place, word(proof, place) + modulus) for place, (name, modulus) in places}
    return {name: with_word(proof, place, value) for name, (place, value) in sums.items() if value < 1 << 256}


def zeroed(proof: Proof, *_: object) -> Cases:
    return {f"zero {place}": with_word(proof, place, 0) for place in words(proof) if word(proof, place)}


def at_infinity(proof: Proof, *_: object) -> Cases:
    places = {*words(proof)[:-1:2], *(place for place, _x, _y in points(proof))}
    return {
        f"infinity {place}": with_word(with_word(proof, place, 0), place + 1, 0)
        for place in sorted(places)
        if word(proof, place) or word(proof, place + 1)
    }


def negated(proof: Proof, *_: object) -> Cases:
    """Valid curve points, but other ones."""
    return {f"point {place}": with_word(proof, place + 1, Q - y) for place, _x, y in points(proof)}


def off_curve(proof: Proof, *_: object) -> Cases:
    return {f"point {place}": with_word(proof, place + 1, (y + 1) % Q) for place, _x, y in points(proof)}


def swapped(proof: Proof, *_: object) -> Cases:
    count = len(words(proof))
    places = [(first % count, second % count) for first, second in _SWAPPED]
    return {
        f"{first} and {second}": with_word(with_word(proof, first, word(proof, second)), second, word(proof, first))
        for first, second in places
    }


def of_another_length(proof: Proof, *_: object) -> Cases:
    cut = {f"{change} bytes": Proof(proof.data[:change], proof.statement) for change in (-len(proof.data), -32, -1)}
    return cut | {f"+{more} bytes": Proof(proof.data + bytes(more), proof.statement) for more in (1, 32, 64)}


def of_another_inference(proof: Proof, other: Proof, _: Layout) -> Cases:
    return {"proof": Proof(other.data, proof.statement), "public values": Proof(proof.data, other.statement)}


def value_plus_one(proof: Proof, _: Proof, layout: Layout) -> Cases:
    outputs = proof.statement.outputs
    inputs = enumerate(layout.unpack(proof.statement.inputs))
    return {
        **{f"input {place}": with_input(proof, place, value + 1, layout) for place, value in inputs},
        **{f"output {place}": with_output(proof, place, value + 1) for place, value in enumerate(outputs)},
        **{f"limb {place} of the context": with_limb(proof, place) for place in range(5)},
    }


def value_plus_the_modulus(proof: Proof, *_: object) -> Cases:
    """Other integers that are the same field elements; packed inputs have no room for them."""
    outputs = proof.statement.outputs
    sums = {
        f"output {place} {sign} r": (place, value + change)
        for place, value in enumerate(outputs)
        for sign, change in (("+", instances.MODULUS), ("-", -instances.MODULUS))
    }
    return {name: with_output(proof, *change) for name, change in sums.items()}


def value_negated(proof: Proof, *_: object) -> Cases:
    return {
        f"output {place}": with_output(proof, place, -value)
        for place, value in enumerate(proof.statement.outputs)
        if value
    }


def values_swapped(proof: Proof, *_: object) -> Cases:
    outputs, inputs = proof.statement.outputs, proof.statement.inputs
    return {
        "outputs 0 and 1": stating(proof, outputs=(outputs[1], outputs[0], *outputs[2:])),
        "outputs 8 and 9": stating(proof, outputs=(*outputs[:8], outputs[9], outputs[8])),
        "inputs reversed": stating(proof, inputs=inputs[::-1]),
    }


def other_number_of_values(proof: Proof, _: Proof, layout: Layout) -> Cases:
    outputs, inputs, one = proof.statement.outputs, proof.statement.inputs, bytes(layout.input_width)
    return {
        "one output": stating(proof, outputs=outputs[:1]),
        "an output less": stating(proof, outputs=outputs[:-1]),
        "an output more": stating(proof, outputs=(*outputs, 0)),
        "no inputs": stating(proof, inputs=b""),
        "a byte less": stating(proof, inputs=inputs[:-1]),
        "an input more": stating(proof, inputs=inputs + one),
        "an input for an output": stating(proof, inputs=inputs + one, outputs=outputs[:-1]),
    }


KINDS: Final[dict[str, Callable[[Proof, Proof, Layout], Cases]]] = {
    "a bit flipped in every word": flipped,
    "every word plus either modulus": plus_a_modulus,
    "every word zeroed": zeroed,
    "every pair of words the point at infinity": at_infinity,
    "every point negated": negated,
    "every point off the curve": off_curve,
    "words swapped": swapped,
    "cut or extended": of_another_length,
    "proof and public values of two inferences": of_another_inference,
    "every public value plus one": value_plus_one,
    "every output plus or minus the modulus": value_plus_the_modulus,
    "every output negated": value_negated,
    "public values swapped": values_swapped,
    "public values missing or added": other_number_of_values,
}
