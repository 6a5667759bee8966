"""Witnesses that wrap around the field, with the real engine: they cannot be proven, or the circuit is refused."""

from pathlib import Path

import ezkl
import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.engines.ezkl import bindings
from zkinfer.circuits.engines.ezkl import worker as ezkl_worker
from zkinfer.circuits.engines.ezkl.artifacts import NETWORK, SETTINGS
from zkinfer.circuits.engines.ezkl.instances import MODULUS
from zkinfer.circuits.engines.ezkl.lowering import pipeline
from zkinfer.circuits.engines.ezkl.run_args import EzklArguments
from zkinfer.circuits.errors import EngineError, ProofRejectedError, UnsupportedModelError

LOG_ROWS = 10
TRIPLE = "g (float[1,2] x) => (float[1,2] y) <float c = {3.0}> { y = Mul(x, c) }"
# Three times this is 1000 in the field, although no number in range is a third of 1000.
THIRD = 1000 * pow(3, -1, MODULUS) % MODULUS
CUBES = "p = Mul(a, b) q = Mul(p, c)"
BIAS = f"""g (float[1,8] a, float[1,8] b, float[1,8] c, float[1,2] x) => (float[1,8] y)
<float[2,8] w = {{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}}> {{ {CUBES} h = Gemm(x, w, q) d = Mul(h, h) y = Mul(d, d) }}"""
SQUARES = """g (float[1,12] a, float[1,12] b) => (float[1,1] y)
{ x = Mul(a, b) s = Mul(x, x) y = ReduceMean<keepdims = 1, axes = [1]>(s) }"""
ROOT = """g (float[1,300] a, float[1,300] b, float[300,1] c) => (float[1,1] y)
{ p = Mul(a, b) s = MatMul(p, c) y = Sqrt(s) }"""
SHIFT = f"""g (float[1,80] a, float[1,80] b, float[1,80] c, float[1,1] d) => (float[1,1] y)
<float k = {{1.3234889800848443e-23}}, int64[1] ax = {{1}}>
{{ {CUBES} s = ReduceSum<keepdims = 1>(q, ax) z = Mul(d, k) y = Add(s, z) }}"""
EXPONENTIALS = """g (float[1,4] a, float[1,4] b, float[1,4] x) => (float[1,4] y)
{ s = Exp(a) t = Exp(b) u = Mul(s, t) y = Mul(u, x) }"""
FUSED = f"""g (float[1,1,6] a, float[1,1,6] b, float[1,1,6] c) => (float[1,1,1] y)
<float k = {{1.8889465931478581e22}}> {{ {CUBES} v = Conv(q, w) y = Mul(v, k) }}"""
KERNEL = np.array([2.0**45] * 3 + [2.0**-68] * 3, np.float32).reshape(1, 1, 6)


def arguments(visibility="private", **changes):
    plain = {"input_scale": 7, "param_scale": 7, "decomp_base": 512, "decomp_legs": 3, "lookup_range": (0, 0)}
    return EzklArguments(**plain | {"logrows": LOG_ROWS, "input_visibility": visibility} | changes)


def word(number):
    return (number % MODULUS).to_bytes(32, "little").hex()


class Forger:
    """A circuit, and proofs of witnesses that the attacker modifies."""

    def __init__(self, folder, setup, visibility, *, normalised, text=TRIPLE, **changes):
        self.folder, self.setup, self.normalised, self.visibility = str(folder), str(setup), normalised, visibility
        model, network = folder / "model.onnx", folder / "network.onnx"
        onnx.save(parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}'), model)
        network.write_bytes(model.read_bytes())
        if normalised:
            pipeline.lower(str(model), str(sha256(model.read_bytes())), str(network), {}, visibility)
        ezkl_worker.build(str(network), arguments(visibility, **changes).to_run_arguments(), self.folder)
        ezkl_worker.make_keys(self.folder, self.setup, f"{self.folder}/pk")

    def witness(self, program, honest, stated, claimed):
        context = [[0] * 5] if self.normalised else []
        witness = bindings.raw_witness(program, [*context, honest])
        witness["inputs"][-1] = [word(number) for number in stated]
        witness["outputs"][0] = [word(number) for number in claimed]
        if self.visibility == "hashed":
            hashes = [ezkl.poseidon_hash(tensor)[0] for tensor in witness["inputs"]]
            witness["processed_inputs"]["poseidon_hash"] = hashes
        return witness | {"pretty_elements": None}

    def prove(self, honest, stated, claimed):
        """Raises EngineError if there is no proof, ProofRejectedError if it is invalid."""
        network, settings = (Path(self.folder, name) for name in (NETWORK, SETTINGS))
        with bindings.compiled(network, settings) as program:
            witness = self.witness(program, honest, stated, claimed)
            proof, instances = bindings.prove(witness, program, f"{self.folder}/pk", self.setup)
        ezkl_worker.verify(self.folder, self.setup, proof, instances)
        return instances


