"""Plan a normalised network, or say why Ashlar does not support it. Imported in the child only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.engines.ashlar.lowering.build import Builder
from zkinfer.circuits.engines.ashlar.lowering.chains import join_chains
from zkinfer.circuits.engines.ashlar.lowering.network import Network
from zkinfer.circuits.engines.ashlar.lowering.passes import drop_copies, drop_end_views, fold_before, fold_behind
from zkinfer.circuits.engines.ashlar.lowering.plan import (
    Exact,
    Plan,
    PlannedInput,
    Scaled,
    Thresholds,
    Weighted,
)
from zkinfer.circuits.engines.ashlar.lowering.refusals import SCORES
from zkinfer.circuits.engines.ashlar.lowering.views import natural
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import runtime, worker
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.frontend.passes.pipeline import Lowering
from zkinfer.circuits.frontend.quantised import with_plain_constants
from zkinfer.circuits.frontend.scores import with_scores
from zkinfer.circuits.frontend.validate import as_tensors, refuse_problems, refused_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import onnx

    from zkinfer.circuits.engines.ashlar.lowering.plan import Part
    from zkinfer.circuits.frontend.worker import NormalForm

LOWERING = Lowering(keep_trees=True)


def plan(model: onnx.ModelProto, *, listed: bool = False) -> Plan:
    """What a normalised network becomes, whatever the recipe.

    Args:
        model: the normal form.
        listed: whether the recipe has a scale for each feature of the input, which then keeps its own dimensions.

    Raises:
        UnsupportedModelError: an operator or a layout is not supported; the message names the node and a cure.
    """
    return _planned(Network(model), listed=listed)


def _planned(network: Network, *, listed: bool) -> Plan:
    drop_copies(network)
    drop_end_views(network, listed=listed)
    fold_behind(network)
    join_chains(network)
    fold_before(network)
    blocks, outputs = Builder(network).run()
    tabled = [block for block in blocks if block.given is None]
    parts = [part for block in blocks for part in block.parts]
    parts += [part for output in outputs for part in output.parts]
    weighted = dict.fromkeys(part.key for part in parts if isinstance(part, (Scaled, Weighted)))
    return Plan(
        _input(network, parts),
        tuple(blocks),
        tuple(outputs),
        clamps=tuple(block.name for block in tabled if block.function is None),
        stored=tuple(block.name for block in tabled if block.function is not None),
        weights=tuple(weighted),
        tiled=tuple(dict.fromkeys(part.key for part in parts if isinstance(part, Weighted) and part.tiles)),
    )


def _input(network: Network, parts: Sequence[Part]) -> PlannedInput:
    name, shape = network.input, network.shapes[network.input]
    view = natural(name, [[size] for size in shape])
    spans = tuple(place.span for place in view.dims[-1]) if shape else ()
    return PlannedInput(
        name,
        view.factors,
        features=shape[-1] if shape else 1,
        integers=name not in network.floats,
        listed=all(_sums_over(part, name, spans) for part in parts),
    )


def _sums_over(part: Part, name: str, spans: tuple[object, ...]) -> bool:
    """Whether a part reads the input, if at all, as a sum over exactly its last axis."""
    if isinstance(part, Weighted):
        return all(one.reading.block != name or one.summed == spans for one in part.parts)
    if isinstance(part, (Exact, Thresholds)):
        return True
    return not hasattr(part, "reading") or part.reading.block != name


def lower(path: str, digest: str, out: str, dimensions: dict[str, int], input_visibility: str) -> str:  # noqa: ARG001 - the same for every visibility
    """See `zkinfer.circuits.engines.base.Engine.lower`; the answer is a NormalisedModel as JSON."""
    return worker.lowered(path, digest, out, lambda model, seed: normal_form(model, dimensions, seed))


def normal_form(original: onnx.ModelProto, dimensions: Mapping[str, int], seed: int) -> NormalForm:
    """The frontend's normal form with tree ensembles as they are, if Ashlar supports it."""
    return worker.normal_form(original, dimensions, seed, LOWERING, refuse_lowered=_refuse_unsupported)


def _refuse_unsupported(model: onnx.ModelProto) -> None:
    for _, problem in unsupported(model):
        raise problem


def supports(path: str, digest: str) -> str:
    """See `zkinfer.circuits.engines.base.Engine.supports`; the answer is a Findings as JSON."""
    original = with_plain_constants(as_tensors(load(Path(path), Digest.parse(digest))))
    found = list(refused_nodes(original.graph))
    if not found:
        refuse_problems(original)
        runtime.check(original)
        found = list(unsupported(worker.lowering_stages(original, {}, LOWERING).simple))
    return worker.findings(found)


def unsupported(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, UnsupportedModelError]]:
    """The first node of a normal form that Ashlar does not support, and why."""
    network = Network(model)
    try:
        _planned(network, listed=False)
    except UnsupportedModelError as problem:
        name = network.current.output if network.current is not None else ""
        found = next((node for node in model.graph.node if name in node.output), model.graph.node[0])
        if _takes_scores(model):
            problem = UnsupportedModelError(problem.cause, f"{SCORES} Ashlar supports that model.")
        yield found, problem


def _takes_scores(model: onnx.ModelProto) -> bool:
    """Whether nothing but labels and a Softmax at the end stands in the way."""
    try:
        _planned(Network(with_scores(model).model), listed=False)
    except UnsupportedModelError:
        return False
    return True
