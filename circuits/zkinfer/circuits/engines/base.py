"""The seam between zkinfer and a proving system.

Nothing outside `zkinfer.circuits.engines` knows how a proof is made: not the files of an engine, not its keys, not
its settings. An engine takes a network (a normalised ONNX file whose first input is the context) and integers, and
gives integers and proof bytes. What it says is checked by its callers wherever that is possible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from zkinfer.circuits.context import LIMBS
from zkinfer.circuits.cost import REFERENCE_SPEED, Cost
from zkinfer.circuits.fidelity import Fidelity  # noqa: TC001 - pydantic reads `Option`
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.cost import Objective, Speed, Work
    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.fidelity import Budget
    from zkinfer.circuits.frontend import Workload
    from zkinfer.circuits.labels import Labels

    Progress = Callable[[float], None]
    Tensors = Mapping[str, NDArray[np.generic]]

Effort = Literal["quick", "normal", "max"]
"""How much of the space of settings a tuner searches."""
RunArguments = dict[str, Any]
"""An engine's own choices for one network, as JSON. Published, so that anyone can rebuild the verifying key."""


class Slot(BaseModel):
    """A run of consecutive instances of a proof that belong together.

    `role` says what they are; `name` is the tensor's, or `ctx`. A hashed tensor has one instance: its digest. A
    `context-digest` is the digest of the context, which an engine that hashes all inputs publishes besides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    role: Literal["context", "context-digest", "input", "output"]
    name: str
    start: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1)]
    hashed: bool = False


class Program(BaseModel):
    """What an engine made of a network; a function of the network and the run arguments alone.

    `rows` is the number of rows the computation takes and `log_rows` the power of two that holds it;
    `integer_limit` is the magnitude that every value must stay below; no tensor holds wider integers than 64 bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    slots: tuple[Slot, ...]
    rows: Annotated[int, Field(ge=0)]
    log_rows: Annotated[int, Field(ge=0, le=28)]
    integer_limit: Annotated[int, Field(ge=1, le=1 << 63)]

    @property
    def instance_count(self) -> int:
        """Number of public values of a proof."""
        return sum(slot.count for slot in self.slots)


