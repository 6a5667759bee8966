"""Format docs/measurements/benchmarks.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.promises import CLOSE, OWN, TITLES, broken_promises

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.networks import Model

    Found = dict[str, dict[str, Any]]

INTRODUCTION = """\
# Benchmarks

Models through zkinfer and through plain ezkl, used as ezkl's own documentation does: default arguments, calibrated for
resources or for accuracy. Weights are trained for the digits and random (from a fixed seed) elsewhere. Fidelity is
measured on 16 held-out samples. zkinfer is compiled with its default budget (error below 5 % of the output's range);
"faithful" keeps the error below eight tenths of plain ezkl's on the calibration samples. "Ashlar" is zkinfer under its
second engine, with the default budget; its rows are chunks of weights and witness, and it has no proving key. The
largest models are measured under Ashlar alone, because ezkl takes minutes for one proof or cannot take them.

zkinfer's figures include what the plain calls do not do: starting a limited child process, the context input,
verifying its own proof, the signature; and, for verify, the whole checklist. *Compile* includes the keys, and not the
generation of a development setup; zkinfer's also includes the search and one proof, so its peak memory covers
everything from the model to a proof. The machine is calibrated once, before the first measurement.
"""
PREDICTIONS = """\
## Predicted against measured

The time and memory of a proof: as `zkinfer compile` predicted them on this machine before it made any key, and as
measured.

| model | rows | log2 | seconds: predicted | measured | ratio | memory: predicted | measured | ratio |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""
ROWS = (
    ("prove, s", "prove", 1),
    ("verify, s", "verify", 1),
    ("verify in Rust alone, s", "verify_rust", 1),
    ("verify in Python alone, s", "verify_python", 1),
    ("compile, s", "compile", 1),
    ("peak memory of a proof, MB", "memory", 1e6),
    ("peak memory of compile, MB", "compile_memory", 1e6),
    ("proving key, MB", "key", 1e6),
    ("proof, bytes", "proof", 1),
    ("log2 of rows", "log_rows", 1),
    ("same answers, %", "agreement", 0.01),
    ("error (99th percentile), %", "error_p99", 0.01),
)
NOT_COMPARED = ("agreement", "error_p99", "log_rows", "verify_rust", "verify_python")


def page(results: list[tuple[Model, Found]], machine: str) -> str:
    lines = [INTRODUCTION, f"Measured on {machine}.", "Repeat with `make bench`.", ""]
    for model, found in results:
        if len(model.kinds) > 1 or "ashlar" in model.kinds:
            lines += table(model, found)
    return "\n".join([*lines, *promised(results), "", *predictions(results)]) + "\n"


def table(model: Model, found: Found) -> list[str]:
    own = [kind for kind in found if kind in OWN]
    pairs = [(rival, kind) for kind in own for rival in found if rival not in OWN]
    heads = [TITLES[kind] for kind in found] + [f"{TITLES[rival]} / {TITLES[kind]}" for rival, kind in pairs]
    lines = [f"## {model.name}", "", counted(model), "", f"| | {' | '.join(heads)} |"]
    lines.append("| --- " + "| ---: " * len(heads) + "|")
    for title, figure, unit in ROWS:
        if not any(figure in facts for facts in found.values()):
            continue
        cells = [f"{facts[figure] / unit:,.4g}" if figure in facts else "" for facts in found.values()]
        cells += [
            "" if figure in NOT_COMPARED else ratio(found[rival][figure], found[kind][figure]) for rival, kind in pairs
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return [*lines, ""]


def counted(model: Model) -> str:
    rounds = "One round" if model.rounds == 1 else f"Medians of {model.rounds} alternating rounds"
    proofs = {kind: model.proofs_of(kind) for kind in model.kinds}
    usual = min(proofs.values())
    more = "".join(f", {count} of {TITLES[kind]}" for kind, count in proofs.items() if count > usual)
    return f"{rounds} of {usual} proof{'s' * (usual > 1)} each{more}."


def promised(results: list[tuple[Model, Found]]) -> list[str]:
    compared = sum("plain" in model.kinds for model, _ in results)
    kept = f"All are kept (`benchmarks/promises.py`); models that both proved: {compared}."
    tested = compared or any("ashlar" in model.kinds for model, _ in results)
    broken = broken_promises(results) or [kept if tested else "None was tested: the plain engine took no part."]
    return ["## Promises", "", *(f"- {one}" for one in broken)]


def predictions(results: list[tuple[Model, Found]]) -> list[str]:
    rows, times, memories = [], [], []
    for model, found in results:
        for kind in (kind for kind in found if kind in OWN):
            own, predicted = found[kind], found[kind]["predicted"]
            times.append(predicted["seconds"] / own["prove"])
            memories.append(predicted["memory"] / own["child"])
            rows.append(
                f"| {model.name}, {TITLES[kind]} | {own['rows']:,} | {own['log_rows']} | {predicted['seconds']:.2f} | "
                f"{own['prove']:.2f} | {times[-1]:.2f} | {predicted['memory'] / 1e6:,.0f} MB | "
                f"{own['child'] / 1e6:,.0f} MB | {memories[-1]:.2f} |"
            )
    summary = f"Within {CLOSE:.0%}: {close(times)} of {len(times)} times, {close(memories)} of {len(memories)} peaks."
    return [PREDICTIONS, *rows, "", summary]


def close(ratios: Iterable[float]) -> int:
    return sum(abs(ratio - 1) <= CLOSE for ratio in ratios)


def ratio(theirs: float, own: float) -> str:
    return f"{theirs / own:.2f}" if own else ""
