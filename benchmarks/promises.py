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
}
OWN = ("faithful", "zkinfer")
MEMORY = {"a proof": ("memory",), "all, from the model to a proof,": ("compile_memory", "memory")}


def broken_promises(results: list[tuple[Model, dict[str, Facts]]]) -> list[str]:
    """One sentence for each broken promise: speed, memory, and for the faithful contestant accuracy."""
    return [
        f"{model.name}: {TITLES[kind]} {how} {TITLES[rival]}."
        for model, found in results
        for kind in found
        for rival in found
        if kind in OWN and rival not in OWN
        for how in shortcomings(model, kind, found[kind], found[rival])
    ]


def shortcomings(model: Model, kind: str, own: Facts, theirs: Facts) -> Iterator[str]:
    times = theirs["prove"] / own["prove"]
    if times < model.faster:
        yield f"proves {times:.2f} times as fast (promised: {model.faster:.2f}) as"
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
