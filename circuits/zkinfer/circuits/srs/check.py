"""Check a setup file by its pinned digest or, for other files, by its structure.

Steps of the structural check:

1. the size fits k, and k is in range;
2. the G2 point is the generator, and tau*G2 is in the group;
3. tau*G2 is that of a known ceremony, which identifies the file;
4. every G1 point has canonical coordinates and is on the curve, and the first is the generator;
5. the monomial part holds powers of one tau, that of tau*G2;
6. the Lagrange part belongs to the same tau and to halo2's domain.

Steps 5 and 6 test all points together with random 128-bit weights drawn after the file was written: an invalid file
passes with probability 2^-128. The file is read once, and the returned digest covers the bytes that were checked.

Step 5: sum r_i P_(i+1) = tau * sum r_i P_i, by pairing.
Step 6: with w the root of unity, n = 2^k and L_i = l_i(tau) G, the Lagrange basis is the only solution of
(tau - w^i) L_i = (w^i / n) (tau^n - 1) G. Weighted with u_i and added up, with s = sum u_i w^i / n, this reads
sum u_i w^i L_i - s G = tau * (sum u_i L_i - s P_(n-1)), again by pairing; no Fourier transform is needed.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import sha256_file
from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import ceremonies
from zkinfer.circuits.srs.bn254 import (
    GENERATOR,
    ORDER,
    ORDER_BITS,
    MultiSum,
    Point,
    add,
    domain_root,
    multiply,
    require_g2,
    same_ratio,
)
from zkinfer.circuits.srs.ceremonies import Progress, SetupReport, TrustedSetup
from zkinfer.circuits.srs.file_format import DOWNLOAD_AGAIN, Outline, PointStream, read_outline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from zkinfer.circuits.digest import Digest

CHECKS = ("size", "g2", "ceremony", "g1-on-curve", "powers-of-one-tau", "lagrange-basis")
_WEIGHT_BITS = 128


def identify_setup(path: Path, *, progress: Progress | None = None) -> TrustedSetup:
    """Identify the ceremony of a setup file.

    A digest in a ceremony's table suffices. Otherwise this runs the full structural check, which takes about 0.35 ms
    per power: 2 s for k = 11, 12 s for k = 15, minutes from k = 19 on.

    Args:
        path: the file.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: the file is missing, or `check_setup` rejects it.
    """
    outline = _outline(path)
    digest = hash_setup(path)
    known = ceremonies.with_digest(digest.hex)
    if known is not None:
        return TrustedSetup(known[0].name, known[1], path, digest, known[0].tau_g2)
    _require_known(outline)  # a cheap refusal before the long check
    report = check_setup(path, progress=progress)
    return TrustedSetup(report.ceremony, report.k, path, report.sha256, report.tau_g2)


def hash_setup(path: Path) -> Digest:
    """The sha256 of a file; raises SetupError if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as err:
        raise _unreadable(path, err) from err


def peek_setup(path: Path) -> tuple[ceremonies.Ceremony, int] | None:
    """The ceremony and k that a file claims by its size and tau*G2; None for a file of no known ceremony.

    This does not check the points: use it to select a file, not to trust it.
    """
    try:
        outline = _outline(path)
    except SetupError:
        return None
    ceremony = ceremonies.with_tau_g2(outline.tau_g2)
    return None if ceremony is None else (ceremony, outline.k)


def check_setup(path: Path, *, progress: Progress | None = None) -> SetupReport:
    """Run the full structural check, whether or not the digest is pinned.

    Args:
        path: the file.
        progress: called with the fraction done, from 0 to 1.

    Raises:
        SetupError: the first step of the list above that the file fails.
    """
    with _open(path) as file:
        stream = PointStream(file, path)  # step 1, and the generator of step 2
        outline = stream.outline
        require_g2(outline.tau_g2)
        ceremony = _require_known(outline)
        powers, lagrange = _Powers(outline.k), _Lagrange(outline.k)
        reporter = _BatchProgress(2 << outline.k, progress)
        powers.read(reporter.over(stream.batches("monomial")))
        powers.require_one_tau(outline.tau_g2)
        lagrange.read(reporter.over(stream.batches("Lagrange")))
        lagrange.require_basis(powers.last, outline.tau_g2)
        digest = stream.finish()
    reporter.done()
    return SetupReport(ceremony.name, outline.k, digest, outline.tau_g2, CHECKS)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: OSError) -> SetupError:
    return SetupError(f"Cannot read the setup file {path}: {err.strerror}.", "Check its path and permissions.")


