"""The seam between zkinfer and a proving system: the `Engine` protocol, and the values exchanged through it.

Only an engine's own folder depends on its files, keys and settings, and on how it encodes a statement as field
elements. An engine lowers an ONNX model to its own normal form, builds a program from that, and proves statements about
the program. Callers check an engine's answers wherever they can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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
    from zkinfer.circuits.samples import Labels
    from zkinfer.circuits.sandbox.child import Limits
    from zkinfer.circuits.tensors import Visibility

    Progress = Callable[[float], None]
    Tensors = Mapping[str, NDArray[np.generic]]

Effort = Literal["quick", "normal", "max"]
"""How much of the space of settings the tuner searches."""
RunArguments = dict[str, Any]
"""An engine's own choices for one network, as JSON. Published, so that anyone can rebuild the verifying key."""


class Engine(Protocol):
    """A proving system. Every call may take long, and raises EngineError if the engine fails."""

    @property
    def id(self) -> str:
        """Name and version, `ezkl/23.0.5`: part of a circuit's identity."""
        ...

    @property
    def production(self) -> bool:
        """Whether its proofs prove anything; callers reject any other engine unless they explicitly allow it."""
        ...

    @property
    def experimental(self) -> bool:
        """Whether no audit of its proofs was published: a verifier accepts them only if its policy names the engine."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Sentences that users must be told before they rely on its proofs."""
        ...

    @property
    def unavailable(self) -> str:
        """Why the engine cannot compile and prove on this machine, and the cure; empty if it can."""
        ...

    @property
    def needs_proving_key(self) -> bool:
        """Whether proving takes a proving key, which is made once per circuit and kept outside its folder."""
        ...

    def within(self, memory: int) -> Engine:
        """The same engine, with each child process limited to this many bytes of memory."""
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

        The frontend's passes and the engine's own run in a child process until none changes anything.

        Args:
            model: the untrusted ONNX file.
            out: the path of the normal form; an existing file is replaced.
            dimensions: sizes of symbolic dimensions by name; the batch is 1 unless named here.
            input_visibility: what a proof reveals of the inputs.
            limits: resource limits of the child; None for the default.

        Raises:
            ModelError: not ONNX, inconsistent, or its normal form gives different results.
            UnsupportedModelError: this engine does not support it; the message names node, operator and cure.
            ModelTooLargeError: the file, or a tensor that it declares, exceeds a limit.
        """
        ...

    def supports(self, model: Path, *, limits: Limits | None = None) -> tuple[Finding, ...]:
        """Every node that this engine does not support, with cause and cure; empty if it supports the model.

        Raises ModelError for problems of the model as a whole.
        """
        ...

    def check_run_arguments(self, run_arguments: RunArguments) -> None:
        """Raise EngineError unless they are known, complete, within bounds, and bind the model's weights."""
        ...

    def least_work(self, workload: Workload) -> Work:
        """A lower bound of the work of any circuit of this size, computed without calling the proving system."""
        ...

    def search_seconds(self, workload: Workload, effort: Effort) -> float:
        """Rough estimate of the seconds that `tune` takes, computed without calling the proving system."""
        ...

    def measure_speed(self, setup: Callable[[int], Path], *, progress: Progress | None = None) -> Speed:
        """Measure this machine with small circuits; `setup` returns a trusted setup of a given size."""
        ...

    def survey(self, request: TuneRequest) -> Work:
        """An approximate lower bound of a circuit's work for this network: a quick estimate before the long search.

        Raises:
            UnsupportedModelError: the available trusted setups are too small.
            EngineTimeoutError: `search_seconds` of the request passed.
        """
        ...

    def tune(self, request: TuneRequest, *, progress: Progress | None = None) -> Tuned:
        """Choose the cheapest run arguments that meet the budget; a request gives the same choice on every machine.

        The choice is measured on all samples, and meets the budget with a margin that depends on their number. If
        `search_seconds` of the request pass before, it is the best so far, and may be measured on some samples only.

        Raises:
            BudgetError: no run arguments meet the budget.
            UnsupportedModelError: the available trusted setups are too small.
            TooCostlyError: the cheapest circuit exceeds the memory limit, or nothing was found in `search_seconds`.
            EngineTimeoutError: the same, if a call of the proving system was cut off.
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
        """Write the program files of a network into `folder`, including the network as `network.onnx`.

        The same arguments give the same files. The scale of an input is the bits by which it is finer than the others.
        Raises EngineError for run arguments that lesser ones could replace: a circuit has one recipe.
        """
        ...

    def work(self, folder: Path, setup_size: int | None = None) -> Work:
        """Predict the work of key generation and proving for the program in `folder`.

        `setup_size` is that of the available setup, which may be larger than the program needs.
        """
        ...

    def lost_constants(self, folder: Path, model: Path) -> tuple[str, ...]:
        """Sentences on constants of the owner's ONNX file that are 0 in the program in `folder`.

        Each names the node, the value, the scale and the effect. A constant that the engine merged into others is not
        mentioned.
        """
        ...

    def make_keys(self, folder: Path, setup: Path, proving_key: Path | None) -> Keys:
        """Write the verifying key into `folder` and the proving key to the path `proving_key`, unless that is None."""
        ...

    def forward(
        self, folder: Path, program: Program, batch: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[int]]]:
        """The circuit's own answers: for each sample (one list of integers per input) one list of integers per output.

        Raises RangeError if a value exceeds the range that the circuit can represent.
        """
        ...

    def session(self, folder: Path, program: Program) -> ForwardSession:
        """Keep a program loaded for many forward passes; the caller must close the session.

        The folder is read only while the session opens.
        """
        ...

    def headroom(self, folder: Path, run_arguments: RunArguments, batch: Sequence[Sequence[Sequence[int]]]) -> float:
        """The factor, at least 1, by which integers may exceed those of these samples before proving fails.

        Raises RangeError if a sample exceeds the range.
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

        `proving_key` is None if the engine needs none.
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
        """The digest, 32 bytes, that represents a hashed input of these integers in a statement.

        `tensor` is the input's index in the program; engines without support for a `salt` reject one.
        """
        ...

    def verify(self, folder: Path, program: Program, setup: Path, proof: Proof) -> None:
        """Check a proof and its statement under the verifying key in `folder`.

        Raises ProofRejectedError if the proof does not hold, or the statement does not have the program's layout.
        """
        ...

    @property
    def evm_selector(self) -> bytes | None:
        """The four bytes that name this engine's verifier at a router on a chain; None if it has no such verifier."""
        ...

    def evm_key(self, folder: Path) -> bytes:
        """The verifying key in the form that contracts take; raises EngineError if the engine has no verifier there."""
        ...


