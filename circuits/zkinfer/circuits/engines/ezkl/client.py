"""Calls of ezkl in child processes: one method per call, JSON both ways, with the sizes of the answers checked."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zkinfer.circuits.engines.ezkl.artifacts import NETWORK
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.engines.messages import pack_request, read_best, unpack_result
from zkinfer.circuits.errors import EngineCrashedError, EngineError, EngineTimeoutError, RangeError
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.session import Session, SessionUser
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Program, Progress, Tuned, TuneRequest
    from zkinfer.circuits.sandbox.child import Limits
    from zkinfer.circuits.tensors import TensorSpec


_OPEN = "zkinfer.circuits.engines.ezkl.forward:open_forward"
_FEW_ROWS = 1 << 16
_MIN_TIMEOUT, _ROWS_PER_SECOND = 60.0, 10_000


class EzklSession(SessionUser):
    """One program in one child process.

    Small programs run on one core, see `forward.on_one_core`; larger ones gain more from several.
    """

    def __init__(self, folder: Path, program: Program, limits: Limits) -> None:
        self._inputs, self._sizes = program.inputs, [spec.size for spec in program.outputs]
        # Limited, since the engine's threads occasionally deadlock.
        timeout = _MIN_TIMEOUT + program.figures["rows"] / _ROWS_PER_SECOND
        self._session = Session(
            _OPEN,
            {
                "folder": str(folder.resolve()),
                "outputs_wanted": len(program.outputs),
                "integer_limit": program.integer_limit,
                "one_core": program.figures["rows"] <= _FEW_ROWS,
            },
            limits=replace(limits, seconds=min(limits.seconds, timeout)),
        )

    def forward(self, sample: Sequence[Sequence[int]]) -> list[list[int]]:
        """The outputs for one sample; the context is empty, since it does not affect them."""
        require_types(self._inputs, sample)
        tensors = [[0] * LIMBS, *(list(tensor) for tensor in sample)]
        outputs = self._session.ask(sample=tensors)
        if not isinstance(outputs, list) or [_size(tensor) for tensor in outputs] != self._sizes:
            raise EngineCrashedError("The engine returned tensors of other sizes than the program has.")
        return outputs


def require_types(inputs: Sequence[TensorSpec], sample: Sequence[Sequence[int]]) -> None:
    """Raise RangeError, with name, element and range, for an integer that the type of its input cannot hold."""
    for spec, tensor in zip(inputs, sample, strict=False):
        low, high = spec.integer_range
        wrong = next((place for place, value in enumerate(tensor) if not low <= value <= high), None)
        if wrong is not None:
            cause = (
                f"The input {spec.name!r} holds {tensor[wrong]} at element {wrong}; {spec.dtype} holds {low} to {high}."
            )
            raise RangeError(cause, "Check the input's values.")


def _size(tensor: object) -> int | None:
    """The number of integers in a list of integers; None for any other value."""
    if not isinstance(tensor, list) or not all(type(value) is int for value in tensor):
        return None
    return len(tensor)


_CALLS = "zkinfer.circuits.engines.ezkl.worker:"
_SEARCH = "zkinfer.circuits.engines.ezkl.worker:tune"
_CALLS_OF_A_SEARCH = 24


@dataclass(frozen=True, slots=True)
class Built:
    """A program's tensors, with the scales that the engine chose, and the engine's own settings."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    settings: dict[str, Any]

    @property
    def uses_lookups(self) -> bool:
        """Whether the program has lookup tables, whose range must be calibrated."""
        return bool(self.settings["required_lookups"])


