"""Give bad attestations to every path that verifies files: `python -m benchmarks.bad_files`.

Writes the section "Bad attestations on every path" of docs/measurements/attacks.md, and its sums into reliability.md
beside it. Needs Ashlar's core and the
extras of development. Takes five minutes on two idle cores.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sections import write_section
from tests.assets.make_refusals import BY_OWNER, DEV, Case
from tests.integration import attestation_mutants as attacks
from tests.integration import bench
from tests.integration.bad_files import RealForger, RealParties
from tests.integration.doors import ACCEPTED, DOORS
from tests.integration.judges import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.doors import Verdicts

    from zkinfer.circuits import Home

PAGE = Path(__file__).parents[1] / "docs/measurements/attacks.md"
SUMS = PAGE.with_name("reliability.md")
TITLE, TITLE_OF_SUMS = "## Bad attestations on every path", "## Bad attestations"
HONEST: Final = "none: honest attestations"
ITEMS: Final = {
    HONEST: ("honest-",),
    "a word of the proof changed, a point moved or off the curve": ("a-bit-", "every-", "words-", "zero-proof"),
    "proof cut or extended": ("truncated-proof", "extended-proof"),
    "public values extra, missing, swapped, changed": (
        "extra-", "missing-output", "swapped-", "other-output", "other-layout"),
    "a second spelling of a value, a value out of range": ("output-", "wrapped-output"),
    "proof, values or input of another inference": ("proof-of-another-inference", "other-public-", "other-input"),
    "another model, its circuit, key or proof": (
        "other-model", "circuit-of-", "proof-of-another-model", "other-verifying-key", "other-network"),
    "another trusted setup": ("dev-setup", "unknown-ceremony", "other-setup-size"),
    "other settings, a range check removed": (
        "other-run-argument", "range-check-", "unknown-run-argument", "unknown-dimension", "unknown-semantics",
        "unknown-profile"),
    "fields beside the proof edited or added": (
        "other-subject", "other-output-scale", "other-context", "unknown-field", "redated"),
    "two readings of one file: duplicate keys, other white space": (
        "duplicate-key", "final-newline", "indented", "truncated", "deeply-nested", "base64-"),
    "oversized file": ("oversized",),
    "unknown version of format, normaliser or engine": ("later-", "unknown-engine"),
    "signature forged, missing, foreign, or in another form": (
        "missing-signature", "forged-", "foreign-", "empty-signature", "high-s", "padded-", "signed-by-", "ephemeral-"),
    "replayed for another request, chain, consumer, requester": ("replayed",),
    "expired, old, from the future": ("expired", "old", "future"),
    "a policy that requires nothing": ("empty-policy",),
}  # fmt: skip
"""The items of the corpus, and how the names of their cases begin."""
INTRODUCTION = """\
Attestations of a small network (4-16-3) under ezkl and under Ashlar, changed in every way for which there is a reason
of refusal, and signed again by their owner unless the signature is what is wrong. Each goes through `Verifier.verify`,
the command `zkinfer verify`, the page of `zkinfer ui` (all three with a second opinion) and `VerifyAttestation` of a
server over gRPC, under the same policy. A path *refuses* a file if it names the expected cause; the command's exit
status and the page's report must say so too. The honest ones are of both engines with public, hashed and private
inputs. `python -m benchmarks.bad_files` writes this section, and `tests/integration/test_doors.py` repeats it."""
EMPTY = """\
The command and the page were not asked about a policy that requires nothing: they always require the ONNX file."""


@dataclass
class Row:
    """One item: how many files, how many each path was asked about and answered as it should, how many all did."""

    item: str
    cases: int = 0
    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DOORS, 0))
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DOORS, 0))
    agree: int = 0
    odd: list[str] = field(default_factory=list)

    def add(self, case: Case, verdicts: Verdicts) -> None:
        """Count what the paths that were asked say about a file."""
        self.cases += 1
        for door, verdict in verdicts.items():
            self.asked[door] += 1
            self.right[door] += verdict == case.error
        self.agree += len(set(verdicts.values())) == 1
        if set(verdicts.values()) != {case.error}:
            self.odd.append(f"{case.name}: {case.error} expected, {verdicts} found")

    def line(self) -> str:
        """The row of the table."""
        doors = [f"{self.right[door]}" if self.asked[door] else "–" for door in DOORS]
        return f"| {self.item} | {self.cases} | " + " | ".join(doors) + f" | {self.agree} |"


def main() -> None:
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        home = bench.home_in(base)
        model, honest = honest_files(base, home)
        tally(rows, honest, tried(honest, model, home, base / "honest"))
        for engine in ENGINES:
            cases, model = bad_files(engine, base, home)
            tally(rows, cases, tried(cases, model, home, base / f"{engine}-paths"))
    text = section(rows)
    print(text)
    write_section(PAGE, text)
    write_section(SUMS, sums(rows))
    if odd := [line for row in rows.values() for line in row.odd]:
        sys.exit("\n".join(odd[:20]))


def bad_files(engine: str, base: Path, home: Home) -> tuple[list[Case], Path]:
    """The bad attestations under an engine, and the model that they claim to be of."""
    folder = base / f"bad-{engine}"
    folder.mkdir()
    parties = RealParties(engine, folder, home)
    return RealForger(parties).all(), parties.model


def honest_files(base: Path, home: Home, names: Iterable[str] = ()) -> tuple[Path, list[Case]]:
    """The small model, and two honest attestations of each engine and visibility."""
    names = names or [f"{engine}/{visibility}" for engine in ENGINES for visibility in attacks.VISIBILITIES]
    subjects = [attacks.subject(name, base, home) for name in names]
    cases = [
        Case(f"honest-{one.name}-{number}", ACCEPTED, "", attestation.to_bytes(), _rules(one.name))
        for one in subjects
        for number, attestation in enumerate(one.honest)
    ]
    return subjects[0].circuit.folder / "model.onnx", cases


def _rules(name: str) -> list[Any]:
    return [BY_OWNER, DEV, {"engineIs": [name.partition("/")[0]]}]


def tried(cases: list[Case], model: Path, home: Home, folder: Path) -> dict[str, Verdicts]:
    """What each path says."""
    found = {}
    for name, door in DOORS.items():
        (folder / name).mkdir(parents=True)
        found[name] = door(cases, model, home, folder / name)
        print(f"{name}: {len(found[name])} files", file=sys.stderr, flush=True)
    return found


def tally(rows: dict[str, Row], cases: list[Case], found: dict[str, Verdicts]) -> None:
    """Add to the rows what was found; raises ValueError for a case of no item."""
    for case in cases:
        item = item_of(case)
        verdicts = {door: told[case.name] for door, told in found.items() if case.name in told}
        rows.setdefault(item, Row(item)).add(case, verdicts)


def item_of(case: Case) -> str:
    """The item with the longest beginning that fits the case's name."""
    fitting = {start: item for item, starts in ITEMS.items() for start in starts if case.name.startswith(start)}
    if not fitting:
        raise ValueError(f"{case.name} belongs to no item of the corpus")
    return fitting[max(fitting, key=len)]


