"""Networks of whole numbers: with scales and exponents of 0, the circuit's integers are the model's numbers."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tests.unit.circuits.engines.ashlar.interpreter import Interpreter

from zkinfer.circuits.engines.ashlar.assembly import assemble
from zkinfer.circuits.engines.ashlar.forward import ForwardPass
from zkinfer.circuits.engines.ashlar.lowering.drafts import draft
from zkinfer.circuits.engines.ashlar.lowering.pipeline import plan
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe

ML = "ai.onnx.ml"


def model(shape, outputs, *nodes, opset=17, kind=TensorProto.FLOAT, **constants):
    """A model of nodes `(operator, inputs, output, attributes)` with the input x."""
    made = []
    for operator, inputs, output, *given in nodes:
        domain = ML if operator.startswith("TreeEnsemble") else ""
        made.append(helper.make_node(operator, inputs.split(), output.split(), domain=domain, **(given or [{}])[0]))
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()]
    entry = helper.make_tensor_value_info("x", kind, shape)
    weights = [numpy_helper.from_array(_typed(value), name) for name, value in constants.items()]
    domains = [helper.make_opsetid("", opset), helper.make_opsetid(ML, 3)]
    graph = helper.make_graph(made, "g", [entry], ports, weights)
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def _typed(value):
    """Arrays of integers are shapes; all other constants are float32."""
    shape = isinstance(value, np.ndarray) and value.dtype == np.int64
    return value if shape else np.asarray(value, np.float32)


def whole(seed, *shape, most=3):
    """Small whole numbers."""
    return np.random.default_rng(seed).integers(-most, most + 1, shape).astype(np.float32)


def recipe(planned, *, scale=0, bits=4, signed=True, width=14, a=0, exponent=0, own=(), **more):
    """One entry for everything, wide enough not to clip; `own` are the fraction bits of some blocks."""
    own = dict(own)
    return AshlarRecipe.parse(
        {
            "semantics": 1,
            "profile": "plain",
            "chunkBits": 10,
            "input": {"scale": scale, "bits": bits, "signed": signed},
            "activations": {name: [own.get(name, a), width] for name in planned.clamps}
            | {name: [a, width, a] for name in planned.stored},
            "weights": dict.fromkeys(planned.weights, exponent),
            **more,
        }
    )


def inputs_of(graph, count, low, high, seed=0):
    shape = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).integers(low, high + 1, (count, *shape))


def floats(graph, inputs):
    """The outputs of onnxruntime: one array [N, elements] for each."""
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    dtype = helper.tensor_dtype_to_np_dtype(graph.graph.input[0].type.tensor_type.elem_type)
    answers = [session.run(None, {"x": sample.astype(dtype)}) for sample in inputs]
    return [np.stack([answer[at].ravel() for answer in answers]) for at in range(len(answers[0]))]


def integers(graph, inputs, *, boxes=True, listed=False, **given):
    """The circuit's numbers, on plain tensors and, if asked, cell by cell from the bytes of the program."""
    planned = plan(graph, listed=listed)
    chosen = recipe(planned, **given)
    made = draft(planned, chosen)
    assembly = assemble(made, chosen)
    rows = inputs.reshape(len(inputs), -1)
    answers = ForwardPass(made).run(rows)
    if boxes:
        interpreter = Interpreter(assembly.code, assembly.weights)
        for at, row in enumerate(rows[:2]):
            assert [list(map(int, one)) for one in interpreter.forward(row)[1]] == [one[at].tolist() for one in answers]
    return [np.ldexp(one.astype(np.float64), -scale) for one, scale in zip(answers, assembly.scales, strict=True)]


def assert_exact(graph, *, low=-7, high=7, count=6, scale=0, **given):
    """The circuit computes what onnxruntime does, to the last bit; inputs are whole numbers of 2^-scale."""
    inputs = inputs_of(graph, count, low, high)
    answers = floats(graph, np.ldexp(inputs.astype(np.float64), -scale))
    for mine, theirs in zip(integers(graph, inputs, scale=scale, **given), answers, strict=True):
        np.testing.assert_array_equal(mine, theirs.astype(np.float64))
