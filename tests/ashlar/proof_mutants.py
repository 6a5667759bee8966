"""Mutants of good proofs, of their statements and of their keys: any number, which follow from a seed.

Each is about a stored vector. Half of the changes that leave the shape of a proof are followed by a new hint, because
step 11 would refuse them before the pairing is asked.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from tests.ashlar import cases
from tests.ashlar.numbers import packed
from tests.ashlar.prover import Prover

from zkinfer.circuits.srs import bn254
from zkinfer.verifier.ashlar import MalformedKeyError
from zkinfer.verifier.ashlar.group import BN254

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.ashlar.cases import Case

SOURCES = (
    "cell_committed_1",
    "cnn_private_1",
    "cnn_public_1",
    "gemm_five_committed_1",
    "mlp_committed_1",
    "mlp_private_1",
    "mlp_public_1",
    "saturated_public_1",
    "wide_public_1",
)
"""Small vectors of all modes; no proof of theirs holds under another one's key."""
OTHER_CONTEXT = b"\2" * 32
POINT, WORD = 64, 32


class Mutant(NamedTuple):
    """A change by its kind, and the changed case."""

    kind: str
    case: Case


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """So many mutants, none of which is a good case."""
    random, made = Random(seed), 0
    while made < count:
        good = source(random.choice(SOURCES))
        kind = random.choice(list(KINDS))
        case = KINDS[kind](random, good)
        if random.random() < 0.5:
            case = hinted(case)
        if _contents(case) != _contents(good):
            made += 1
            yield Mutant(kind, case)


def _contents(case: Case) -> tuple[object, ...]:
    return case.key, case.context, case.inputs, case.outputs, case.proof


