"""Give every bad proof of the corpus to every verifier of proofs: `python -m benchmarks.bad_proofs`.

Prints the section "Bad proofs" and writes it into docs/measurements/reliability.md. Needs Ashlar's core, and node and
the npm packages of contracts/, since the contracts run on anvil. Takes ten minutes on two idle cores. Tests repeat it
with fewer questions to the slowest verifier, and compare the page with their results.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from benchmarks.gas import anvil
from benchmarks.sections import write_section
from tests.integration import bench
from tests.integration.corpus import KINDS
from tests.integration.judges import Auditor, Contracts, RealEngine, SecondOpinion

from zkinfer.prover import Prover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.integration.corpus import Cases
    from tests.integration.judges import Verdicts

    from zkinfer.circuits import Circuit, Home
    from zkinfer.circuits.engines.base import Proof

PAGE = Path(__file__).parents[1] / "docs/measurements/reliability.md"
TITLE = "## Bad proofs"
HONEST: Final = "none: honest proofs"
OTHER_LENGTHS: Final = "cut or extended"
IMAGES: Final = 10
ENGINE, VERIFIER, SECOND, CONTRACTS = JUDGES = ("engine", "verifier", "second opinion", "contracts")
AGREEING: Final = JUDGES[1:]
"""Whoever decides; the engine alone is asked by the verifier, after it compared lengths."""
INTRODUCTION = """\
Honest proofs of the demo's digits model are changed in every way that a verifier must notice. Each is given to the
*engine* alone; to all steps of `Verifier.verify`, in an attestation that the attacker signed (*verifier*); to the
*second opinion* alone, which is the generated contract in an EVM of this process for ezkl, and the verifier in Python
for Ashlar; and to the router on a chain, with the contracts behind it (*contracts*). `python -m benchmarks.bad_proofs`
writes this section. `tests/integration/test_agreement.py` repeats it and compares it with this page; it asks ezkl's
second opinion about a part of each kind, and in the nightly run about every case."""
TRAILING = """\
ezkl's own `verify` accepts bytes behind a proof. The verifier compares the length in step 6, and the contracts too."""


class Judge(Protocol):
    """A verifier of proofs."""

    def verdicts(self, cases: Cases) -> Verdicts:
        """For every case `accepted`, `refused`, or another answer."""
        ...


@dataclass
class Row:
    """One kind of change: how many cases, how many each judge was asked about and refused, and how many agreed."""

    kind: str
    cases: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    agree: int = 0
    odd: list[str] = field(default_factory=list)

    def add(self, cases: Cases, found: Mapping[str, Verdicts]) -> None:
        """Count the verdicts on all cases; whoever was not asked about a case is not in its verdicts."""
        self.cases += len(cases)
        for name in cases:
            verdicts = {judge: told[name] for judge, told in found.items() if name in told}
            self.asked.update(list(verdicts))
            self.refused.update(judge for judge, verdict in verdicts.items() if verdict == "refused")
            deciding = {verdicts[judge] for judge in AGREEING if judge in verdicts}
            self.agree += len(deciding) == 1
            if self._is_odd(verdicts, deciding):
                self.odd.append(f"{self.kind}, {name}: {verdicts}")

    def _is_odd(self, verdicts: Verdicts, deciding: set[str]) -> bool:
        wanted = "accepted" if self.kind == HONEST else "refused"
        engine = verdicts.get(ENGINE, wanted) != wanted and self.kind != OTHER_LENGTHS
        return deciding != {wanted} or engine

    def cells(self) -> str:
        """Its numbers in the table."""
        numbers = (self.cases, *(self.refused[judge] for judge in JUDGES), self.agree)
        return " | ".join(f"{number:,}" for number in numbers)


def main() -> None:
    rows: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        home = bench.home_in(Path(scratch))
        for circuit in (bench.digits_circuit(Path(scratch)), bench.digits_under_ashlar(Path(scratch))):
            for chain in anvil():
                judges = judges_of(home, circuit) | {CONTRACTS: Contracts(chain, circuit)}
                rows[circuit.manifest.recipe.engine] = tally(judges, circuit, proofs_of(home, circuit, IMAGES))
    text = section(rows)
    print(text)
    write_section(PAGE, text)
    if found := [line for part in rows.values() for line in odd(part)]:
        sys.exit("\n".join(found[:20]))


