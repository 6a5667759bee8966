"""Far too large models are refused with costs, within 2 GB of memory in this process and its children."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from tests.integration import bench

MB = 10**6
COMPILE = """
import json, resource, sys
from pathlib import Path
from zkinfer.circuits import CompileOptions, Home, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.errors import ZkinferError

model, folder, memory = sys.argv[1:]
options = CompileOptions(setup="insecure-dev", max_memory=int(memory))
try:
    compile_model(Path(model), Path(folder) / "c", engine=EzklEngine(), home=Home(Path(folder)), options=options)
except ZkinferError as err:
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([type(err).__name__, err.cause, sum(peaks) * 1024]))
"""


def graph(body, inputs, output, **constants):
    text = f'<ir_version: 8, opset_import: ["": 17]> absurd ({inputs}) => ({output}) {{ {body} }}'
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return model


def weights(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


ABSURD = {
    "matmul": lambda: graph("y = MatMul(x, w)", "float[2000,2000] x", "float[2000,3000] y", w=weights(2000, 3000)),
    "einsum": lambda: graph(
        'y = Einsum<equation="ij,jk->ik">(x, w)', "float[2000,2000] x", "float[2000,3000] y", w=weights(2000, 3000)
    ),
    "lstm": lambda: graph(
        "y = LSTM<hidden_size=1024>(x, w, r)",
        "float[500,1,1024] x",
        "float[500,1,1,1024] y",
        w=weights(1, 4096, 1024),
        r=weights(1, 4096, 1024),
    ),
    "expand": lambda: graph(
        "h = Expand(x, s) y = Sigmoid(h)", "float[1,1] x", "float[4096,4096] y", s=np.array([4096, 4096])
    ),
}


@pytest.mark.parametrize("name", ABSURD)
def test_far_too_large_model_is_refused_with_costs_within_two_gigabytes(name, tmp_path):
    onnx.save(ABSURD[name](), tmp_path / "m.onnx")
    arguments = [sys.executable, "-c", COMPILE, tmp_path / "m.onnx", tmp_path, str(2000 * MB)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True, cwd=bench.REPOSITORY)
    kind, cause, peak = json.loads(done.stdout)
    assert kind == "TooCostlyError"
    assert "2 GB may be used" in cause
    assert " most are in: " in cause
    assert peak < 2000 * MB
