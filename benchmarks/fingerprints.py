"""Compare the fingerprint circuit with the standard's own code, and measure what fingerprints tell apart.

    python -m benchmarks.fingerprints [--pictures N] [--proofs N]   # writes docs/measurements/fingerprints.md

Bits of the circuit's integer forward pass are compared with those of `iscc_core`, and some pictures are proven, with
both lengths. Then come the distances between a picture and its changed copies, and between different works.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import iscc_core
import numpy as np
from benchmarks.pictures import CHANGES, pictures, rgb

from zkinfer.circuits.engines.ashlar.engine import AshlarEngine
from zkinfer.circuits.errors import DataError
from zkinfer.circuits.home import Home
from zkinfer.prover import Prover
from zkinfer.works.pixels import normalise
from zkinfer.works.print_model import FRACTION_BITS, coefficients, compile_print, margin
from zkinfer.works.prints import DISTANCE_LIMIT, LEAST_COMPARED, Print, read_print

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.pictures import Picture
    from numpy.typing import NDArray

    from zkinfer.circuits.compile import Compiled
    from zkinfer.works.print_model import Length

PAGE = Path(__file__).parents[1] / "docs/measurements/fingerprints.md"
LENGTHS: tuple[Length, ...] = (64, 256)
CHANGED, BATCH, LOOKUP_LIMIT = 150, 500, 6


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the circuit's bits compare with the standard's, over all pictures that have a print."""

    length: int
    pictures: int
    without_print: int
    wrong_sure: int
    wrong_unsure: int
    unsure: int
    proofs: int
    seconds: float
    gas: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Distances between all pairs of different works, and the least of each pair of kinds."""

    pairs: int
    least: int
    quantiles: tuple[int, int, int]
    flagged: int
    flagged_kinds: dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--proofs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    works = list(pictures(options.pictures, options.seed))
    pixels = np.stack([normalise(rgb(work.image)) for work in works])
    with tempfile.TemporaryDirectory() as scratch:
        agreements = [agreement(pixels, length, options.proofs, Path(scratch)) for length in LENGTHS]
    found = {length: prints(pixels, length) for length in LENGTHS}
    kinds = [work.kind for work in works]
    apart = {length: different_works(found[length], kinds, length) for length in LENGTHS}
    changed = changed_copies(works, options.seed)
    text = page(agreements, changed, apart, kinds, options)
    PAGE.write_text(text)
    print(text)
    if faults := [each for each in agreements if each.wrong_sure]:
        sys.exit(f"{faults[0].wrong_sure} sure bits differ from the standard's.")
    if apart[256].flagged:
        sys.exit(f"{apart[256].flagged} pairs of different works are within the limit.")


def agreement(pixels: NDArray[np.uint8], length: Length, proofs: int, scratch: Path) -> Agreement:
    """Compile the circuit, run its forward pass on every picture and prove some; compare all with `iscc_core`."""
    engine, home = AshlarEngine(), Home(scratch / "home")
    compiled = compile_print(length, scratch / str(length), engine=engine, home=home, setup="insecure-dev")
    outputs = list(forward(engine, compiled, pixels))
    if not np.array_equal(outputs, plain(pixels, length)):
        sys.exit("The circuit's forward pass differs from plain integer arithmetic.")
    began = time.monotonic()
    for place in np.linspace(0, len(pixels) - 1, proofs).astype(int):
        prove(Prover(home=home), compiled, pixels[place], outputs[place])
    seconds = (time.monotonic() - began) / max(1, proofs)
    wrong_sure = wrong_unsure = unsure = missing = 0
    for picture, values in zip(pixels, outputs, strict=True):
        try:
            found = read_print(values)
        except DataError:
            missing += 1
            continue
        official = iscc_core.soft_hash_image_v0(picture.ravel().tolist(), bits=length)
        wrong = found.bits ^ int.from_bytes(official, "big")
        wrong_sure += (wrong & found.sure).bit_count()
        wrong_unsure += (wrong & ~found.sure).bit_count()
        unsure += length - found.sure.bit_count()
    gas = compiled.cost.work.gas
    return Agreement(length, len(pixels), missing, wrong_sure, wrong_unsure, unsure, proofs, seconds, gas)


def forward(engine: AshlarEngine, compiled: Compiled, pixels: NDArray[np.uint8]) -> Iterator[list[int]]:
    """The outputs of the circuit's exact forward pass, which proofs are about."""
    circuit = compiled.circuit
    for start in range(0, len(pixels), BATCH):
        batch = [[picture.ravel().tolist()] for picture in pixels[start : start + BATCH]]
        yield from (outputs[0] for outputs in engine.forward(circuit.folder, circuit.manifest.program, batch))


