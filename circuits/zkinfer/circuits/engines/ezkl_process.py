"""Talking to ezkl in a child process: one method per call, JSON both ways, sizes of the answers checked."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zkinfer.circuits import child
from zkinfer.circuits.context import LIMBS
from zkinfer.circuits.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zkinfer.circuits.engines.base import Progress
    from zkinfer.circuits.engines.ezkl_arguments import EzklArguments
    from zkinfer.circuits.tensors import TensorSpec

_CALLS = "zkinfer.circuits.engines.ezkl_calls:"


@dataclass(frozen=True, slots=True)
class Built:
    """A program's tensors at the scales that the engine chose for them, and the engine's own settings."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    settings: dict[str, Any]

    @property
    def uses_lookups(self) -> bool:
        """Whether the program has lookup tables, whose range must be calibrated."""
        return bool(self.settings["required_lookups"])


@dataclass(frozen=True, slots=True)
class Forward:
    """Outputs as integers, per sample and output, and the extremes that lookup tables were asked for."""

    outputs: list[list[list[int]]]
    lookup_low: int
    lookup_high: int


@dataclass(frozen=True, slots=True)
class EzklProcess:
    """Calls of ezkl, each in a child of its own with these limits."""

    limits: child.Limits

    def settings(self, network: Path, options: Sequence[EzklArguments], folder: Path) -> list[dict[str, Any]]:
        """The engine's settings for each of these arguments, in one child; `folder` is for its scratch files."""
        settings: list[dict[str, Any]] = self.call(
            "settings_of",
            network=str(network.resolve()),
            options=[arguments.to_run_arguments() for arguments in options],
            folder=str(folder.resolve()),
        )
        return settings

    def build(
        self,
        network: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        arguments: EzklArguments,
        folder: Path,
    ) -> Built:
        """Write network and settings to `folder`; raises EngineError where tensors differ from ours."""
        own = folder / "network.onnx"
        if own != network:
            shutil.copyfile(network, own)
        settings = self.call(
            "build",
            network=str(own.resolve()),
            arguments=arguments.to_run_arguments(),
            folder=str(folder.resolve()),
        )
        public = [spec.size for spec in outputs]
        if arguments.input_visibility == "public":
            public = [LIMBS, *(spec.size for spec in inputs), *public]
        else:  # then the context is repeated as the last output
            public = [*public, LIMBS]
        if public != [math.prod(shape) for shape in settings["model_instance_shapes"]]:
            raise EngineError("The engine sees tensors of other sizes than the model has.")
        return Built(
            _with_scales(inputs, settings["model_input_scales"][1:]),
            _with_scales(outputs, settings["model_output_scales"][: len(outputs)]),
            settings,
        )

    def forward(
        self,
        folder: Path,
        batch: Sequence[Sequence[Sequence[int]]],
        outputs: int,
        progress: Progress | None = None,
    ) -> Forward:
        """The first `outputs` outputs for every sample; the context is zero there, since it changes none of them."""
        samples = [[[0] * LIMBS, *(list(tensor) for tensor in sample)] for sample in batch]
        answer = self.call("forward", progress, folder=str(folder.resolve()), batch=samples, outputs_wanted=outputs)
        return Forward(answer["outputs"], answer["lookup_low"], answer["lookup_high"])

    def call(self, name: str, progress: Progress | None = None, /, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Run a function of `ezkl_calls` in a child."""
        return child.run(_CALLS + name, arguments, limits=self.limits, progress=progress)

    def within(self, seconds: float) -> EzklProcess:
        """The same with less time."""
        return EzklProcess(replace(self.limits, seconds=min(self.limits.seconds, seconds)))


def _with_scales(specs: Sequence[TensorSpec], scales: Sequence[int]) -> tuple[TensorSpec, ...]:
    return tuple(spec.model_copy(update={"scale": scale}) for spec, scale in zip(specs, scales, strict=True))
