"""Give mutants of attestations to the verifier: `python -m benchmarks.attestation_mutants [--count N] [--seed N]`.

Writes the section "Mutants of attestations" of docs/measurements/reliability.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from benchmarks.sections import write_section
from tests.integration import attestation_mutants as attacks
from tests.integration import bench

from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RefusedError

if TYPE_CHECKING:
    from tests.integration.attestation_mutants import Mutant, Subject

    from zkinfer.verifier.policy import Policy

PAGE = Path(__file__).parents[1] / "docs/measurements/reliability.md"
TITLE = "## Mutants of attestations"
COUNT, SEED = 10_200, 1
SUBJECTS = tuple(f"{engine}/{visibility}" for engine in attacks.ENGINES for visibility in attacks.VISIBILITIES)
INTRODUCTION = """\
Honest attestations of a small network (4-16-3), by engine and visibility of the inputs as the table says, changed
at random: {count:,} mutants, seed {seed}. A quarter of the changed statements is signed again by the owner's own key, a
quarter by an attacker in his own name, a quarter by him in the owner's name; the others keep the old signature. Each
goes through `Verifier.verify`, Ashlar's with a second opinion, first under every policy but that about the signer. An
accepted one is a *false accept* unless the owner or the attacker signed exactly what was proven (model, recipe, inputs,
outputs, request): then only what a signer states about himself has changed, and `SignedBy` accepts it from the owner
alone. *No verdict* means that the changed recipe asks for something that this machine lacks; that is an error of
zkinfer too, and accepts nothing. `python -m benchmarks.attestation_mutants` writes this section."""
HEAD = "| mutants of | cases | refused | signed anew, same content | no verdict | false accepts | other exceptions |"


@dataclass
class Tally:
    """What the verifier said about the mutants of one circuit."""

    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)

    def row(self, name: str) -> str:
        """The row of the table."""
        numbers = (self.cases, *(self.ends[end] for end in ENDS))
        return f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


ENDS = ("refused", "same content", "no verdict", "false accept", "exception")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    rows: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as scratch:
        home = bench.home_in(Path(scratch))
        for name in SUBJECTS:
            subject = attacks.subject(name, Path(scratch), home)
            rows[name] = tally(subject, options.seed, options.count // len(SUBJECTS))
            print(rows[name].row(name), file=sys.stderr)
    text = section(rows, options.seed)
    print(text)
    write_section(PAGE, text)
    if odd := [line for row in rows.values() for line in row.odd]:
        sys.exit("\n".join(odd[:20]))


def tally(subject: Subject, seed: int, count: int) -> Tally:
    """The verdicts on mutants of a circuit's attestation."""
    found = Tally()
    for attestation, policy in ((subject.honest[0], subject.strict_policy), (subject.honest[1], subject.other_policy)):
        subject.verifier.verify(attestation, policy)
    random = Random(f"{subject.name} {seed}")  # noqa: S311 - the same mutants each time, and no secrets
    for mutant in attacks.mutants(random, subject, count):
        found.cases += 1
        end, detail = verdict(subject, mutant)
        found.ends[end] += 1
        found.errors[detail] += 1
        if end in {"false accept", "exception"}:
            found.odd.append(f"{subject.name}, {mutant.kind}: {end}, {detail}: {mutant.data[:2000]!r}")
    return found


def verdict(subject: Subject, mutant: Mutant) -> tuple[str, str]:
    """How a verification ends, and the name of its error."""
    try:
        inference = subject.verifier.verify(mutant.data, subject.policy)
    except RefusedError as err:
        return ("refused" if err.step is not None else "exception"), type(err).__name__
    except ZkinferError as err:
        return "no verdict", type(err).__name__
    except Exception as err:  # noqa: BLE001 - whatever else it is, it is what this looks for
        return "exception", repr(err)
    same = attacks.proven(inference) == attacks.proven(subject.verifier.verify(subject.honest[0], subject.policy))
    if not same or (accepted(subject, mutant, subject.strict_policy) and not mutant.by_owner):
        return "false accept", ""
    return "same content", ""


def accepted(subject: Subject, mutant: Mutant, policy: Policy) -> bool:
    """Whether a policy is met too."""
    try:
        subject.verifier.verify(mutant.data, policy)
    except RefusedError:
        return False
    return True


def section(rows: dict[str, Tally], seed: int) -> str:
    """The section of the page."""
    whole = Tally()
    for row in rows.values():
        whole.cases += row.cases
        whole.ends += row.ends
        whole.errors += row.errors
    lines = [TITLE, "", INTRODUCTION.format(count=whole.cases, seed=seed), "", HEAD, "| --- " + "| ---: " * 6 + "|"]
    lines += [
        *(row.row(name) for name, row in rows.items()),
        whole.row("all"),
        "",
        "| error | cases |",
        "| --- | ---: |",
    ]
    lines += [f"| `{name}` | {count:,} |" for name, count in sorted(whole.errors.items()) if name]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