def prove(prover: Prover, compiled: Compiled, picture: NDArray[np.uint8], outputs: Sequence[int]) -> None:
    """Prove one print, which also verifies it; end the program if it has other outputs than the forward pass."""
    attestation = prover.prove_integers(compiled.circuit, [picture.ravel().tolist()])
    if list(attestation.predicate.statement.outputs) != list(outputs):
        sys.exit("A proof has other outputs than the forward pass.")


def plain(pixels: NDArray[np.uint8], length: Length) -> NDArray[np.int64]:
    return np.stack([coefficients(picture, length) for picture in pixels])


def prints(pixels: NDArray[np.uint8], length: Length) -> list[Print | None]:
    """The print of each picture, None for those that have none."""
    return [_print_or_none(values) for values in plain(pixels, length).tolist()]


def _print_or_none(values: list[int]) -> Print | None:
    try:
        return read_print(values)
    except DataError:
        return None


def different_works(found: Sequence[Print | None], kinds: Sequence[str], length: Length) -> Pairs:
    """Compare each print with all others."""
    there = [(kind, each) for kind, each in zip(kinds, found, strict=True) if each is not None]
    bits, sure = (words([getattr(each, name) for _, each in there], length) for name in ("bits", "sure"))
    histogram = np.zeros(length + 1, np.int64)
    flagged: dict[str, int] = {}
    for place in range(len(there) - 1):
        distance, compared = distances(bits, sure, place)
        histogram += np.bincount(distance, minlength=length + 1)
        for near in np.flatnonzero(flags(distance, compared, length)):
            pair = " and ".join(sorted((there[place][0], there[place + 1 + near][0])))
            flagged[pair] = flagged.get(pair, 0) + 1
    total = int(histogram.sum())
    shares = np.cumsum(histogram) / total
    low, middle, high = (int(np.searchsorted(shares, share)) for share in (1e-6, 1e-3, 0.5))
    return Pairs(total, int(np.flatnonzero(histogram)[0]), (low, middle, high), sum(flagged.values()), flagged)


