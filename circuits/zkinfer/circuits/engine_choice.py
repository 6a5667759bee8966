"""The choice between engines: what stands in the way of each for a model, and the least that a proof would cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.compile import compile_model
from zkinfer.circuits.cost import REFERENCE_SPEED, duration, size
from zkinfer.circuits.errors import BudgetError, ModelError, TooCostlyError, UnsupportedModelError
from zkinfer.circuits.frontend import Finding, inspect_model
from zkinfer.circuits.progress import NULL_OBSERVER, Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zkinfer.circuits.compile import Compiled, CompileOptions
    from zkinfer.circuits.cost import Cost, Objective
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.frontend import Workload
    from zkinfer.circuits.home import Home


@dataclass(frozen=True, slots=True)
class Candidate:
    """One engine for one model.

    Args:
        name: the engine's name.
        engine: the engine.
        findings: why it rejects the model, node by node; empty if it supports every operator.
        least: a lower bound of the cost of any circuit, from the number of operations.
    """

    name: str
    engine: Engine
    findings: tuple[Finding, ...]
    least: Cost

    @property
    def obstacle(self) -> str:
        """Why the engine cannot compile the model here, in one or two sentences; empty if it may."""
        if self.findings:
            first, more = self.findings[0], len(self.findings) - 1
            return f"{first.cause} {first.cure}".strip() + (f" ({more} more)" if more else "")
        return self.engine.unavailable


def candidates(model: Path, engines: Mapping[str, Engine]) -> tuple[Candidate, ...]:
    """What each engine says of an ONNX file.

    Args:
        model: the untrusted file; read in child processes.
        engines: by name.

    Raises:
        ModelError: the file is not ONNX, or exceeds a limit.
    """
    workload = inspect_model(model).workload
    return tuple(_candidate(name, engine, model, workload) for name, engine in engines.items())


def _candidate(name: str, engine: Engine, model: Path, workload: Workload) -> Candidate:
    try:
        findings = tuple(finding.of_file(model) for finding in engine.supports(model))
    except ModelError as err:
        findings = (Finding(node="", cause=err.cause, cure=err.cure),)
    return Candidate(name, engine, findings, engine.least_work(workload).at(REFERENCE_SPEED))


def by_cost(found: tuple[Candidate, ...], objective: Objective) -> list[Candidate]:
    """The candidates that nothing stands in the way of, the cheapest first."""
    return sorted((one for one in found if not one.obstacle), key=lambda one: one.least.work.by(objective))


def compile_cheapest(
    model: Path,
    out: Path,
    *,
    engines: Mapping[str, Engine],
    home: Home,
    options: CompileOptions,
    calibration: Path | None = None,
    observer: Observer = NULL_OBSERVER,
) -> Compiled:
    """Compile with the cheapest engine that has a circuit within the budget; notes say which, and why.

    Raises:
        UnsupportedModelError: no engine can compile the model; the message has the reason of each.
        and as `compile_model`, for the last engine that was tried.
    """
    found = candidates(model, engines)
    ranked = by_cost(found, options.objective)
    for line in _reasons(found, ranked):
        observer.note(line)
    failure: BudgetError | TooCostlyError | UnsupportedModelError = UnsupportedModelError(
        "No engine can compile this model. " + " ".join(f"{one.name}: {one.obstacle}" for one in found)
    )
    for one in ranked:
        try:
            return compile_model(
                model, out, engine=one.engine, home=home, calibration=calibration, options=options, observer=observer
            )
        except (BudgetError, TooCostlyError, UnsupportedModelError) as err:
            failure = err
            observer.note(f"{one.name} has no circuit within the budget: {err.cause}")
    raise failure


def _reasons(found: tuple[Candidate, ...], ranked: list[Candidate]) -> Iterator[str]:
    for one in found:
        if one.obstacle:
            yield f"{one.name} is not offered: {one.obstacle}"
    for first in ranked[:1]:
        why = f"the cheapest: a proof takes {describe_least(first.least)}" if ranked[1:] else "the only one left"
        yield f"engine {first.name}, {why}"


def describe_least(least: Cost) -> str:
    """A lower bound in a few words: `at least 0.2 s, 60 MB of memory and 290,000 gas`."""
    work = least.work
    return f"at least {duration(least.prove_seconds)}, {size(work.memory_bytes)} of memory and {work.gas:,} gas"
