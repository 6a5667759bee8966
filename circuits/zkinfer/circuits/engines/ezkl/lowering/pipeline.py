"""Lower an ONNX model to ezkl's normal form, or report what ezkl does not support. Imported in the child only.

The context of a proof becomes the first input of the network. No node reads it, but it binds the proof to its request.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from zkinfer.circuits.digest import Digest
from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.lowering import cheaper_forms, fuse_scales, guards, operators, workarounds
from zkinfer.circuits.engines.ezkl.lowering.decompose import lowered as decomposed
from zkinfer.circuits.engines.ezkl.lowering.small_divisors import with_zero_quotients
from zkinfer.circuits.engines.ezkl.lowering.unsupported import refuse_unsupported, unsupported
from zkinfer.circuits.errors import UnsupportedModelError
from zkinfer.circuits.frontend import runtime, worker
from zkinfer.circuits.frontend.graph import Facts, replace_all, values
from zkinfer.circuits.frontend.load import load
from zkinfer.circuits.frontend.operators import words
from zkinfer.circuits.frontend.passes import pipeline as shared
from zkinfer.circuits.frontend.passes.pipeline import Lowering, rule_pass
from zkinfer.circuits.frontend.prune import port, pruned, serialised
from zkinfer.circuits.frontend.quantised import with_plain_constants
from zkinfer.circuits.frontend.validate import as_tensors, label, refuse_problems, refused_nodes
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from zkinfer.circuits.errors import ModelError
    from zkinfer.circuits.frontend.worker import NormalForm


CONTEXT_INPUT, CONTEXT_OUTPUT = "ctx", "ctx_out"

LOWERING = Lowering(
    passes={
        "unread outputs": shared.UNREAD_OUTPUTS,
        "repeated values": shared.REPEATED_VALUES,
        "moves of data": shared.DATA_MOVES,
        "algebra": shared.ALGEBRA,
        "increasing functions after maxima": rule_pass(cheaper_forms.MAXIMA),
        "compound operators": rule_pass(cheaper_forms.COMPOUND),
        "shifts": shared.SHIFTS,
        "factors": rule_pass(fuse_scales.RULES),
        "piecewise-linear activations": rule_pass(cheaper_forms.PIECEWISE_LINEAR),
        "cheaper products": rule_pass(cheaper_forms.PRODUCTS),
        "batch axes": rule_pass(workarounds.BATCH_AXIS_RULES),
        "indices": workarounds.hold_indices,
    },
    rewrite=decomposed,
    input_scales=fuse_scales.finer_inputs,
)


def lower(path: str, digest: str, out: str, dimensions: dict[str, int], input_visibility: str) -> str:
    """See `zkinfer.circuits.engines.base.Engine.lower`; the answer is a NormalisedModel as JSON.

    Partial functions and inputs get guards in the graph; if inputs are not public, the context is also an output.
    Inputs behind a scaler are finer by the bits that `scale` of their spec says, see `with_finer_inputs`.
    """

    def made(model: onnx.ModelProto, seed: int) -> NormalForm:
        normal = normal_form(model, dimensions, seed, hashed=input_visibility == "hashed")
        finer = with_finer_inputs(normal.model, normal.inputs)
        return normal._replace(model=with_context(finer, output=input_visibility != "public"))

    return worker.lowered(path, digest, out, made)


def supports(path: str, digest: str) -> str:
    """See `zkinfer.circuits.engines.base.Engine.supports`; the answer is a Findings as JSON.

    Unsupported uses of operators are reported only if all operators are supported: a model with others cannot be
    simplified.
    """
    original = with_plain_constants(as_tensors(load(Path(path), Digest.parse(digest))))
    found = [*refused_nodes(original.graph), *refused_operators(original)]
    if not found:
        refuse_problems(original)
        _refuse_reserved_names(original)
        runtime.check(original)
        found = list(unsupported(worker.lowering_stages(original, {}, LOWERING).simple))
    return worker.findings(found)


def normal_form(
    original: onnx.ModelProto, dimensions: Mapping[str, int], seed: int, *, hashed: bool = False
) -> NormalForm:
    """ezkl's normal form without the context; see `guards.with_guards`."""
    return worker.normal_form(
        original,
        dimensions,
        seed,
        LOWERING,
        refuse=_refuse_as_read,
        refuse_lowered=refuse_unsupported,
        finish=lambda model, inputs: guards.with_guards(with_zero_quotients(model), inputs, hashed=hashed),
    )


def refused_operators(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, ModelError]]:
    """Every node with a standard operator that ezkl does not support in any form, and why."""
    for node in model.graph.node:
        refused = operators.refusal(node.op_type[:80]) if node.domain in ("", "ai.onnx") else None
        if refused is not None:
            yield node, UnsupportedModelError(f"{refused[0]} (node {label(node)})", refused[1])


