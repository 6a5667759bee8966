"""How much a model computes, layer by layer: what cost estimates and their refusals speak of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

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