def _outline(path: Path) -> Outline:
    with _open(path) as file:
        return read_outline(file, path.name)


def _require_known(outline: Outline) -> ceremonies.Ceremony:
    ceremony = ceremonies.with_tau_g2(outline.tau_g2)
    if ceremony is None:
        raise SetupError(
            "The setup is from an unknown ceremony: its tau*G2 is not pinned.",
            f"Its author may be able to forge proofs. Use a file of {ceremonies.names()}.",
        )
    return ceremony


class _BatchProgress:
    """Reports progress for each batch of points; only `done` reports 1."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._seen = 0
        self._progress = progress

    def over(self, batches: Iterable[list[Point]]) -> Iterable[list[Point]]:
        for batch in batches:
            yield batch
            self._seen += len(batch)
            self._report(self._seen / (self._total + 1))

    def done(self) -> None:
        self._report(1.0)

    def _report(self, fraction: float) -> None:
        if self._progress is not None:
            self._progress(fraction)


class _Powers:
    """Step 4 for the first point, and step 5: two weighted sums over the monomial part, one shifted by one power."""

    def __init__(self, k: int) -> None:
        self._count = 1 << k
        self._base = MultiSum(_WEIGHT_BITS, _window(k))
        self._shifted = MultiSum(_WEIGHT_BITS, _window(k))
        self.last = GENERATOR

    def read(self, batches: Iterable[list[Point]]) -> None:
        carry = seen = 0
        for points in batches:
            if seen == 0 and points[0] != GENERATOR:
                raise SetupError("The first power of the setup is not the generator of G1.", DOWNLOAD_AGAIN)
            seen += len(points)
            weights = _weights(len(points))
            if seen == self._count:
                weights[-1] = 0  # the last power has no successor
            self._base.add(points, weights)
            self._shifted.add(points, [carry, *weights[:-1]])
            carry, self.last = weights[-1], points[-1]

    def require_one_tau(self, tau_g2: bytes) -> None:
        if not same_ratio(self._shifted.total(), self._base.total(), tau_g2):
            raise SetupError("The monomial part does not hold the powers of the tau in tau*G2.", DOWNLOAD_AGAIN)


class _Lagrange:
    """Step 6: the sums of u_i L_i and of u_i w^i L_i, and s."""

    def __init__(self, k: int) -> None:
        self._count = 1 << k
        self._root = domain_root(k)
        self._plain = MultiSum(_WEIGHT_BITS, _window(k))
        self._rotated = MultiSum(ORDER_BITS, _window(k))
        self._sum = 0

    def read(self, batches: Iterable[list[Point]]) -> None:
        root = 1
        for points in batches:
            weights = _weights(len(points))
            rotated = []
            for weight in weights:
                rotated.append(weight * root % ORDER)
                root = root * self._root % ORDER
            self._plain.add(points, weights)
            self._rotated.add(points, rotated)
            self._sum += sum(rotated)

    def require_basis(self, last_power: Point, tau_g2: bytes) -> None:
        """Compare with the last power P_(n-1) of a monomial part that passed step 5."""
        scale = -self._sum * pow(self._count, -1, ORDER) % ORDER
        shifted = add(self._rotated.total(), multiply(GENERATOR, scale))
        base = add(self._plain.total(), multiply(last_power, scale))
        if not same_ratio(shifted, base, tau_g2):
            raise SetupError("The Lagrange part does not match the monomial part.", DOWNLOAD_AGAIN)


def _weights(count: int) -> list[int]:
    size = _WEIGHT_BITS // 8
    data = secrets.token_bytes(count * size)
    return [int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size)]


def _window(k: int) -> int:
    """Bits per digit that balance the cost of buckets with the additions they save; measured for k = 9 to 15."""
    return min(13, max(4, k - 5))