def every_bit(good: Case) -> Iterator[Mutant]:
    """Each single bit of proof, context, inputs, outputs (of 256 bits each) and key changed."""
    for field in ("proof", "context", "inputs", "key"):
        data = getattr(good, field)
        for place in range(8 * len(data)):
            changed = bytearray(data)
            changed[place // 8] ^= 0x80 >> place % 8
            yield Mutant(field, good.changed("", **{field: bytes(changed)}))
    for at, value in enumerate(good.outputs):
        for place in range(256):
            word = ((value % (1 << 256)) ^ 1 << place).to_bytes(32, "big")
            outputs = (*good.outputs[:at], int.from_bytes(word, "big", signed=True), *good.outputs[at + 1 :])
            yield Mutant("outputs", good.changed("", outputs=outputs))


@cache
def source(name: str) -> Case:
    """A vector with the real group, whose last step is a pairing."""
    return cases.load(name)[0].changed("", group=BN254)


@cache
def another(good: Case) -> Case:
    """A good proof under the same key, of another input for another context."""
    key, name = good.read(), good.name.split()[0]
    values = cases.load(name)[1]
    prover = Prover(key.header, key.program, values["weights"], cases.KNOWN_TAU)
    return prover.prove(values["input"][::-1], OTHER_CONTEXT)


def hinted(case: Case) -> Case:
    """The case with the right hint, if there is a place for one."""
    try:
        fits = case.places()[-1][1] == len(case.proof)
    except MalformedKeyError:
        return case
    return case.with_hint().changed("") if fits else case


def _put(case: Case, at: int, data: bytes) -> Case:
    return case.splice("", at, len(data), data)


def _word(random: Random, case: Case) -> tuple[int, int, int]:
    """Where a word begins, its number, and the modulus of its kind; as often of the second sumcheck or behind it."""
    words = list(case.words())
    at, kind = random.choice(random.choice((words, words[-len(words) // 2 :])))
    return at, int.from_bytes(case.proof[at : at + WORD], "big"), bn254.ORDER if kind == "scalar" else bn254.FIELD


def _point(random: Random, case: Case) -> int:
    """Where a point begins."""
    return random.choice([at for at, kind in case.words() if kind == "x"])


def _flipped(random: Random, data: bytes, bits: int = 1) -> bytes:
    changed = bytearray(data)
    for _ in range(bits):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


# --- of the proof


def bit(random: Random, case: Case) -> Case:
    return case.changed("", proof=_flipped(random, case.proof))


def bits(random: Random, case: Case) -> Case:
    return case.changed("", proof=_flipped(random, case.proof, random.randrange(2, 9)))


def modulus_added(random: Random, case: Case) -> Case:
    at, value, _ = _word(random, case)
    other = (value + random.choice((1, -1, 2, -2)) * random.choice((bn254.ORDER, bn254.FIELD))) % (1 << 256)
    return _put(case, at, other.to_bytes(WORD, "big"))


def word_moved(random: Random, case: Case) -> Case:
    """Another number below the modulus."""
    at, value, modulus = _word(random, case)
    others = (value + 1, value - 1, -value, 2 * value, 0, 1, modulus - 1, random.randrange(modulus))
    return _put(case, at, (random.choice(others) % modulus).to_bytes(WORD, "big"))


def words_swapped(random: Random, case: Case) -> Case:
    size = random.choice((WORD, POINT))
    first, second = (WORD * random.randrange(len(case.proof) // WORD - 1) for _ in range(2))
    one, other = case.proof[first : first + size], case.proof[second : second + size]
    return _put(_put(case, first, other), second, one)


def word_copied(random: Random, case: Case) -> Case:
    at, other = (WORD * random.randrange(len(case.proof) // WORD) for _ in range(2))
    return _put(case, at, case.proof[other : other + WORD])


def points_swapped(random: Random, case: Case) -> Case:
    first, second = _point(random, case), _point(random, case)
    one, other = case.proof[first : first + POINT], case.proof[second : second + POINT]
    return _put(_put(case, first, other), second, one)


def point_moved(random: Random, case: Case) -> Case:
    """Another point of the group."""
    at = _point(random, case)
    point = BN254.decode(case.proof[at : at + POINT])
    factor, more = random.choice(((-1, 0), (2, 0), (1, 1), (0, 0), (0, 1), (random.randrange(bn254.ORDER), 1)))
    return _put(case, at, packed(BN254.combine([(factor, point), (more, bn254.GENERATOR)])))


def point_off_curve(random: Random, case: Case) -> Case:
    at = _point(random, case) + random.choice((0, WORD))
    return _put(case, at, random.randrange(bn254.FIELD).to_bytes(WORD, "big"))


def cut_or_longer(random: Random, case: Case) -> Case:
    at, size = random.randrange(len(case.proof)), random.choice((1, 31, WORD, POINT, 3 * WORD))
    if random.random() < 0.3:
        return case.changed("", proof=case.proof[:at])
    whole = at - at % WORD
    insert = random.choice((b"", bytes(size), random.randbytes(size)))
    return case.splice("", random.choice((at, whole, len(case.proof))), 0 if insert else size, insert)


def message_of_another_proof(random: Random, case: Case) -> Case:
    """Some messages of another good proof under the same key."""
    places, proof = case.places(), case.proof
    other = another(case).proof
    for start, end in random.sample(places, random.randrange(1, len(places))):
        proof = proof[:start] + other[start:end] + proof[end:]
    return case.changed("", proof=proof)


def another_statement(random: Random, case: Case) -> Case:
    """The proof with some parts of the statement of another good one."""
    other = another(case)
    fields = random.sample(["context", "inputs", "outputs"], random.randrange(1, 4))
    return case.changed("", **{field: getattr(other, field) for field in fields})


# --- of the statement


def context_changed(random: Random, case: Case) -> Case:
    return case.changed("", context=random.choice((_flipped(random, case.context), random.randbytes(32), bytes(32))))


def inputs_changed(random: Random, case: Case) -> Case:
    if not case.inputs or random.random() < 0.2:
        return case.changed("", inputs=case.inputs + random.randbytes(random.choice((1, 2, WORD))))
    others = (_flipped(random, case.inputs), case.inputs[::-1], case.inputs[:-1], bytes(len(case.inputs)))
    return case.changed("", inputs=random.choice(others))


def outputs_changed(random: Random, case: Case) -> Case:
    outputs = list(case.outputs)
    if random.random() < 0.2:
        changed = random.choice((outputs[:-1], [*outputs, 0], [], [*outputs, *outputs], outputs[::-1]))
        return case.changed("", outputs=tuple(changed))
    at, value = random.randrange(len(outputs)), random.choice(outputs)
    steps = (1, -1, -2 * value, 1 << random.randrange(1, 60), 1 << 60, -1 << 60, bn254.ORDER, -bn254.ORDER, 1 << 63)
    outputs[at] += random.choice(steps)
    return case.changed("", outputs=tuple(outputs))


# --- of the key


def key_bit(random: Random, case: Case) -> Case:
    return case.changed("", key=_flipped(random, case.key))


def key_byte_moved(random: Random, case: Case) -> Case:
    """A byte of the header or of the program one more or less."""
    program = 160 + POINT * case.read().header.chunks
    changed = bytearray(case.key)
    at = random.choice((*range(16, 32), *range(program, len(case.key))))
    changed[at] = (changed[at] + random.choice((1, -1))) % 256
    return case.changed("", key=bytes(changed))


def key_point_moved(random: Random, case: Case) -> Case:
    """Another commitment to the weights."""
    at = 160 + POINT * random.randrange(case.read().header.chunks)
    point = BN254.decode(case.key[at : at + POINT])
    factor, more = random.choice(((-1, 0), (2, 0), (1, 1), (0, 1)))
    other = packed(BN254.combine([(factor, point), (more, bn254.GENERATOR)]))
    return case.changed("", key=case.key[:at] + other + case.key[at + POINT :])


def key_cut_or_longer(random: Random, case: Case) -> Case:
    at, size = WORD * random.randrange(len(case.key) // WORD), random.choice((1, WORD, POINT))
    insert = random.choice((b"", bytes(size), case.key[at : at + size]))
    return case.changed("", key=case.key[:at] + insert + case.key[at + (0 if insert else size) :])


def another_key(random: Random, case: Case) -> Case:
    others = [source(name).key for name in SOURCES]
    return case.changed("", key=random.choice([key for key in others if key != case.key]))


KINDS: dict[str, Callable[[Random, Case], Case]] = {
    "a bit of the proof flipped": bit,
    "several bits of the proof flipped": bits,
    "a modulus added to a word or subtracted": modulus_added,
    "a word replaced by another below its modulus": word_moved,
    "words swapped": words_swapped,
    "a word copied over another": word_copied,
    "points swapped": points_swapped,
    "a point replaced by another of the group": point_moved,
    "a coordinate replaced": point_off_curve,
    "proof cut or longer": cut_or_longer,
    "messages of another proof under the same key": message_of_another_proof,
    "parts of the statement of another proof": another_statement,
    "context changed": context_changed,
    "inputs changed": inputs_changed,
    "outputs changed": outputs_changed,
    "a bit of the key flipped": key_bit,
    "a byte of header or program one more or less": key_byte_moved,
    "a commitment of the key replaced": key_point_moved,
    "key cut or longer": key_cut_or_longer,
    "key of another program": another_key,
}
