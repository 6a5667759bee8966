"""Descriptions of a model, which the child returns to its parent as JSON."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT_INPUT = "ctx"
CONTEXT_OUTPUT = "ctx_out"
NORMALISER = "zkinfer-normal/2"
_NAMED = 5


class Layer(BaseModel):
    """One node of the normal form: its multiply-accumulates and the elements of its results."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    operator: str
    multiplications: int
    elements: int

    @property
    def weight(self) -> int:
        """Lower bound of the cells that the layer takes in a circuit."""
        return max(self.multiplications, self.elements)


class Workload(BaseModel):
    """Sums over all layers, and the heaviest layers in descending order of weight."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    multiplications: int
    elements: int
    heaviest: tuple[Layer, ...]

    @property
    def cells(self) -> int:
        """Lower bound of the cells that the model takes in a circuit."""
        return max(self.multiplications, self.elements)

    def costliest_layers(self) -> str:
        """One sentence that names the heaviest layers and their shares; empty if the total weight is 0."""
        total = self.multiplications + self.elements
        named = [
            f"{layer.operator} {layer.name[:60]} ({layer.weight:,}, {layer.weight / total:.0%})"
            for layer in self.heaviest[:_NAMED]
            if layer.weight
        ]
        if not named:
            return ""
        kinds = (("multiplications", self.multiplications), ("results of other operations", self.elements))
        work = " and ".join(f"{count:,} {kind}" for kind, count in kinds if count)
        return f"Of its {work} most are in: {', '.join(named)}."


def _digest(value: object) -> Digest:
    if isinstance(value, Digest):
        return value
    try:
        return Digest.parse(str(value))
    except InputError as err:  # pydantic collects ValueErrors only
        raise ValueError(err.cause) from err


DigestField = Annotated[Digest, PlainValidator(_digest), PlainSerializer(str)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Port(_Value):
    """An input or output as the file declares it; a dimension without a size is given by its name, or as `?`."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class ModelSummary(_Value):
    """The content of a model file.

    `workload` assumes size 1 for every symbolic dimension. `problems` lists why `normalise_model` would reject the
    model, as far as this can be found without running it.
    """

    sha256: DigestField
    bytes: int
    opset: int
    producer: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]
    nodes: int
    parameters: int
    workload: Workload
    problems: tuple[str, ...]


class NormalisedModel(_Value):
    """The normal form of a model: its digest, and its inputs and outputs without those that an engine adds.

    `workload` is that of the normal form; `notes` are sentences for the model's owner. `names` says what the owner's
    file calls the nodes of the normal form, by the name of their first output there.
    """

    sha256: DigestField
    normaliser: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    workload: Workload
    summary: ModelSummary
    notes: tuple[str, ...] = ()
    names: dict[str, str] = {}


SCORES_COMMAND = "zkinfer scores MODEL.onnx"
"""What a cure calls the command that cuts labels and Softmax off, before the name of the file is known."""


class Finding(_Value):
    """Why an engine does not support a node: the node's name (or a value it computes), the cause and the cure."""

    node: str
    cause: str
    cure: str

    def of_file(self, model: Path) -> Finding:
        """The same with commands for this file that can be run as they are."""
        command = f"zkinfer scores {shlex.quote(str(model))} --out {shlex.quote(f'{model.stem}-scores.onnx')}"
        return self.model_copy(update={"cure": self.cure.replace(SCORES_COMMAND, command)})


class Findings(_Value):
    """All reasons why an engine does not support a model, in the order of its nodes."""

    found: tuple[Finding, ...]