def judges_of(home: Home, circuit: Circuit) -> dict[str, Judge]:
    """Those that need no chain."""
    return {ENGINE: RealEngine(home, circuit), VERIFIER: Auditor(home, circuit), SECOND: SecondOpinion(circuit)}


def proofs_of(home: Home, circuit: Circuit, images: int) -> list[Proof]:
    """Honest proofs of the first images."""
    prover = Prover(home=home)
    return [bench.proof_of(prover.prove(circuit, bench.image(number), bench.CONTEXT)) for number in range(images)]


def tally(
    judges: Mapping[str, Judge], circuit: Circuit, proofs: list[Proof], most: Mapping[str, int] | None = None
) -> list[Row]:
    """All verdicts by kind, the honest proofs first; `most` says about how many of a kind to ask some judges."""
    return [_row(kind, cases, judges, most or {}) for kind, cases in kinds(circuit, proofs)]


def kinds(circuit: Circuit, proofs: list[Proof]) -> Iterator[tuple[str, Cases]]:
    """The honest proofs, and those of the corpus; raises ValueError if a change changes nothing."""
    yield HONEST, {f"image {number}": proof for number, proof in enumerate(proofs)}
    for kind, change in KINDS.items():
        cases = change(proofs[0], proofs[1], circuit.manifest.program.layout)
        if proofs[0] in cases.values():
            raise ValueError(f"{kind}: no change")
        yield kind, cases


def _row(kind: str, cases: Cases, judges: Mapping[str, Judge], most: Mapping[str, int]) -> Row:
    row = Row(kind)
    asked = {name: thinned(cases, most.get(name, len(cases))) for name in judges}
    row.add(cases, {name: judge.verdicts(asked[name]) for name, judge in judges.items()})
    print(f"{row.kind} | {row.cells()}", file=sys.stderr, flush=True)
    return row


def thinned(cases: Cases, most: int) -> Cases:
    """At most so many cases, spread evenly."""
    names = list(cases)
    chosen = names if len(names) <= most else [names[number * len(names) // most] for number in range(most)]
    return {name: cases[name] for name in chosen}


def odd(rows: list[Row]) -> list[str]:
    """The cases with another verdict than they should have, or about which verifiers differ."""
    return [line for row in rows for line in row.odd]


def section(rows: Mapping[str, list[Row]]) -> str:
    """The section of the page, with the numbers of all engines side by side."""
    heads = [f"{engine}: cases | " + " | ".join((*JUDGES, "agree")) for engine in rows]
    lines = [TITLE, "", INTRODUCTION, "", f"| refused: | {' | '.join(heads)} |"]
    lines.append("| --- " + "| ---: " * (len(JUDGES) + 2) * len(rows) + "|")
    lines += [line(same) for same in zip(*(with_total(part) for part in rows.values()), strict=True)]
    lines += ["", *(f"- {engine}: {_summary(part[0], total(part[1:]))}" for engine, part in rows.items())]
    return "\n".join([*lines, "", TRAILING, ""])


def line(same: Sequence[Row]) -> str:
    """A line of the table: the rows of one kind, of all engines."""
    return f"| {same[0].kind} | {' | '.join(row.cells() for row in same)} |"


def with_total(rows: list[Row]) -> list[Row]:
    """The rows, and the sum of the bad proofs."""
    return [*rows, total(rows[1:])]


def _summary(honest: Row, bad: Row) -> str:
    accepted = honest.cases - honest.refused[VERIFIER]
    agree, cases = honest.agree + bad.agree, honest.cases + bad.cases
    return (
        f"honest proofs accepted {accepted:,} of {honest.cases:,}, bad proofs refused {bad.refused[VERIFIER]:,} of "
        f"{bad.cases:,};\n  verifier, second opinion and contracts agree on {100 * agree / cases:g} % of the cases."
    )


def total(rows: list[Row]) -> Row:
    """The sum of rows."""
    whole = Row("all bad proofs")
    for row in rows:
        whole.cases += row.cases
        whole.asked += row.asked
        whole.refused += row.refused
        whole.agree += row.agree
        whole.odd += row.odd
    return whole


if __name__ == "__main__":
    main()