def _refuse_as_read(model: onnx.ModelProto) -> None:
    for _, problem in refused_operators(model):
        raise problem
    _refuse_reserved_names(model)


def _refuse_reserved_names(model: onnx.ModelProto) -> None:
    graph = model.graph
    names = {port.name for port in graph.input} | {tensor.name for tensor in graph.initializer}
    names |= {name for node in graph.node for name in node.output}
    for name in (CONTEXT_INPUT, CONTEXT_OUTPUT):
        if name in names:
            raise UnsupportedModelError(f"The name {name!r} is reserved for the context of a proof.", "Rename it.")


def nodes_in(network: Path) -> list[list[str]]:
    """Operator and first output of each node of a network, in order."""
    return [[node.op_type, node.output[0]] for node in onnx.load(network).graph.node]


def first_nodes(network: Path, count: int) -> bytes:
    """The network up to its node number `count`: it returns what no node of this part reads."""
    model = runtime.infer_shapes(onnx.load(network))
    known, graph = values(model.graph), model.graph
    kept = graph.node[:count]
    read = {name for node in kept for name in node.input}
    computed = [name for node in kept for name in node.output if name]
    wanted = {port.name for port in graph.output}
    replace_all(graph.output, [known[name] for name in computed if name not in read or name in wanted])
    replace_all(graph.node, kept)
    replace_all(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
    del graph.value_info[:]
    return serialised(model)


def with_context(model: onnx.ModelProto, *, output: bool) -> onnx.ModelProto:
    """Add the context as the first input and, with `output`, also as the last output; in place."""
    spec = TensorSpec(name=CONTEXT_INPUT, dtype="float32", shape=(1, LIMBS))
    model.graph.input.insert(0, port(spec))
    if output:
        model.graph.node.append(helper.make_node("Identity", [CONTEXT_INPUT], [CONTEXT_OUTPUT]))
        model.graph.output.append(port(spec.model_copy(update={"name": CONTEXT_OUTPUT})))
    return model


def with_finer_inputs(model: onnx.ModelProto, inputs: Iterable[TensorSpec]) -> onnx.ModelProto:
    """Let each input with a scale s take x · 2^s instead of x, in place, and divide it by 2^s where it is first used.

    The engine divides by a power of two by renaming the scale: the same integer has s bits more of fraction, at no row.
    Shifts and moves of data come before that, since results of such scales are rescaled.
    """
    bits = {spec.name: spec.common_scale for spec in inputs if spec.common_scale}
    graph, facts = model.graph, Facts(model)
    nodes: list[onnx.NodeProto] = []
    divided: dict[str, str] = {}
    for node in graph.node if bits else ():
        if _passes_on(node, bits, facts):
            finer = next(bits[name] for name in node.input if name in bits)
            bits[node.output[0]] = finer
            if node.op_type == "Add":
                replace_all(node.input, [_raised(name, finer, facts) for name in node.input])
        elif not _compares_with_zero(node, facts):
            new = {
                name: facts.fresh(name) for name in dict.fromkeys(node.input) if name in bits and name not in divided
            }
            nodes += [helper.make_node("Mul", [name, _power(-bits[name], facts)], [new[name]]) for name in new]
            divided |= new
            replace_all(node.input, [divided.get(name, name) for name in node.input])
        nodes.append(node)
    if not bits:
        return model
    replace_all(graph.node, nodes)
    graph.initializer.extend(facts.added)
    return pruned(model)


_SHIFTS_AND_MOVES = words("Add Concat Flatten Gather Reshape Slice Squeeze Transpose Unsqueeze Where")


def _passes_on(node: onnx.NodeProto, finer: Mapping[str, int], facts: Facts) -> bool:
    """Whether a node gives s · f(x) for s · x: all of its data are finer by the same bits, or are added constants."""
    if node.op_type not in _SHIFTS_AND_MOVES or node.output[0] in facts.outputs:
        return False
    data = {"Add": node.input, "Concat": node.input, "Where": node.input[1:]}.get(node.op_type, node.input[:1])
    bits = {finer.get(name) for name in data if node.op_type != "Add" or name not in facts.constants}
    return len(bits) == 1 and None not in bits


def _compares_with_zero(node: onnx.NodeProto, facts: Facts) -> bool:
    array = facts.array(node.input[1]) if node.op_type in ("Greater", "Less") else None
    return array is not None and not array.any()


def _raised(name: str, bits: int, facts: Facts) -> str:
    """A constant multiplied by 2^bits, exactly; another operand as it is."""
    array = facts.array(name)
    return name if array is None else facts.new_constant(name, np.ldexp(array, bits).astype(np.float32))


def _power(exponent: int, facts: Facts) -> str:
    return facts.new_constant("power", np.array(math.ldexp(1.0, exponent), np.float32))
