"""Check every bad proof of the corpus with the verifier and the contracts: `python -m benchmarks.bad_proofs`.

Prints the section "Bad proofs" and writes it into docs/measurements/reliability.md. Needs node and the npm packages of
contracts/, since the contracts run on anvil. A test compares the page with its own results.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gas import anvil
from benchmarks.sections import write_section
from tests.integration import bench
from tests.integration.corpus import KINDS
from tests.integration.judges import Auditor, Contracts

from zkinfer.prover import Prover

if TYPE_CHECKING:
    from zkinfer.circuits.engines.base import Proof

PAGE = Path(__file__).parents[1] / "docs/measurements/reliability.md"
TITLE = "## Bad proofs"
INTRODUCTION = """\
An honest proof of the demo's digits model is changed in every way that a verifier must notice, and given to both sides:
to `Verifier.verify` and its engine (*verifier*), and to the router on a chain and the generated verifier behind it
(*contracts*). Both agree on every case. `python -m benchmarks.bad_proofs` writes this table, and
`tests/integration/test_agreement.py` compares it with its own results."""
OUTRO = """\
Attacks that concern only attestations or only chains are tested elsewhere. Forged, missing and foreign signatures,
duplicate keys, oversized files, other versions and recipes: `tests/unit/verifier`,
`tests/integration/test_forgeries.py` and `test_bad_proofs.py`. Other keys and words of keys, shifted calldata at
every entry, replay across chains, ledgers and requests, expired, stopped, removed and revoked: `contracts/test`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of change: how many cases, and how many of them each side refused."""

    kind: str
    cases: int
    verifier: int
    contracts: int


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        rows = measured(Path(scratch))
    text = section(rows)
    print(text)
    write_section(PAGE, text)
    if any(row.verifier != row.cases or row.contracts != row.cases for row in rows[1:]) or rows[0].verifier:
        sys.exit("an honest proof was refused, or a bad one was accepted")


def measured(base: Path) -> list[Row]:
    """All rows, the honest proofs first, on a fresh circuit and a fresh chain."""
    home, circuit = bench.home_in(base), bench.digits_circuit(base)
    prover = Prover(home=home)
    proofs = [bench.proof_of(prover.prove(circuit, bench.image(number), bench.CONTEXT)) for number in (0, 1)]
    for chain in anvil():
        rows = tally(Auditor(home, circuit), Contracts(chain, circuit), *proofs)
    return rows


def tally(auditor: Auditor, contracts: Contracts, proof: Proof, other: Proof) -> list[Row]:
    """Count the refusals of both sides; raises ValueError if they differ, or if a case changes nothing."""
    corpus = {"none: honest proofs": {"one": proof, "other": other}}
    corpus |= {kind: change(proof, other) for kind, change in KINDS.items()}
    rows: list[Row] = []
    for kind, cases in corpus.items():
        ours, theirs = auditor.verdicts(cases), contracts.verdicts(cases)
        odd = sorted(name for name in cases if ours[name] != theirs[name])
        if odd or (rows and proof in cases.values()):
            raise ValueError(f"{kind}, {odd[0]}: {ours[odd[0]]}, {theirs[odd[0]]}" if odd else f"{kind}: no change")
        refused = [list(verdicts.values()).count("refused") for verdicts in (ours, theirs)]
        rows.append(Row(kind, len(cases), *refused))
    return rows


def section(rows: list[Row]) -> str:
    """The section of the page."""
    bad = rows[1:]
    total = Row(
        "all bad proofs", *(sum(getattr(row, name) for row in bad) for name in ("cases", "verifier", "contracts"))
    )
    lines = [TITLE, "", INTRODUCTION, "", "| change | cases | refused by the verifier | by the contracts |"]
    lines.append("| --- | ---: | ---: | ---: |")
    lines += [f"| {row.kind} | {row.cases:,} | {row.verifier:,} | {row.contracts:,} |" for row in [*rows, total]]
    return "\n".join([*lines, "", OUTRO, ""])


if __name__ == "__main__":
    main()