def slots_in_order(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> tuple[Slot, ...]:
    """The layout of the public values; all inputs have one visibility.

    Public inputs: context, inputs, outputs. Hashed: digests of the context and of each input, outputs, context.
    Private: outputs, context.
    """
    context, answers = ("context", "ctx", LIMBS), [("output", spec.name, spec.size) for spec in outputs]
    given = {
        "public": [context, *(("input", spec.name, spec.size) for spec in inputs), *answers],
        "hashed": [("context-digest", "ctx", 1), *(("input", spec.name, 1) for spec in inputs), *answers, context],
        "private": [*answers, context],
    }
    visibility = inputs[0].visibility
    slots, start = [], 0
    for role, name, count in given[visibility]:
        hashed = visibility == "hashed" and role in ("context-digest", "input")
        slots.append(
            Slot.model_validate({"role": role, "name": name, "start": start, "count": count, "hashed": hashed})
        )
        start += count
    return tuple(slots)


@dataclass(frozen=True, slots=True)
class Keys:
    """What key generation yields: the digest that names the circuit, and sizes in bytes.

    `proof_bytes` is the exact length of every proof under these keys; `proving_key` is None where none was kept.
    """

    verifying_key_digest: Digest
    verifying_key_bytes: int
    proving_key: Digest | None
    proving_key_bytes: int
    proof_bytes: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof bytes and the instances (field elements, in transcript order) that they speak about."""

    data: bytes
    instances: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """What an engine needs to choose run arguments.

    `samples` holds calibration inputs by name, [N, *shape]; `reference` the float model's outputs for them.
    `labels` are their true classes, if known. `budget` is what may be lost; `max_log_rows` is the largest trusted
    setup at hand. `max_memory` is the bytes that its owner wants proving to take at most, and steers the choice; None
    leaves it to the other figures. `speed` turns work into seconds, for people only.
    """

    network: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    samples: Tensors
    reference: Tensors
    budget: Budget
    max_log_rows: int
    max_memory: int | None
    workload: Workload
    labels: Labels | None = None
    objective: Objective = "latency"
    effort: Effort = "normal"
    speed: Speed = REFERENCE_SPEED


@dataclass(frozen=True, slots=True)
class Option:
    """One choice that a tuner weighed: what it would cost (None where that was not worth knowing) and lose."""

    name: str
    cost: Cost | None
    fidelity: Fidelity
    within_budget: bool
    chosen: bool

    @property
    def prove_seconds(self) -> float:
        """Predicted for a proof; infinity where nothing was."""
        return math.inf if self.cost is None else self.cost.prove_seconds


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuner chose, and what it chose from."""

    run_arguments: RunArguments
    options: tuple[Option, ...]


class ForwardSession(Protocol):
    """A program held ready for one forward pass after the other. It belongs to the thread that opened it."""

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """The circuit's own answer: for integers by input the integers by output.

        Raises:
            RangeError: a value leaves the range that the circuit can represent; the session goes on.
            EngineError: the engine failed; `usable` tells whether the session goes on.
        """
        ...

    @property
    def usable(self) -> bool:
        """Whether it makes sense to ask again."""
        ...

    def kill(self) -> None:
        """End it at once; the one call that another thread may make."""
        ...

    def close(self) -> None:
        """Free what belongs to it; does nothing the second time."""
        ...


class Engine(Protocol):
    """A proving system. All calls may take long, and raise EngineError when the engine fails."""

    @property
    def id(self) -> str:
        """Name and version, `ezkl/23.0.5`: part of a circuit's identity."""
        ...

    @property
    def production(self) -> bool:
        """Whether its proofs prove anything; callers refuse an engine that says no unless told otherwise."""
        ...

    def within(self, memory: int) -> Engine:
        """The same engine, none of whose processes takes more than so many bytes."""
        ...

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Raise EngineError unless they are known, complete, within bounds, and bind the model's weights."""
        ...

    def least_work(self, workload: Workload) -> Work:
        """A lower bound of what any circuit of this size takes; it costs nothing to ask."""
        ...

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:
        """Measure this machine with small circuits; `setup` gives a trusted setup for a power of two of rows."""
        ...

    def survey(self, request: TuneRequest) -> Work:
        """About the least work that a circuit of this network takes: quick, for an estimate before the long search.

        Raises:
            UnsupportedModelError: the trusted setups at hand are too small.
        """
        ...

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:
        """Choose the cheapest run arguments that keep the budget; the same for the same request on every machine.

        All samples measure what is chosen; the budget is held to with a margin for their number.

        Raises:
            BudgetError: nothing keeps the budget.
            UnsupportedModelError: the trusted setups at hand are too small.
            TooCostlyError: the cheapest circuit takes more memory than it may.
        """
        ...

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        run_arguments: RunArguments,
        folder: Path,
    ) -> Program:
        """Write the program files of a network into `folder`, the network among them as `network.onnx`.

        The same arguments give the same files.
        """
        ...

    def work(self, folder: Path, setup_log_rows: int | None = None) -> Work:
        """Predict what key generation and proving take, for the program in `folder`.

        `setup_log_rows` is the size of the trusted setup, where it may be larger than the program needs.
        """
        ...

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Add the verifying key to `folder` and, unless None, write the proving key to a file of its own."""
        ...

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """The circuit's own answers: for every sample (integers by input) the integers by output.

        Raises RangeError where a value leaves the range that the circuit can represent.
        """
        ...

    def session(self, folder: Path, program: Program) -> ForwardSession:
        """Hold a program ready, to answer many times what `forward` answers once; whoever opens it closes it.

        The folder is read while it opens, and not afterwards.
        """
        ...

    def headroom(self, folder: Path, run_arguments: RunArguments, batch: Sequence[Sequence[Sequence[int]]]) -> float:
        """How many times larger than in these samples an integer may be before proving refuses the input; 1 or more.

        Raises RangeError where a sample leaves the range.
        """
        ...

    def prove(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        proving_key: Path,
        inputs: Sequence[Sequence[int]],
        context: Sequence[int],
    ) -> Proof:
        """Prove one inference and verify the proof before returning it."""
        ...

    def commit(self, integers: Sequence[int]) -> int:
        """The instance that stands for a hashed tensor of these integers."""
        ...

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:
        """Return if the proof holds under the verifying key in `folder`; raise ProofRejectedError if not."""
        ...