def section(rows: dict[str, Row]) -> str:
    """The section of the page."""
    ordered = [rows[item] for item in ITEMS if item in rows]
    head = "| change | files | " + " | ".join(DOORS) + " | agree |"
    lines = [TITLE, "", INTRODUCTION, "", head, "| --- " + "| ---: " * (len(DOORS) + 2) + "|"]
    lines += [row.line() for row in ordered]
    return "\n".join([*lines, "", EMPTY, ""])


def sums(rows: dict[str, Row]) -> str:
    """The section of the page about reliability."""
    ordered = [rows[item] for item in ITEMS if item in rows]
    honest, bad = ordered[:1], ordered[1:]
    text = f"""\
Attestations of both engines through `Verifier.verify`, `zkinfer verify`, the page and a server over gRPC:
`python -m benchmarks.bad_files`. [Each item on each path](attacks.md#bad-attestations-on-every-path).

- Honest attestations accepted on every path: {_right(honest)} of {_cases(honest)}.
- Bad attestations refused for the same cause, on every path that was asked: {_right(bad)} of {_cases(bad)}.
- The paths agree on {100 * sum(row.agree for row in ordered) / _cases(ordered):g} % of them.
"""
    return f"{TITLE_OF_SUMS}\n\n{text}"


def _cases(rows: list[Row]) -> int:
    return sum(row.cases for row in rows)


def _right(rows: list[Row]) -> int:
    return sum(row.cases - len(row.odd) for row in rows)


if __name__ == "__main__":
    main()
