"""Convolutions between operators without a batch axis, which the engine's ONNX reader then removes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.networks import MODELS, write
from onnx import TensorProto, helper, numpy_helper, parser

from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.tensors import quantise_batch

SCALE = 8
NEAR = 0.05  # of values around 1: a few steps of the scale
INPUTS = {"x": (1, 3, 5, 5), "series": (1, 7, 3), "flat": (1, 36)}
WEIGHTS = {
    "q": (2, 4, 1, 1),
    "k": (4, 4, 3, 3),
    "d": (4, 1, 3, 3),
    "one": (4, 1, 1, 1),
    "b": (4,),
    "along": (4, 4, 3),
    "into": (3, 4),
    "out": (4, 2),
    "wide": (64, 2),
}
# Between pointwise convolutions, the first with weights of its own; each computes the output of its name.
WITHIN = {
    "depthwise": "Conv<group=4, pads=[1,1,1,1]>(h, d)",
    "biased": "Conv<group=4>(h, d, b)",
    "one_place": "Conv<group=4>(h, one)",
    "dense": "Conv<pads=[1,1,1,1]>(h, k, b)",
    "strided": "Conv<strides=[2,2]>(h, k)",
}
WEIGHTS |= {f"first_{name}": (4, 3, 1, 1) for name in WITHIN}
OTHERS = {
    "channels_last": "a = MatMul(series, into) c = Transpose<perm=[0,2,1]>(a) e = Conv(c, along) "
    "g = Transpose<perm=[0,2,1]>(e) channels_last = MatMul(g, out)",
    "reshaped": "a = Reshape(flat, sizes) c = Conv(a, d) e = Flatten(c) reshaped = MatMul(e, wide)",
}


def nodes():
    bodies = {
        name: f"a = Conv(x, first_{name}) h = Relu(a) c = {body} {name} = Conv(c, q)" for name, body in WITHIN.items()
    }
    for name, body in (bodies | OTHERS).items():
        graph = parser.parse_graph(f"g (float[1] x) => (float[1] y) {{ {body} }}")
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [one if one in {*INPUTS, *WEIGHTS, "sizes", name} else f"{name}_{one}" for one in names]
            yield node


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One model with all cases."""
    path, rng = tmp_path_factory.mktemp("convolutions") / "model.onnx", np.random.default_rng(5)
    weights = {name: (rng.normal(size=shape) / 2).astype(np.float32) for name, shape in WEIGHTS.items()}
    held = [
        numpy_helper.from_array(array, name) for name, array in (weights | {"sizes": np.array([1, 1, 6, 6])}).items()
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in INPUTS.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (*WITHIN, *OTHERS)]
    graph = helper.make_graph(list(nodes()), "g", inputs, outputs, held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def answers(model, folder, visibility, samples):
    """The outputs of the circuit, dequantised."""
    engine = EzklEngine()
    normal = engine.lower(model, folder / "normal.onnx", dimensions={}, input_visibility=visibility)
    arguments = EzklArguments(
        input_scale=SCALE,
        param_scale=SCALE,
        decomp_base=1 << 12,
        decomp_legs=3,
        lookup_range=(0, 0),
        logrows=17,
        input_visibility=visibility,
    ).to_run_arguments()
    program = engine.build(folder / "normal.onnx", normal.inputs, normal.outputs, arguments, folder)
    [answer] = engine.forward(folder, program, quantise_batch(samples, program.inputs))
    return {spec.name: np.array(numbers) / 2**spec.scale for spec, numbers in zip(program.outputs, answer, strict=True)}


@pytest.mark.parametrize("visibility", ["public", "hashed"])
def test_convolutions_agree_with_onnxruntime(model, tmp_path, visibility):
    rng = np.random.default_rng(7)
    sample = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in INPUTS.items()}
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = dict(zip([*WITHIN, *OTHERS], session.run(None, sample), strict=True))
    made = answers(model, tmp_path, visibility, {name: array[None] for name, array in sample.items()})
    far = {name: np.abs(made[name] - expected[name].reshape(-1)).max() for name in expected}
    assert {name: error for name, error in far.items() if error > NEAR} == {}


def test_program_of_a_convolution_is_reproducible(tmp_path):
    """On several threads, the engine's row counts would differ from run to run."""
    model, network = tmp_path / "model.onnx", tmp_path / "network.onnx"
    write(model, next(one for one in MODELS if one.channels))
    normal = EzklEngine().lower(model, network, dimensions={}, input_visibility="public")
    arguments = EzklArguments(
        input_scale=13,
        param_scale=14,
        decomp_base=4096,
        decomp_legs=3,
        lookup_range=(0, 0),
        logrows=15,
        scale_rebase_multiplier=2,
    )
    found = set()
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        EzklEngine().build(network, normal.inputs, normal.outputs, arguments.to_run_arguments(), folder)
        found.add((folder / "settings.json").read_bytes())
    assert len(found) == 1
