"""Give mutants of Ashlar proofs to its three verifiers: `python -m benchmarks.ashlar_mutants [--count N] [--seed N]`.

Writes the section "Mutants of Ashlar proofs" of docs/measurements/reliability.md. Needs Ashlar's core, and anvil from
the npm packages of contracts/. A nightly test compares the page with its own results.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
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
COUNT, SEED = 10_000, 1
BITS_OF = "mlp_public_1"
TITLE = "## Mutants of Ashlar proofs"
INTRODUCTION = """\
Good proofs of {sources} stored networks, in all three modes, changed at random ({count:,} mutants, seed {seed}), and a
small one with every single bit of proof, context, inputs, outputs and key changed in turn. Each is given to all three
verifiers: the core in Rust, the verifier in Python with the real pairing, and `AshlarVerifier` on anvil. Half of the
changes of a proof come with a new hint; otherwise step 11 would refuse them before the pairing is asked. The verifiers
*agree* if all accept, or if both that tell name the same step of section 7.1 and the contract's error stands for it.
`python -m benchmarks.ashlar_mutants` writes this section, a nightly test compares it with its own results, and each run
of the tests repeats the first {short}."""
SHORT = 300
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    with anvil_node() as node:
        contract = Contract(node)
        rows = tally(proof_mutants.mutants(options.seed, options.count), contract)
        bits = tally(proof_mutants.every_bit(proof_mutants.source(BITS_OF)), contract)
    text = section(rows, bits, options.count, options.seed)
    print(text)
    write_section(PAGE, text)
    if odd := [line for one in (*rows.values(), *bits.values()) for line in one.odd]:
        sys.exit("\n".join(["accepted, or no agreement:", *odd[:20]]))


def tally(mutants: Iterable[Mutant], contract: Contract) -> dict[str, Tally]:
    """The verdicts on all mutants, by kind."""
    rows: dict[str, Tally] = {}
    told = list(mutants)
    found = verifiers.verdicts([mutant.case for mutant in told], contract)
    for mutant, verdicts in zip(told, found, strict=True):
        rows.setdefault(mutant.kind, Tally()).add(mutant, verdicts)
    return rows


def section(rows: dict[str, Tally], bits: dict[str, Tally], count: int, seed: int) -> str:
    """The section of the page."""
    sources = len(proof_mutants.SOURCES)
    lines = [
        TITLE,
        "",
        INTRODUCTION.format(sources=sources, count=count, seed=seed, short=SHORT),
        "",
        HEAD,
        "| --- " + "| ---: " * 5 + "|",
    ]
    lines += [rows[kind].row(kind) for kind in sorted(rows)]
    lines += [total(rows).row("all mutants")]
    lines += [bits[kind].row(f"each bit of the {kind}") for kind in bits]
    lines += [total(bits).row("all bits"), "", "| refused in step | mutants | bits |", "| --- | ---: | ---: |"]
    steps, of_bits = total(rows).steps, total(bits).steps
    for step in sorted(steps | of_bits, key=lambda name: int(name.split()[-1])):
        lines.append(f"| {step.split()[-1]} | {steps[step]:,} | {of_bits[step]:,} |")
    return "\n".join(lines) + "\n"


def total(rows: dict[str, Tally]) -> Tally:
    """The sum of all kinds."""
    whole = Tally()
    for row in rows.values():
        whole.cases += row.cases
        whole.agree += row.agree
        whole.refused += row.refused
        whole.steps += row.steps
    return whole


if __name__ == "__main__":
    main()
