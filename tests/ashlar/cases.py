"""Ashlar proofs with their statements, read from vectors, and ways to change them.

The vectors are made under `insecure-dev`, whose tau is public.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from tests.ashlar.numbers import KnownTau
from tests.paths import VECTORS

from zkinfer.verifier.ashlar.statement import Statement
from zkinfer.verifier.ashlar.transcript import Transcript, contents
from zkinfer.verifier.ashlar.verify import read_key, replay

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = VECTORS / "ashlar"
GOOD = tuple(sorted(path.stem for path in FOLDER.glob("*_1.json")))
GIVEN = tuple(name for name in GOOD if name.startswith(("cnn", "mlp")) or name in {"tall_public_1", "wide_public_1"})
"""The vectors of another implementation."""
KNOWN_TAU = KnownTau()


@dataclass(frozen=True)
class Case:
    """What a verifier is given, and the group of its points; `name` says how it was changed."""

    name: str
    group: object
    key: bytes
    context: bytes
    inputs: bytes
    outputs: tuple[int, ...]
    proof: bytes

    def check(self):
        """Verify, and return the values on the way."""
        return replay(self.read(), Statement(self.context, self.inputs, self.outputs), self.proof, self.group)

    def read(self):
        """The decoded key."""
        if (self.key, self.group) not in _READ:
            _READ[self.key, self.group] = read_key(self.key, self.group)
        return _READ[self.key, self.group]

    def changed(self, name, **fields):
        """The case with other fields."""
        return replace(self, name=f"{self.name} {name}", **fields)

    def splice(self, name, at, remove, insert=b""):
        """The case with other bytes in its proof."""
        return self.changed(name, proof=self.proof[:at] + insert + self.proof[at + remove :])

    def places(self):
        """Where each message of the proof begins and ends, as pairs."""
        key = self.read()
        lengths = [64 * points + 32 * scalars for points, scalars in contents(key.sizes, key.header.nb)]
        ends = list(accumulate(lengths))
        return list(zip([0, *ends], ends, strict=False))

    def words(self) -> Iterator[tuple[int, str]]:
        """Each word of the proof: where it begins, and whether it is a scalar or the `x` or `y` of a point."""
        key, place = self.read(), 0
        for points, scalars in contents(key.sizes, key.header.nb):
            for kind in ["x", "y"] * points + ["scalar"] * scalars:
                yield place, kind
                place += 32

    def hint_place(self):
        """Where the hint begins."""
        return self.places()[-3][1] - 32

    def with_hint(self):
        """The case with the hint that fits its zeta, so that step 11 does not hide what comes behind it."""
        key, order = self.read(), self.group.order
        transcript = Transcript(key.digest + Statement(self.context, self.inputs, self.outputs).encode(), order)
        for number, (start, end) in enumerate(self.places()[:-3]):
            zeta = int(transcript.absorb(self.proof[start:end]))
            transcript.many({0: 1, 1: key.sizes.tau + 1}.get(number, 0))
        hint = pow(zeta * (zeta * zeta - 1), -1, order)
        return self.splice("with hint", self.hint_place(), 32, hint.to_bytes(32, "big"))


_READ = {}
"""Keys, decoded once for all proofs that are checked with them."""


def forget_keys():
    """Decode keys again, with the code that there is now."""
    _READ.clear()


def load(name):
    """A good vector as a case, and all of its values."""
    values = json.loads((FOLDER / f"{name}.json").read_text())
    fields = {field: bytes.fromhex(values[field][2:]) for field in ("key", "context", "inputs", "proof")}
    return Case(name, KNOWN_TAU, outputs=tuple(map(int, values["outputs"])), **fields), values


def mangled(case) -> Iterator[Case]:
    """Each word of the proof changed in each way; changes without effect are left out."""
    for at, kind in case.words():
        for name, changed in _ways(case, at, kind):
            if changed.proof != case.proof:
                yield replace(changed, name=f"{case.name} {name} at word {at // 32}")


def _ways(case, at, kind):
    group = case.group
    modulus = group.order if kind == "scalar" else group.modulus
    word = int.from_bytes(case.proof[at : at + 32], "big")

    def put(value):
        return case.splice("", at, 32, (value % (1 << 256)).to_bytes(32, "big"))

    yield ("scalar_plus_r" if kind == "scalar" else "coordinate_plus_p"), put(word + modulus)
    yield "word_zero", put(0)
    yield "word_largest", put(modulus - 1)
    yield "bit_flipped", put(word ^ 1)
    yield "word_swapped", case.splice("", at, 64, case.proof[at + 32 : at + 64] + case.proof[at : at + 32])
    yield "truncated", case.splice("", at, 32)
    yield "extended", case.splice("", at, 0, bytes(32))
    if kind == "scalar":
        yield "scalar_plus_one", put((word + 1) % modulus)
        yield "scalar_negated", put(-word % modulus)
    if kind == "x":
        point = group.decode(case.proof[at : at + 64])
        yield "point_zero", case.splice("", at, 64, bytes(64))
        yield "point_generator", case.splice("", at, 64, group.encode(1))
        yield "point_negated", case.splice("", at, 64, group.negated(point))
    if kind == "y":
        yield "point_off_curve", put((word + 1) % modulus)
