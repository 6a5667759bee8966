"""`insecure-dev`: a setup for tests and demonstrations, from a public tau.

The file is reproducible, so attestations made with it are too; it is identified by its tau*G2 like any other ceremony.
A party that knows tau can open a commitment to any value and forge any proof. Here tau is public: a verifier rejects
this setup unless its policy explicitly allows it.
"""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING

from zkinfer.circuits.srs.bn254 import GENERATOR, ORDER, FixedBase, domain_root, generator_g2, invert_all, multiply_g2
from zkinfer.circuits.srs.file_format import BATCH, encode_g1, encode_g2, require_k
from zkinfer.circuits.storage import atomic_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.circuits.srs.ceremonies import Progress

MAX_DEV_LOG_ROWS = 17
"""The largest size generated on demand, in half a minute; larger ones would take minutes to hours."""
LABEL = "zkinfer insecure-dev trusted setup, version 1: tau is public, so anybody can forge proofs"
TAU = int.from_bytes(hashlib.sha256(LABEL.encode()).digest(), "big") % ORDER
"""The toxic waste of the setup, public by design."""


def generate_insecure_dev(k: int, path: Path, progress: Progress | None = None) -> None:
    """Write the `insecure-dev` setup of 2^k powers to `path` atomically; an existing file is replaced.

    Args:
        k: 1 to 26; the time doubles with each step (seconds at 15, minutes from 20 on).
        path: the destination; its folder must exist.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: k is out of range, or the file cannot be written.
    """
    require_k(k)
    table = FixedBase(GENERATOR, _window(k))
    with atomic_file(path) as file:
        file.write(k.to_bytes(4, "little"))
        done = 0
        for scalars in chain(_geometric(k, TAU), _lagrange(k)):
            file.write(encode_g1(table.multiply_all(scalars)))
            done += len(scalars)
            if progress is not None:
                progress(done / (2 << k))
        file.write(encode_g2(generator_g2()) + encode_g2(multiply_g2(TAU)))


def _lagrange(k: int) -> Iterator[list[int]]:
    """l_i(tau) = (w^i / n) (tau^n - 1) / (tau - w^i), in batches."""
    size = 1 << k
    scale = (pow(TAU, size, ORDER) - 1) * pow(size, -1, ORDER) % ORDER
    for roots in _geometric(k, domain_root(k)):
        inverses = invert_all([TAU - root for root in roots], ORDER)
        yield [root * scale * inverse % ORDER for root, inverse in zip(roots, inverses, strict=True)]


def _geometric(k: int, base: int) -> Iterator[list[int]]:
    """The powers base^0 .. base^(2^k - 1), in batches."""
    power = 1
    for first in range(0, 1 << k, BATCH):
        batch = []
        for _ in range(first, min(first + BATCH, 1 << k)):
            batch.append(power)
            power = power * base % ORDER
        yield batch


def _window(k: int) -> int:
    """Bits per digit that balance the size of the table with the additions it saves."""
    return min(14, max(3, k - 2))
