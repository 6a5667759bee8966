"""Give mutants of Ashlar proofs to its three verifiers: `python -m benchmarks.ashlar_mutants [--seeds N] [--jobs N]`.

Writes the section "Mutants of Ashlar proofs" of docs/measurements/reliability.md. Needs Ashlar's core, and anvil from
the npm packages of contracts/. The defaults take a quarter of an hour on two idle cores.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gas import anvil_node
from benchmarks.sections import write_section
from tests.ashlar import proof_mutants, verifiers
from tests.ashlar.verifiers import ACCEPTED, Contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.ashlar.proof_mutants import Mutant

PAGE = Path(__file__).parents[1] / "docs/measurements/reliability.md"
SEEDS, PER_SEED, SLICES, SHORT = 40, 250, 24, 250
BITS_OF = "mlp_public_1"
TITLE = "## Mutants of Ashlar proofs"
INTRODUCTION = """\
Good proofs of {sources} stored networks, in all three modes, changed at random ({count:,} mutants, from {seeds} seeds),
and a small one with {bits:,} single bits of proof, context, inputs, outputs and key changed in turn. Each is given to
all three verifiers: the core in Rust, the verifier in Python with the real pairing, and `AshlarVerifier` on anvil. Half
of the changes of a proof come with a new hint; otherwise step 11 would refuse them before the pairing is asked. The
verifiers *agree* if all accept, or if both that tell name the same step of section 7.1 and the contract's error stands
for it. `python -m benchmarks.ashlar_mutants` writes this section; each run of the tests repeats the first {short}
mutants, and the nightly run has 10,000 and every bit."""
HEAD = "| change | cases | refused by the core | by Python | by the contract | agree |"


@dataclass
class Tally:
    """One kind of change: how many cases, how many of them each verifier refused, and how often all agreed."""

    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    agree: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)

    def add(self, mutant: Mutant, found: verifiers.Verdicts) -> None:
        """Count the verdicts on a mutant."""
        self.cases += 1
        self.agree += found.agree
        self.steps[found.python] += 1
        self.refused.update(name for name, verdict in found._asdict().items() if verdict != ACCEPTED)
        if ACCEPTED in found or not found.agree:
            self.odd.append(f"{mutant.kind} of {mutant.case.name}: {found}")

    def row(self, title: str) -> str:
        """The row of the table."""
        numbers = (self.cases, *(self.refused[name] for name in verifiers.Verdicts._fields), self.agree)
        return f"| {title} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


Rows = dict[str, Tally]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"each gives {PER_SEED} mutants")
    parser.add_argument("--bits", type=int, default=SLICES, help=f"of {SLICES} parts of the bits, how many to change")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    rows, bits = measured(options.seeds, options.bits, options.jobs)
    text = section(rows, bits, options.seeds)
    print(text)
    write_section(PAGE, text)
    if found := odd(rows) + odd(bits):
        sys.exit("\n".join(["accepted, or no agreement:", *found[:20]]))


def measured(seeds: int, slices: int, jobs: int) -> tuple[Rows, Rows]:
    """The verdicts on the mutants of the first seeds, and on those of the first parts of the bits; in processes."""
    rows: Rows = {}
    bits: Rows = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(of_seed, seed) for seed in range(1, seeds + 1)]
        parts += [pool.submit(of_bits, number) for number in range(slices)]
        for place, part in enumerate(parts):
            merge(rows if place < seeds else bits, part.result())
            print(f"{place + 1} of {len(parts)}", file=sys.stderr)
    return rows, bits


def of_seed(seed: int) -> Rows:
    """The verdicts on the mutants of a seed."""
    with anvil_node() as node:
        return tally(proof_mutants.mutants(seed, PER_SEED), Contract(node))


def of_bits(number: int) -> Rows:
    """The verdicts on one part of the bits."""
    every = list(proof_mutants.every_bit(proof_mutants.source(BITS_OF)))
    with anvil_node() as node:
        return tally(every[number::SLICES], Contract(node))


def merge(rows: Rows, more: Rows) -> None:
    """Add verdicts to others."""
    for kind, row in more.items():
        rows[kind] = total([rows.get(kind, Tally()), row])


def odd(rows: Rows) -> list[str]:
    """The mutants that a verifier accepted, or about which they differ."""
    return [line for row in rows.values() for line in row.odd]


def tally(mutants: Iterable[Mutant], contract: Contract) -> Rows:
    """The verdicts on all mutants, by kind."""
    rows: Rows = {}
    told = list(mutants)
    found = verifiers.verdicts([mutant.case for mutant in told], contract)
    for mutant, verdicts in zip(told, found, strict=True):
        rows.setdefault(mutant.kind, Tally()).add(mutant, verdicts)
    return rows


def section(rows: Rows, bits: Rows, seeds: int) -> str:
    """The section of the page."""
    all_rows, all_bits = total(rows.values()), total(bits.values())
    numbers = {"sources": len(proof_mutants.SOURCES), "count": all_rows.cases, "seeds": seeds, "bits": all_bits.cases}
    lines = [TITLE, "", INTRODUCTION.format(**numbers, short=SHORT), "", HEAD, "| --- " + "| ---: " * 5 + "|"]
    lines += [*(rows[kind].row(kind) for kind in sorted(rows)), all_rows.row("all mutants")]
    lines += [bits[kind].row(f"a bit of the {kind}") for kind in sorted(bits)]
    lines += [all_bits.row("all bits"), "", "| refused in step | mutants | bits |", "| --- | ---: | ---: |"]
    for step in sorted(all_rows.steps | all_bits.steps, key=lambda name: int(name.split()[-1])):
        lines.append(f"| {step.split()[-1]} | {all_rows.steps[step]:,} | {all_bits.steps[step]:,} |")
    return "\n".join(lines) + "\n"


def total(rows: Iterable[Tally]) -> Tally:
    """The sum of all."""
    whole = Tally()
    for row in rows:
        whole.cases += row.cases
        whole.agree += row.agree
        whole.refused += row.refused
        whole.steps += row.steps
        whole.odd += row.odd
    return whole


if __name__ == "__main__":
    main()