def words(values: Sequence[int], length: Length) -> NDArray[np.uint64]:
    """`[n, length / 64]`."""
    return np.array([list(np.frombuffer(each.to_bytes(length // 8, "big"), ">u8")) for each in values], np.uint64)


def distances(bits: NDArray[np.uint64], sure: NDArray[np.uint64], place: int) -> tuple[Any, Any]:
    """Between one print and all behind it: different bits that are sure in both, and the number of these."""
    common = sure[place + 1 :] & sure[place]
    different = np.bitwise_count((bits[place + 1 :] ^ bits[place]) & common).sum(axis=1)
    return different.astype(np.int64), np.bitwise_count(common).sum(axis=1)


def flags(distance: NDArray[np.int64], compared: NDArray[np.int64], length: Length) -> NDArray[np.bool_]:
    """Within the limit: of evidence for 256 bits, of the look-up for 64."""
    if length == 64:
        return distance <= LOOKUP_LIMIT
    return (distance <= DISTANCE_LIMIT) & (compared >= LEAST_COMPARED)


def changed_copies(works: Sequence[Picture], seed: int) -> dict[str, dict[Length, list[tuple[int, int]]]]:
    """For each change, the distances between pictures and their changed copies."""
    chosen = list(some_of_each_kind(works, seed))
    before = np.stack([normalise(rgb(work.image)) for work in chosen])
    result: dict[str, dict[Length, list[tuple[int, int]]]] = {}
    for name, change in CHANGES.items():
        after = np.stack([normalise(rgb(change(work.image))) for work in chosen])
        result[name] = {length: list(copies(before, after, length)) for length in LENGTHS}
    return result


def some_of_each_kind(works: Sequence[Picture], seed: int) -> Iterator[Picture]:
    """At most `CHANGED` of each kind."""
    order = np.random.default_rng(seed).permutation(len(works))
    for kind in dict.fromkeys(work.kind for work in works):
        yield from islice((works[place] for place in order if works[place].kind == kind), CHANGED)


def copies(before: NDArray[np.uint8], after: NDArray[np.uint8], length: Length) -> Iterator[tuple[int, int]]:
    for one, other in zip(prints(before, length), prints(after, length), strict=True):
        if one and other:
            common = one.sure & other.sure
            yield ((one.bits ^ other.bits) & common).bit_count(), common.bit_count()


def page(
    agreements: Sequence[Agreement],
    changed: dict[str, dict[Length, list[tuple[int, int]]]],
    apart: dict[Length, Pairs],
    kinds: Sequence[str],
    options: argparse.Namespace,
) -> str:
    short, long = (margin(length) / 2**FRACTION_BITS for length in LENGTHS)
    counted = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))
    command = f"python -m benchmarks.fingerprints --pictures {options.pictures} --proofs {options.proofs}"
    parts = [
        f"""\
# Fingerprints

What the fingerprint circuits ([guide](../guides/fingerprints.md)) say about {len(kinds):,} pictures:
{counted}. Photographs are parts of scikit-learn's sample images that do
not overlap, digits are scaled up from 8 x 8, shapes and textures are made by seed {options.seed}.
`{command}` wrote this page.

## Against the standard

The bits of the circuits' exact integer forward pass, beside those of `iscc_core` for the same pixels. A bit is *sure*
if its coefficient is farther from its block's threshold than the rounding of the matrix can move either:
{short:.4f} for 64 and {long:.4f} for 256 bits, where a coefficient is a sum of 1,024 pixels between 0 and 255. Proofs
were made for some of the pictures, and have the same outputs.

""",
        table(
            ("", *(f"{each.length} bits" for each in agreements)),
            [
                ("pictures", *(f"{each.pictures:,}" for each in agreements)),
                (
                    "without a print, as coefficients tie at a median",
                    *(f"{each.without_print:,}" for each in agreements),
                ),
                ("sure bits that differ from the standard's", *(f"{each.wrong_sure:,}" for each in agreements)),
                ("bits that are not sure", *(f"{each.unsure:,}" for each in agreements)),
                ("of these, different from the standard's", *(f"{each.wrong_unsure:,}" for each in agreements)),
                ("proofs, with equal outputs", *(f"{each.proofs:,}" for each in agreements)),
                ("seconds for a proof", *(f"{each.seconds:.1f}" for each in agreements)),
                ("gas to verify one, predicted", *(f"{each.gas:,}" for each in agreements)),
            ],
        ),
        f"""
## Changed copies

Distances between at most {CHANGED} pictures of each kind and their changed copies, over the bits that are sure in both.
*Found* is the share within the limit of a look-up (64 bits: {LOOKUP_LIMIT}) or of evidence (256 bits: {DISTANCE_LIMIT}
of at least {LEAST_COMPARED} sure bits).

""",
        table(
            ("change", "64 bits: median, 90 %, largest", "found", "256 bits: median, 90 %, largest", "found"),
            [
                (name, *(cell for length in LENGTHS for cell in _cells(by[length], length)))
                for name, by in changed.items()
            ],
        ),
        """
## Different works

All pairs of pictures. A pair within the limit is a false alarm. The limit of evidence is set so that there is none.

""",
        table(
            ("", *(f"{length} bits" for length in LENGTHS)),
            [
                ("pairs", *(f"{apart[length].pairs:,}" for length in LENGTHS)),
                ("least distance", *(str(apart[length].least) for length in LENGTHS)),
                (
                    "one in a million, one in a thousand, median",
                    *(_joined(apart[length].quantiles) for length in LENGTHS),
                ),
                ("false alarms at the limit", *(f"{apart[length].flagged:,}" for length in LENGTHS)),
            ],
        ),
        *(f"\n{length} bits: {_by_kind(apart[length])}\n" for length in LENGTHS if apart[length].flagged),
        """
A fingerprint survives re-encoding, scaling and blur. It does not survive a crop, a mirror or a caption, and an
adversary can make a picture with a chosen fingerprint. A small distance opens a question; it decides nothing.
""",
    ]
    return "".join(parts)


def _cells(found: Sequence[tuple[int, int]], length: Length) -> tuple[str, str]:
    distance, compared = (np.array(column) for column in zip(*found, strict=True))
    share = flags(distance, compared, length).mean()
    return _joined([int(np.quantile(distance, q, method="higher")) for q in (0.5, 0.9, 1)]), f"{share:.0%}"


def _joined(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _by_kind(pairs: Pairs) -> str:
    return "; ".join(f"{count:,} of {kinds}" for kinds, count in sorted(pairs.flagged_kinds.items())) + "."


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (heads, marks, *rows))


if __name__ == "__main__":
    main()