class ForwardSession(Protocol):
    """A program loaded for repeated forward passes; only the thread that opened it may use it."""

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """The circuit's own answer to one sample: one list of integers per input, and one per output.

        Raises:
            RangeError: a value exceeds the range that the circuit can represent; the session stays usable.
            EngineError: the engine failed; `usable` says whether the session can continue.
        """
        ...

    @property
    def usable(self) -> bool:
        """Whether `forward` can be called again."""
        ...

    def kill(self) -> None:
        """End the session immediately; the only call that another thread may make."""
        ...

    def close(self) -> None:
        """Free its resources; idempotent."""
        ...


# --- values that engines and callers exchange


class Program(BaseModel):
    """A network compiled by an engine; a function of the network and the run arguments alone.

    `layout` describes how its statements are encoded. `setup_size` is log2 of the size of the trusted setup that it
    needs. Every integer of a tensor is smaller than `integer_limit` in magnitude. `figures` are the engine's own
    numbers, for display only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    layout: Layout
    setup_size: Annotated[int, Field(ge=0, le=28)]
    integer_limit: Annotated[int, Field(ge=1, le=1 << 63)]
    figures: Annotated[dict[str, int], Field(max_length=16)]

    def describe_figures(self) -> str:
        """The figures in one line: `rows 3,371, log2(rows) 11`."""
        return ", ".join(f"{name} {value:,}" for name, value in self.figures.items())


@dataclass(frozen=True, slots=True)
class Keys:
    """The result of key generation: the digest that identifies the circuit, and sizes in bytes.

    `proof_bytes` is the exact length of every proof under these keys; `proving_key` is None if the engine needs none or
    none was requested.
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
    """A request to choose run arguments.

    `samples` holds calibration inputs by name, [N, *shape]; `reference` the float model's outputs for them.
    `labels` are their true classes, if known. `budget` is the tolerated loss; `max_setup_size` is log2 of the size of
    the largest available trusted setup. `max_memory` is the memory limit for proving in bytes, and affects the choice;
    None sets no limit. `speed` converts work into seconds, for display only. `names` holds the names of nodes in the
    owner's file, by the first output in the network, for messages. `search_seconds` limits the time of the search, and
    so makes its result depend on the machine; None sets no limit.
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
    names: Mapping[str, str] = field(default_factory=dict)
    search_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """An option that a tuner considered, with its cost (None if it was not computed) and its fidelity."""

    name: str
    cost: Cost | None
    fidelity: Fidelity
    within_budget: bool
    chosen: bool

    @property
    def prove_seconds(self) -> float:
        """Predicted seconds per proof; infinity if the cost was not computed."""
        return math.inf if self.cost is None else self.cost.prove_seconds


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuner's choice, and the options that it considered.

    `samples` is the number of calibration samples that the choice was measured on; None for all. `notes` are sentences
    for the model's owner, on what decided the cost for instance.
    """

    run_arguments: RunArguments
    options: tuple[Option, ...]
    samples: int | None = None
    notes: tuple[str, ...] = ()
