"""Promises about zkinfer's speed, memory and accuracy relative to plain ezkl, and those that a benchmark run broke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.networks import Model

    Facts = dict[str, Any]

TITLES = {
    "plain": "plain, for resources",
    "accurate": "plain, for accuracy",
    "faithful": "zkinfer, faithful",
    "zkinfer": "zkinfer",
    "ashlar": "Ashlar",
}
OWN = ("faithful", "zkinfer", "ashlar")
CLOSE = 0.3
"""How far a prediction may be from the measurement, as a share of it."""
# Of every model under Ashlar: the figure's name, the largest value, and how to tell it.
ASHLAR = (
    ("memory", 1e9, "takes {:,.0f} bytes of memory for a proof"),
    ("compile", 30.0, "takes {:.1f} s to compile"),
    ("verify_rust", 0.1, "takes {:.2f} s to verify in Rust"),
    ("verify_python", 3.0, "takes {:.2f} s to verify in Python"),
)
MEMORY = {"a proof": ("memory",), "all, from the model to a proof,": ("compile_memory", "memory")}


def broken_promises(results: list[tuple[Model, dict[str, Facts]]]) -> list[str]:
    """One sentence for each broken promise: speed, memory, for the faithful contestant accuracy, and Ashlar's own."""
    alone = [f"{model.name}: Ashlar {how}." for model, found in results for how in exceeded(model, found.get("ashlar"))]
    return alone + [
        f"{model.name}: {TITLES[kind]} {how} {TITLES[rival]}."
        for model, found in results
        for kind in found
        for rival in found
        if kind in OWN and rival not in OWN
        for how in shortcomings(model, kind, found[kind], found[rival])
    ]


def shortcomings(model: Model, kind: str, own: Facts, theirs: Facts) -> Iterator[str]:
    times, promised = theirs["prove"] / own["prove"], model.faster
    if kind == "ashlar" and model.ashlar_faster is not None:
        promised = model.ashlar_faster
    if times < promised:
        yield f"proves {times:.2f} times as fast (promised: {promised:.2f}) as"
    for of, stages in MEMORY.items():
        peak, allowed = (max(facts[stage] for stage in stages) for facts in (own, theirs))
        if peak > allowed:
            yield f"takes {peak / allowed:.2f} times the memory for {of} of"
    if kind != "faithful":
        return
    if own["agreement"] < theirs["agreement"]:
        yield f"answers alike for {own['agreement']:.1%}, less than the {theirs['agreement']:.1%} of"
    if own["error_p99"] > theirs["error_p99"]:
        yield f"errs by {own['error_p99']:.2%}, more than the {theirs['error_p99']:.2%} of"


def exceeded(model: Model, own: Facts | None) -> Iterator[str]:
    """What a model under Ashlar exceeds of its limits, which need no rival."""
    if own is None:
        return
    limits = [*ASHLAR]
    if model.ashlar_seconds is not None:
        limits.insert(0, ("prove", model.ashlar_seconds, "takes {:.2f} s for a proof"))
    for figure, largest, sentence in limits:
        if own[figure] > largest:
            yield f"{sentence.format(own[figure])} (promised: {largest:,g})"
    for what, figure, measured in (("seconds", "seconds", "prove"), ("memory", "memory", "child")):
        ratio = own["predicted"][figure] / own[measured]
        if abs(ratio - 1) > CLOSE:
            yield f"was predicted {ratio:.2f} times its {what} (promised: within {CLOSE:.0%})"
