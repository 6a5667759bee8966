"""A circuit's manifest in words and figures: size, cost, and how well it follows the float model.

The texts are plain, and the terminal shows them too. Nothing here is proven: whoever compiled the circuit measured it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from zkinfer.circuits.cost import size
from zkinfer.verifier.report.values import Table, bars

if TYPE_CHECKING:
    from zkinfer.circuits.manifest import ChoiceReport, FidelityReport, Manifest
    from zkinfer.verifier.report.values import Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a manifest says of a circuit.

    Args:
        facts: names and values: size, inputs and outputs.
        cost: names and values: bytes, memory and gas.
        provenance: the kind of samples on which fidelity was measured.
        fidelity: names and values: agreement, errors and accuracy.
        errors: the number of output values by error.
        columns: the columns with the largest errors; None if the model has no float output.
        budget: how the settings were chosen; empty in circuits of older versions.
    """

    facts: tuple[tuple[str, str], ...]
    cost: tuple[tuple[str, str], ...]
    provenance: str
    fidelity: tuple[tuple[str, str], ...]
    errors: Bars
    columns: Table | None
    budget: str


def model_card(manifest: Manifest) -> ModelCard:
    """The card of a circuit."""
    program, keys, fidelity = manifest.program, manifest.keys, manifest.fidelity
    facts = {
        "inputs": ", ".join(f"{spec.describe_scaled()}, {spec.visibility}" for spec in program.inputs),
        "outputs": ", ".join(spec.describe_scaled() for spec in program.outputs),
        "parameters": f"{manifest.parameters:,}",
        "operators": ", ".join(f"{count} {name}" for name, count in sorted(manifest.operators.items())),
        "size": program.describe_figures(),
        "headroom": f"integers may be {manifest.headroom:,.3g} times larger than in the held-out samples",
    }
    cost = {
        "length of a proof": f"{keys.proof_bytes:,} bytes",
        "verifying key": f"{keys.verifying_key_bytes:,} bytes",
        "proving key": f"{keys.proving_key_bytes:,} bytes",
        "memory to prove": size(manifest.cost.memory_bytes),
        "gas to verify on a chain": f"about {manifest.cost.gas:,}",
    }
    return ModelCard(
        facts=tuple(facts.items()),
        cost=tuple(cost.items()),
        provenance=provenance(fidelity),
        fidelity=tuple(fidelity_figures(fidelity).items()),
        errors=error_bars(fidelity),
        columns=worst_columns(fidelity),
        budget="" if manifest.choice is None else choice_line(manifest.choice),
    )


def provenance(report: FidelityReport) -> str:
    """The kind of samples that fidelity was measured on, with a warning unless they were held out."""
    count = "1 sample" if report.samples == 1 else f"{report.samples:,} samples"
    return {
        "held-out": f"measured on {count} held out from calibration",
        "calibration": f"measured on {count} used for calibration: too few or too similar to hold some out; "
        "expect a larger error",
        "synthetic": f"measured on {count} of random numbers, which say little about real inputs",
    }[report.data]


def fidelity_figures(report: FidelityReport) -> dict[str, str]:
    """Agreement, errors, ranges and accuracy, by name."""
    figures = {
        "same answers": f"{report.agreement:.2%} of samples",
        "error": f"{share(report.error_p50)} median, {share(report.error_p90)} 90th percentile, "
        f"{share(report.error_p99)} 99th percentile, {share(report.error_max)} maximum",
        "absolute error": f"{report.absolute_max:.3g} maximum, in the units of the output",
    }
    if report.inputs:
        figures["measured for"] = ranges_line(report)
    if report.accuracy is not None:
        accuracy = report.accuracy
        figures["accuracy"] = f"{accuracy.model:.2%} float, {accuracy.circuit:.2%} circuit, by output {accuracy.output}"
    return figures


def ranges_line(report: FidelityReport) -> str:
    """The lowest and the highest value of each input in the samples."""
    return ", ".join(f"{one.name} from {one.low:.4g} to {one.high:.4g}" for one in report.inputs)


def choice_line(choice: ChoiceReport) -> str:
    """The budget, and whether it is met on held-out samples."""
    each = " in each column" if choice.max_error < 1 else ""
    rules = [f"at least {share(choice.min_agreement)} same answers", f"error at most {share(choice.max_error)}{each}"]
    if choice.max_absolute_error is not None:
        rules.append(f"absolute error at most {choice.max_absolute_error:.4g}")
    if choice.max_accuracy_drop is not None:
        rules.append(f"accuracy drop at most {share(choice.max_accuracy_drop)}")
    samples = "1 sample" if choice.samples == 1 else f"{choice.samples} samples"
    outcome = "met" if choice.kept else "missed"
    return f"{samples}; budget {outcome} on held-out samples: {', '.join(rules)}"


def error_bars(report: FidelityReport) -> Bars:
    """The number of output values by error, from the first to the last bin that is not empty."""
    counts, names = report.error_histogram.counts, bin_names(report.error_histogram.edges)
    filled = [place for place, count in enumerate(counts) if count] or [0]
    used = slice(filled[0], filled[-1] + 1)
    shown = counts[used]
    return bars("error", "count", names[used], [float(count) for count in shown], [f"{count:,}" for count in shown])


def bin_names(edges: tuple[float, ...]) -> list[str]:
    """What each bin of a histogram holds."""
    between = [f"{share(low)} to {share(high)}" for low, high in pairwise(edges)]
    return [f"below {share(edges[0])}", *between, f"from {share(edges[-1])}"]


def worst_columns(report: FidelityReport) -> Table | None:
    """The columns (by index of the last axis) with the largest errors, as shares of their range."""
    if not report.columns:
        return None
    head = ("output", "column", "model from", "to", "99th perc.", "maximum", "absolute")
    rows = [
        (
            one.output,
            str(one.column),
            f"{one.low:.3g}",
            f"{one.high:.3g}",
            share(one.error_p99),
            share(one.error_max),
            f"{one.absolute_max:.3g}",
        )
        for one in report.columns
    ]
    return Table(head, tuple(rows))


def share(value: float) -> str:
    """A share in percent, to three digits."""
    return f"{100 * value:.3g}%"
