"""The seam between zkinfer and a proving system.

Nothing outside an engine's own folder knows how it proves: not its files, its keys, its settings, or how it spreads a
statement over field elements. An engine lowers an ONNX model to its own normal form, builds a program from that, and
proves statements about it. Callers check an engine's answers wherever they can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from zkinfer.circuits.cost import REFERENCE_SPEED, Cost
from zkinfer.circuits.fidelity import Fidelity  # noqa: TC001 - pydantic reads `Option`
from zkinfer.circuits.statement import Layout, Statement
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.cost import Objective, Speed, Work
    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.fidelity import Budget
    from zkinfer.circuits.frontend import Finding, NormalisedModel, Workload
    from zkinfer.circuits.labels import Labels
    from zkinfer.circuits.sandbox.child import Limits
    from zkinfer.circuits.tensors import Visibility

    Progress = Callable[[float], None]
    Tensors = Mapping[str, NDArray[np.generic]]

Effort = Literal["quick", "normal", "max"]
"""How much of the space of settings a tuner searches."""
RunArguments = dict[str, Any]
"""An engine's own choices for one network, as JSON. Published, so that anyone can rebuild the verifying key."""


class Program(BaseModel):
    """What an engine made of a network; a function of the network and the run arguments alone.

    `layout` says how its statements are written. `setup_size` is the power of two of the trusted setup that it needs.
    Every integer of a tensor is smaller than `integer_limit` in magnitude. `figures` are the engine's own numbers, for
    people: no caller computes with them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    layout: Layout
    setup_size: Annotated[int, Field(ge=0, le=28)]
    integer_limit: Annotated[int, Field(ge=1, le=1 << 63)]
    figures: Annotated[dict[str, int], Field(max_length=16)]

    def describe_figures(self) -> str:
        """The engine's own numbers in one line: `rows 3,371, log2(rows) 11`."""
        return ", ".join(f"{name} {value:,}" for name, value in self.figures.items())


@dataclass(frozen=True, slots=True)
class Keys:
    """What key generation yields: the digest that names the circuit, and sizes in bytes.

    `proof_bytes` is the exact length of every proof under these keys; `proving_key` is None where the engine needs no
    proving material, or none was asked for.
    """

    verifying_key_digest: Digest
    verifying_key_bytes: int
    proving_key: Digest | None
    proving_key_bytes: int
    proof_bytes: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof bytes, and the statement that they prove."""

    data: bytes
    statement: Statement


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """What an engine needs to choose run arguments.

    `samples` holds calibration inputs by name, [N, *shape]; `reference` the float model's outputs for them.
    `labels` are their true classes, if known. `budget` is the tolerated loss; `max_setup_size` is the size of the
    largest available trusted setup. `max_memory`, in bytes, is what proving should take at most, and affects the
    choice; None leaves it to the other figures. `speed` turns work into seconds, for people only.
    """

    network: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    samples: Tensors
    reference: Tensors
    budget: Budget
    max_setup_size: int
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

    @property
    def needs_proving_key(self) -> bool:
        """Whether proving takes material that is made once per circuit, and kept outside its folder."""
        ...

    def within(self, memory: int) -> Engine:
        """The same engine, with processes that take at most this many bytes of memory."""
        ...

    def lower(
        self,
        model: Path,
        out: Path,
        *,
        dimensions: Mapping[str, int],
        input_visibility: Visibility,
        limits: Limits | None = None,
    ) -> NormalisedModel:
        """Write the engine's normal form of an ONNX model to `out`: the same arguments always give the same bytes.

        The frontend's passes and the engine's own are applied until none finds anything to do, in a limited child.

        Args:
            model: the untrusted ONNX file.
            out: where the normal form goes; replaced where it exists.
            dimensions: sizes of symbolic dimensions by name; a symbolic first dimension is 1 unless named here.
            input_visibility: what a proof tells of the inputs.
            limits: what the child may use; None for the default.

        Raises:
            ModelError: not ONNX, inconsistent, or its normal form computes something else.
            UnsupportedModelError: this engine cannot take it; the message names node, operator and cure.
            ModelTooLargeError: the file, or a tensor that it declares, exceeds a limit.
        """
        ...

    def supports(self, model: Path, *, limits: Limits | None = None) -> tuple[Finding, ...]:
        """Every node that keeps this engine from taking a model, with cause and cure; empty where none does.

        Raises ModelError for what is wrong with the model as a whole.
        """
        ...

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Raise EngineError unless they are known, complete, within bounds, and bind the model's weights."""
        ...

    def least_work(self, workload: Workload) -> Work:
        """A lower bound of what any circuit of this size takes; it costs nothing to ask."""
        ...

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:
        """Measure this machine with small circuits; `setup` gives a trusted setup of a size."""
        ...

    def survey(self, request: TuneRequest) -> Work:
        """About the least work that a circuit of this network takes: quick, for an estimate before the long search.

        Raises:
            UnsupportedModelError: the available trusted setups are too small.
        """
        ...

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:
        """Choose the cheapest run arguments that keep the budget; the same for the same request on every machine.

        All samples measure what is chosen; the budget is held to with a margin for their number.

        Raises:
            BudgetError: nothing keeps the budget.
            UnsupportedModelError: the available trusted setups are too small.
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

    def work(self, folder: Path, setup_size: int | None = None) -> Work:
        """Predict what key generation and proving take, for the program in `folder`.

        `setup_size` is that of the available setup, which may be larger than the program needs.
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
        """Hold a program ready for many calls of `forward`; the caller that opens the session closes it.

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
        proving_key: Path | None,
        inputs: Sequence[Sequence[int]],
        context: bytes,
    ) -> Proof:
        """Prove one inference for a context of 32 bytes, and verify the proof before returning it.

        `proving_key` is None where the engine needs none.
        """
        ...

    def commit(
        self,
        folder: Path,
        program: Program,
        setup: Path,
        tensor: int,
        integers: Sequence[int],
        salt: bytes | None = None,
    ) -> bytes:
        """The 32 bytes that stand for a hashed input of these integers in a statement.

        `tensor` is the input's place in the program; `salt` is for engines that take one, and refused by the others.
        """
        ...

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:
        """Return where the proof of the statement holds under the verifying key in `folder`.

        Raises ProofRejectedError where it does not, or the statement does not have the program's layout.
        """
        ...

    @property
    def evm_selector(self) -> bytes | None:
        """The four bytes under which a chain's router knows this engine's verifier; None where there is none."""
        ...

    def evm_key(self, folder: Path) -> bytes:
        """The verifying key as contracts take it; raises EngineError where the engine has no verifier on a chain."""
        ...

    def evm_verifier(self, folder: Path, setup: Path, *, dedicated: bool = True) -> str:
        """The Solidity source of a verifier for this circuit alone, or for all circuits of the engine.

        Raises EngineError where the engine generates none.
        """
        ...
