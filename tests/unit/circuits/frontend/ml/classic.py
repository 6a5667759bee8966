"""Models of the domain `ai.onnx.ml` as exporters write them, and hostile variants."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def graph(nodes, outputs, *, shape=("N", 3), kind=FLOAT, opset=17, version=3):
    """A model of these nodes on an input x."""
    opsets = [helper.make_opsetid("ai.onnx.ml", version), *([helper.make_opsetid("", opset)] if opset else [])]
    ports = [helper.make_tensor_value_info("x", kind, shape)]
    return helper.make_model(helper.make_graph(nodes, "g", ports, outputs), opset_imports=opsets, ir_version=8)


def port(name, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, None)


def operator(name, outputs=("y",), inputs=("x",), **attributes):
    return helper.make_node(name, inputs, outputs, domain="ai.onnx.ml", **attributes)


def scored(name, **attributes):
    """One operator that gives a float tensor."""
    return graph([operator(name, **attributes)], [port("y")])


def classified(name, **attributes):
    """One operator that gives a label and scores."""
    return graph([operator(name, ("label", "y"), **attributes)], [port("label", INT64), port("y")])


# One tree: x[0] <= 0.5 gives 1, else x[1] <= -1 gives 2, else 4.
TREE = {
    "nodes_treeids": [0, 0, 0, 0, 0],
    "nodes_nodeids": [0, 1, 2, 3, 4],
    "nodes_featureids": [0, 0, 1, 0, 0],
    "nodes_values": [0.5, 0.0, -1.0, 0.0, 0.0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_truenodeids": [1, 0, 3, 0, 0],
    "nodes_falsenodeids": [2, 0, 4, 0, 0],
}


def weights(prefix, values=(1.0, 2.0, 4.0), ids=(0, 0, 0)):
    """Weights of the leaves of `TREE`."""
    names = ("treeids", "nodeids", "ids", "weights")
    return {
        f"{prefix}_{name}": list(value) for name, value in zip(names, ([0] * 3, [1, 3, 4], ids, values), strict=True)
    }


def regressor(**changes):
    """`TREE` as a TreeEnsembleRegressor; a change to None removes an attribute."""
    given = {"n_targets": 1, **TREE, **weights("target"), **changes}
    return scored("TreeEnsembleRegressor", **{name: value for name, value in given.items() if value is not None})


def classifier(labels=(0, 1), values=(0.25, 0.75, 1.0), ids=(0, 0, 0), **changes):
    """`TREE` as a TreeEnsembleClassifier."""
    given = {"classlabels_int64s": list(labels), **TREE, **weights("class", values, ids), **changes}
    return classified("TreeEnsembleClassifier", **given)


def answers(model, x):
    """The outputs of onnxruntime by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": np.asarray(x)})
