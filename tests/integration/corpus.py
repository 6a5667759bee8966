"""The corpus of bad proofs: an honest proof, changed in every way that a verifier must notice.

What an attacker can do to a proof and its public values, whoever verifies them. What can be done to an attestation, or
only on a chain, is tried elsewhere.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from zkinfer.circuits import field
from zkinfer.circuits.engines.base import Proof

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
    return Proof(data, proof.instances)


def with_instance(proof: Proof, place: int, value: int) -> Proof:
    return Proof(proof.data, (*proof.instances[:place], value, *proof.instances[place + 1 :]))


def flipped(proof: Proof, _: Proof) -> Cases:
    bits = {f"word {place}, bit {7 * place % 256}": (place, 1 << 7 * place % 256) for place in words(proof)}
    return {name: with_word(proof, place, word(proof, place) ^ bit) for name, (place, bit) in bits.items()}


def plus_a_modulus(proof: Proof, _: Proof) -> Cases:
    """The second spelling of every coordinate and evaluation."""
    places = itertools.product(words(proof), (("r", field.MODULUS), ("q", Q)))
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
    """Points of the curve, but others."""
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
    cut = {f"{change} bytes": Proof(proof.data[:change], proof.instances) for change in (-len(proof.data), -32, -1)}
    return cut | {f"+{more} bytes": Proof(proof.data + bytes(more), proof.instances) for more in (1, 32, 64)}


def of_another_inference(proof: Proof, other: Proof) -> Cases:
    return {"proof": Proof(other.data, proof.instances), "public values": Proof(proof.data, other.instances)}


def value_plus_one(proof: Proof, _: Proof) -> Cases:
    return {
        f"instance {place}": with_instance(proof, place, (value + 1) % field.MODULUS)
        for place, value in enumerate(proof.instances)
    }


def value_plus_the_modulus(proof: Proof, _: Proof) -> Cases:
    return {
        f"instance {place}": with_instance(proof, place, value + field.MODULUS)
        for place, value in enumerate(proof.instances)
    }


def values_swapped(proof: Proof, _: Proof) -> Cases:
    cases = {}
    for first, second in ((69, 70), (77, 78), (5, 69)):
        values = list(proof.instances)
        values[first], values[second] = values[second], values[first]
        cases[f"{first} and {second}"] = Proof(proof.data, tuple(values))
    return cases


def other_number_of_values(proof: Proof, _: Proof) -> Cases:
    counts = (1, len(proof.instances) - 1, len(proof.instances) + 1)
    return {f"{count} values": Proof(proof.data, (*proof.instances, 0)[:count]) for count in counts}


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
    "every public value plus the modulus": value_plus_the_modulus,
    "public values swapped": values_swapped,
    "public values missing or added": other_number_of_values,
}