@pytest.fixture
def forger(home, tmp_path):
    def make(visibility, *, normalised=True, logrows=LOG_ROWS, **given):
        setup = home.setups.insecure_dev(logrows).path
        return Forger(tmp_path, setup, visibility, normalised=normalised, logrows=logrows, **given)

    return make


def test_hashed_input_out_of_range_can_be_proven_without_the_guard(forger):
    """The reason for the guard: the engine alone proves any value to be three times a number in range."""
    instances = forger("hashed", normalised=False).prove([128, 128], [THIRD, 128], [1000, 384])
    assert instances[-2:] == [1000, 384]


@pytest.mark.parametrize("visibility", ["hashed", "private"])
def test_hidden_input_out_of_range_cannot_be_proven(forger, visibility):
    made = forger(visibility)
    assert 384 in made.prove([128, -128], [128, -128], [384, -384])
    with pytest.raises((EngineError, ProofRejectedError)):
        made.prove([128, 128], [THIRD, 128], [1000, 384])


ROOT_OF = "g (float[1,2] x) => (float[1,2] y) { y = Sqrt(x) }"
LOG_OF = "g (float[1,2] x) => (float[1,2] y) { y = Log(x) }"
BYTES = "g (uint8[1,2] x) => (float[1,2] y) { y = Cast<to=1>(x) }"
FORGED = [
    pytest.param(ROOT_OF, [0, 128], [-128, 128], [0, 128], "public", {}, id="root"),
    pytest.param(ROOT_OF, [0, 128], [-128, 128], [0, 128], "hashed", {}, id="root of a hashed input"),
    pytest.param(LOG_OF, [128, 128], [-128, 128], [0, 0], "private", {"lookup_range": (-256, 256)}, id="logarithm"),
    pytest.param(BYTES, [0, 255], [1000, 255], [1000, 255], "public", {}, id="integers"),
    pytest.param(BYTES, [0, 255], [-7, 255], [-7, 255], "hashed", {}, id="hashed integers"),
    pytest.param(BYTES, [0, 255], [256, 255], [256, 255], "private", {}, id="private integers"),
]


@pytest.mark.parametrize(("text", "honest", "told", "claimed", "visibility", "changes"), FORGED)
def test_value_for_which_the_model_has_no_answer_is_not_proven(
    text, honest, told, claimed, visibility, changes, forger
):
    made = forger(visibility, text=text, logrows=11, **changes)
    assert made.prove(honest, honest, [0, 0] if text is LOG_OF else honest)
    with pytest.raises((EngineError, ProofRejectedError)):
        made.prove(honest, told, claimed)


def test_root_of_a_negative_number_is_proven_without_the_guard(forger):
    """What the guard is for."""
    assert forger("public", text=ROOT_OF, normalised=False).prove([0, 128], [-128, 128], [0, 128])[-2:] == [0, 128]


WIDE = {"decomp_base": 512, "decomp_legs": 7}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        pytest.param(BIAS, WIDE | {"scale_rebase_multiplier": 3}, id="bias at a smaller scale"),
        pytest.param(SHIFT, WIDE | {"scale_rebase_multiplier": 3}, id="scales far apart"),
        pytest.param(SQUARES, WIDE | {"scale_rebase_multiplier": 2}, id="merged mean of squares"),
        pytest.param(ROOT, WIDE | {"scale_rebase_multiplier": 3, "input_scale": 20, "param_scale": 20}, id="root"),
        pytest.param(FUSED, WIDE | {"scale_rebase_multiplier": 3}, id="merged factor of a convolution"),
        pytest.param(EXPONENTIALS, {"scale_rebase_multiplier": 3}, id="exponentials"),
    ],
)
def test_circuit_whose_values_can_wrap_around_is_refused(text, changes, tmp_path, monkeypatch):
    """Even if run arguments allowed such a range."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    if text is FUSED:
        model.graph.initializer.append(numpy_helper.from_array(KERNEL, "w"))
    onnx.save(model, tmp_path / "network.onnx")
    monkeypatch.setattr(EzklArguments, "_refuse_extremes", lambda _: None)
    with pytest.raises(UnsupportedModelError, match="beyond the field"):
        ezkl_worker.build(str(tmp_path / "network.onnx"), arguments(**changes).to_run_arguments(), str(tmp_path))
