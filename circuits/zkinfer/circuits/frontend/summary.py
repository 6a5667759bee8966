"""What is known about a model: plain values that travel from the child to the caller as JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.tensors import TensorSpec

_NAMED = 5


class Layer(BaseModel):
    """One node of the normal form: multiply-accumulates, and elements of its results."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    operator: str
    multiplications: int
    elements: int

    @property
    def weight(self) -> int:
        """Places in a circuit that the layer takes at least."""
        return max(self.multiplications, self.elements)


class Workload(BaseModel):
    """Sums over all layers, and the layers that weigh most, heaviest first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    multiplications: int
    elements: int
    heaviest: tuple[Layer, ...]

    @property
    def places(self) -> int:
        """In a circuit, that the model takes at least."""
        return max(self.multiplications, self.elements)

    def costliest_layers(self) -> str:
        """One sentence naming the heaviest layers and their shares; empty where nothing weighs anything."""
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


CONTEXT_INPUT = "ctx"
CONTEXT_OUTPUT = "ctx_out"
NORMALISER = "zkinfer-normal/2"


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
    """An input or output as the file declares it; a dimension without a size is its name, or `?`."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class ModelSummary(_Value):
    """What a model file holds.

    `workload` is counted with every symbolic dimension at 1.
    `problems` lists why `normalise_model` would refuse it, as far as reading alone can tell.
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
    """The normal form of a model: its digest and its ports, the context input and output not among them.

    `workload` counts what the normal form computes.
    """

    sha256: DigestField
    normaliser: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    workload: Workload
    summary: ModelSummary


class Objection(_Value):
    """Why no circuit can take one node: the node's name (or a value it computes), the cause and the cure."""

    node: str
    cause: str
    cure: str


class Objections(_Value):
    """All that stands in the way of a model, in the order of its nodes."""

    found: tuple[Objection, ...]