@dataclass(frozen=True, slots=True)
class Forward:
    """Outputs as integers, per sample and output, and the extreme arguments of lookups.

    `missing_bits` are those of the constants that are lost; see `lost_constants`. Only `try_out` finds them.
    """

    outputs: list[list[list[int]]]
    lookup_low: int
    lookup_high: int
    missing_bits: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EzklProcess:
    """Calls of ezkl, each in its own child with these limits."""

    limits: child.Limits

    def settings(self, network: Path, options: Sequence[EzklArguments], folder: Path) -> list[dict[str, Any] | None]:
        """The engine's settings for each of these arguments, computed in one child; `folder` is for scratch files.

        The settings are None if the engine has none, or if values could wrap around the field.
        """
        return self._settings("sound_settings", network, options, folder)

    def sketch(self, network: Path, options: Sequence[EzklArguments], folder: Path) -> list[dict[str, Any] | None]:
        """The same without the check for values that wrap around: faster, and sufficient to compare sizes."""
        return self._settings("settings_of", network, options, folder)

    def _settings(
        self, name: str, network: Path, options: Sequence[EzklArguments], folder: Path
    ) -> list[dict[str, Any] | None]:
        settings: list[dict[str, Any] | None] = self.call(
            name,
            network=str(network.resolve()),
            options=[arguments.to_run_arguments() for arguments in options],
            folder=str(folder.resolve()),
        )
        return settings

    def least(self, network: Path, arguments: EzklArguments, settings: dict[str, Any]) -> EzklArguments:
        """The least arguments that give the same program; `settings` are the engine's for this network."""
        found = self.call(
            "least", network=str(network.resolve()), arguments=arguments.to_run_arguments(), settings=settings
        )
        return EzklArguments.parse(found)

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        arguments: EzklArguments,
        folder: Path,
    ) -> Built:
        """Write network and settings to `folder`.

        Raises:
            EngineError: the engine's tensors have other sizes than these.
            UnsupportedModelError: values could wrap around the field.
        """
        copy = folder / NETWORK
        if copy != network:
            shutil.copyfile(network, copy)
        settings = self.call(
            "build",
            network=str(copy.resolve()),
            arguments=arguments.to_run_arguments(),
            folder=str(folder.resolve()),
        )
        return _built(settings, inputs, outputs, arguments)

    def try_out(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        arguments: EzklArguments,
        batch: Sequence[Sequence[Sequence[int]]],
        folder: Path,
        *,
        likely_bits: int = 0,
    ) -> tuple[Built, Forward, int]:
        """`build`, `forward` and `bits_needed` in one call, under arguments that need not be sound for proofs.

        Raises:
            EngineError: as `build`, or the engine uses other input scales than the arguments.
        """
        answer = self.call(
            "try_out",
            network=str(network.resolve()),
            arguments=arguments.to_run_arguments(),
            batch=_with_empty_context(batch),
            outputs_wanted=len(outputs),
            likely_bits=likely_bits,
            folder=str(folder.resolve()),
        )
        built = _built(answer["settings"], inputs, outputs, arguments)
        wanted = [spec.common_scale + (arguments.input_scale if spec.is_float else 0) for spec in inputs]
        if [spec.common_scale for spec in built.inputs] != wanted:
            raise EngineError("The engine uses other input scales than the run arguments.")
        lost = tuple(answer["missing_bits"])
        return built, Forward(answer["outputs"], answer["lookup_low"], answer["lookup_high"], lost), answer["bits"]

    def forward(
        self,
        folder: Path,
        batch: Sequence[Sequence[Sequence[int]]],
        outputs: int,
        progress: Progress | None = None,
    ) -> Forward:
        """The first `outputs` outputs for every sample; the context is zero, since it does not affect them."""
        answer = self.call(
            "forward",
            progress,
            folder=str(folder.resolve()),
            batch=_with_empty_context(batch),
            outputs_wanted=outputs,
        )
        return Forward(answer["outputs"], answer["lookup_low"], answer["lookup_high"])

    def bits_needed(
        self, network: Path, arguments: EzklArguments, batch: Sequence[Sequence[Sequence[int]]], folder: Path
    ) -> int:
        """The minimum bit width of the integers that the circuit decomposes for these samples."""
        bits: int = self.call(
            "bits_needed",
            network=str(network.resolve()),
            arguments=arguments.to_run_arguments(),
            batch=_with_empty_context(batch),
            folder=str(folder.resolve()),
        )
        return bits

    def why_unsound(self, request: TuneRequest, arguments: EzklArguments) -> list[str]:
        """Why values could wrap around the field, and the cure; empty if they cannot."""
        network, names = str(request.network.resolve()), dict(request.names)
        why: list[str] = self.call("why_unsound", network=network, arguments=arguments.to_run_arguments(), names=names)
        return why

    def widest_lookup(
        self, network: Path, inputs: Sequence[TensorSpec], batch: Sequence[Sequence[Sequence[int]]]
    ) -> dict[str, Any] | None:
        """The function that looks up the widest arguments for these samples, see `worker.widest_lookup`."""
        found: dict[str, Any] | None = self.call(
            "widest_lookup",
            network=str(network.resolve()),
            scales=[spec.common_scale for spec in inputs],
            batch=[[list(tensor) for tensor in sample] for sample in batch],
        )
        return found

    def tune(self, request: TuneRequest, progress: Progress) -> Tuned:
        """See `tune.search`: the whole search runs in one child, with a longer time limit than a single call.

        The child stores the best result so far, in case that it is cut off in a long call of the engine.
        """
        limit = request.search_seconds
        seconds = _CALLS_OF_A_SEARCH * self.limits.seconds
        limits = replace(self.limits, seconds=seconds if limit is None else min(limit, seconds))
        with private_directory() as folder:
            best = folder / "best.json"
            arguments = {"request": pack_request(request, folder), "best": str(best.resolve())}
            try:
                return unpack_result(child.run(_SEARCH, arguments, limits=limits, progress=progress))
            except EngineTimeoutError:
                if limit is None or not best.is_file():
                    raise
                return read_best(best)

    def call(self, name: str, progress: Progress | None = None, /, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Call a function of `worker` in a child."""
        return child.run(_CALLS + name, arguments, limits=self.limits, progress=progress)

    def within(self, seconds: float) -> EzklProcess:
        """The same with at most so much time."""
        return EzklProcess(replace(self.limits, seconds=min(self.limits.seconds, seconds)))


def _built(
    settings: dict[str, Any], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], arguments: EzklArguments
) -> Built:
    """The tensors with the scales in the engine's settings; raises EngineError if their sizes differ.

    Bits by which an input is finer, see `lowering.pipeline.with_finer_inputs`, come on top.
    """
    public = [spec.size for spec in outputs]
    if arguments.input_visibility == "public":
        public = [LIMBS, *(spec.size for spec in inputs), *public]
    else:  # the context is repeated as the last output
        public = [*public, LIMBS]
    if public != [math.prod(shape) for shape in settings["model_instance_shapes"]]:
        raise EngineError("The engine sees tensors of other sizes than the model has.")
    return Built(
        _with_scales(inputs, settings["model_input_scales"][1:]),
        _with_scales(outputs, settings["model_output_scales"][: len(outputs)]),
        settings,
    )


def _with_empty_context(batch: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    return [[[0] * LIMBS, *(list(tensor) for tensor in sample)] for sample in batch]


def _with_scales(specs: Sequence[TensorSpec], scales: Sequence[int]) -> tuple[TensorSpec, ...]:
    return tuple(
        spec.model_copy(update={"scale": spec.common_scale + scale}) for spec, scale in zip(specs, scales, strict=True)
    )
