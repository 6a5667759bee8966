"""Replace operators of `ai.onnx.ml` (trees, linear models) by plain ones, and probe trees at their thresholds.

Each rule takes one operator and returns the nodes that replace it, or None while the shape of its input is unknown.
Like every rewrite, the result is compared with the original model. Imported in the child only.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from zkinfer.circuits.errors import ModelError, UnsupportedModelError
from zkinfer.circuits.frontend import shapes
from zkinfer.circuits.frontend.graph import Draft, Facts, attributes, copy, replace_all
from zkinfer.circuits.frontend.ml import linear_models, trees
from zkinfer.circuits.frontend.ml.forest_graph import on_raw_features, scores_of
from zkinfer.circuits.frontend.validate import DOMAIN, is_classical, label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.frontend.graph import Nodes, Rule
    from zkinfer.circuits.frontend.ml.trees import Forest
    from zkinfer.circuits.tensors import TensorSpec

    # The name of the scores [N, scores] of a tree ensemble whose features [N, columns] have this name.
    Summed = Callable[[onnx.NodeProto, Forest, str, Draft, Facts], str]

PROBES = 32
_MAX_SCORES = 1 << 12
_MAX_ROUNDS = 20
_EQUALITY_OPSET = 11
_NOT_OF_SUMS = frozenset({"classlabels_ints", "classlabels_int64s", "classlabels_strings", "post_transform"})


def without_classical(model: onnx.ModelProto, *, keep_trees: bool = False) -> onnx.ModelProto:
    """A copy in which plain operators replace those of `ai.onnx.ml`; the model itself if it has none.

    With `keep_trees`, tree ensembles stay, as regressors that sum or average leaf values and do nothing else.

    Raises:
        ModelError, ModelTooLargeError: attributes contradict each other or exceed a limit.
        UnsupportedModelError: an attribute is not supported.
    """
    if not any(is_classical(node) for node in model.graph.node):
        return model
    result, rounds, kept = copy(model), 0, set[str]()
    rules = RULES | _keeping_rules(kept) if keep_trees else RULES
    while nodes := _remaining(result, kept):
        result, rounds = _replaced(shapes.inferred(result), rules, kept), rounds + 1
        if len(nodes) == len(_remaining(result, kept)) or rounds > _MAX_ROUNDS:
            raise UnsupportedModelError(
                f"{nodes[0].op_type} {label(nodes[0])} reads a value of unknown shape, or ends too long a chain.",
                "Export with fixed shapes.",
            )
    if not kept:
        replace_all(result.opset_import, [entry for entry in result.opset_import if entry.domain != DOMAIN])
    return result


def _remaining(model: onnx.ModelProto, kept: set[str]) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if is_classical(node) and kept.isdisjoint(node.output)]


def _replaced(model: onnx.ModelProto, rules: dict[str, Rule], kept: set[str]) -> onnx.ModelProto:
    """One round, from the inputs on: a rule is applied once all operators before its node are plain."""
    facts = Facts(model)
    waiting = {name for node in _remaining(model, kept) for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        rule = rules.get(node.op_type) if not waiting.isdisjoint(node.output) else None
        rule = rule if waiting.isdisjoint(node.input) else None
        new = rule(node, facts) if rule is not None else None
        nodes += [node] if new is None else new
    replace_all(model.graph.node, nodes)
    model.graph.initializer.extend(facts.added)
    return model


def _keeping_rules(kept: set[str]) -> dict[str, Rule]:
    """The rules of tree ensembles that leave their sums to an operator, whose output they add to `kept`."""

    def summed(node: onnx.NodeProto, forest: Forest, value: str, draft: Draft, facts: Facts) -> str:  # noqa: ARG001
        given = {_as_target(name): one for name, one in attributes(node).items() if name not in _NOT_OF_SUMS}
        if node.op_type != "TreeEnsemble":
            given["n_targets"] = forest.leaves.shape[1]
        operator = "TreeEnsemble" if node.op_type == "TreeEnsemble" else "TreeEnsembleRegressor"
        scores = draft.add(operator, value, domain=DOMAIN, **given)
        kept.add(scores)
        rows = (draft.shape(node.input[0]) or (1,))[0]
        shape = np.array([rows, forest.leaves.shape[1]], dtype=np.int64)  # onnx infers none for this operator
        return draft.add("Reshape", scores, draft.constant(shape))

    rules = {"TreeEnsemble": tree_ensemble, "TreeEnsembleClassifier": tree_classifier}
    rules["TreeEnsembleRegressor"] = tree_regressor
    return {name: partial(rule, summed=summed) for name, rule in rules.items()}


def _as_target(name: str) -> str:
    """The attribute of a regressor that holds what this one of a classifier does."""
    return f"target_{name.removeprefix('class_')}" if name.startswith("class_") else name


def tree_regressor(node: onnx.NodeProto, facts: Facts, summed: Summed | None = None) -> Nodes | None:
    """TreeEnsembleRegressor: the sum or the mean of the leaf weights over the trees."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    transform = linear_models.transform_of(node, given, ("NONE", "LOGISTIC", "SOFTMAX"))
    found = linear_models.feature_rows(node, facts, draft)
    if found is None:
        return None
    count = _counted(node, given.get("n_targets", 1))
    forest = trees.read_forest(given, "target", count, found[1])
    forest = _aggregated(node, forest, given.get("aggregate_function", b"SUM"))
    return _regressed(node, (summed or _summed)(node, forest, found[0], draft, facts), transform, draft)


def tree_ensemble(node: onnx.NodeProto, facts: Facts, summed: Summed | None = None) -> Nodes | None:
    """TreeEnsemble of ai.onnx.ml 5: a regressor whose attributes are tensors."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    found = linear_models.feature_rows(node, facts, draft)
    if found is None:
        return None
    if given.get("post_transform", 0):
        raise UnsupportedModelError(
            f"TreeEnsemble {label(node)} transforms its scores, which is not supported.",
            "Export with ai.onnx.ml 3 instead.",
        )
    forest = trees.read_flat_forest(given, _counted(node, given.get("n_targets", 1)), found[1])
    aggregate = {0: b"AVERAGE", 1: b"SUM"}.get(given.get("aggregate_function", 1), b"MIN or MAX")
    scores = (summed or _summed)(node, _aggregated(node, forest, aggregate), found[0], draft, facts)
    return _regressed(node, scores, "NONE", draft)


def tree_classifier(node: onnx.NodeProto, facts: Facts, summed: Summed | None = None) -> Nodes | None:
    """TreeEnsembleClassifier: the label and the transformed scores; two classes may share one score."""
    given, draft = attributes(node), Draft(facts, node.output[0])
    labels = linear_models.labels_of(node, given)
    found = linear_models.feature_rows(node, facts, draft)
    if found is None:
        return None
    shared = len(labels) == 2
    if shared and set(given.get("class_ids", [])) != {0}:
        raise UnsupportedModelError(
            f"TreeEnsembleClassifier {label(node)} has separate scores for two classes; runtimes disagree on them.",
            "Use one score for both classes, as the exporters of scikit-learn, XGBoost and LightGBM do.",
        )
    transform = linear_models.transform_of(node, given, ("NONE", "LOGISTIC", "SOFTMAX")[: 2 if shared else 3])
    count = 1 if shared else _counted(node, len(labels))
    forest = trees.read_forest(given, "class", count, found[1])
    scores = (summed or _summed)(node, forest, found[0], draft, facts)
    if not shared:
        results = (
            linear_models.label_of_largest(scores, labels, draft),
            linear_models.transform_scores(scores, transform, draft),
        )
        return linear_models.name_outputs(node, results, draft)
    share = bool((forest.leaves >= 0).all())  # then the score is the second class's probability, with threshold 0.5
    label_ = linear_models.label_above(scores, 0.5 if share else 0.0, labels, draft)
    return linear_models.name_outputs(
        node, (label_, linear_models.two_class_scores(scores, transform, draft, mirrored=not share)), draft
    )


def _regressed(node: onnx.NodeProto, scores: str, transform: str, draft: Draft) -> Nodes:
    draft.named(linear_models.transform_scores(scores, transform, draft), node.output[0])
    return draft.nodes


def _summed(node: onnx.NodeProto, forest: Forest, value: str, draft: Draft, facts: Facts) -> str:
    if "Equal" in forest.comparisons and draft.opset < _EQUALITY_OPSET:
        raise UnsupportedModelError(
            f"{node.op_type} {label(node)} tests for equality, which opset {draft.opset} does not define on floats.",
            "Export again with opset_version=17.",
        )
    forest, value = on_raw_features(forest, value, facts)
    return scores_of(forest, value, trees.base_values(attributes(node), forest.leaves.shape[1]), draft)


def _aggregated(node: onnx.NodeProto, forest: Forest, function: bytes) -> Forest:
    if function == b"SUM":
        return forest
    if function != b"AVERAGE":
        raise UnsupportedModelError(
            f"{node.op_type} {label(node)} aggregates its trees by {function[:40]!r}, which is not supported.",
            "Use an ensemble that sums or averages its trees.",
        )
    return replace(forest, leaves=(forest.leaves / np.float32(len(forest.roots))).astype(np.float32))


def _counted(node: onnx.NodeProto, count: int) -> int:
    if not 1 <= count <= _MAX_SCORES:
        raise ModelError(f"{node.op_type} {label(node)} has {count} scores.", "Export the model again.")
    return int(count)


RULES: dict[str, Rule] = {
    "ArrayFeatureExtractor": linear_models.extractor,
    "Imputer": linear_models.imputer,
    "LinearClassifier": linear_models.classifier,
    "LinearRegressor": linear_models.regressor,
    "Normalizer": linear_models.normaliser,
    "Scaler": linear_models.scaler,
    "TreeEnsemble": tree_ensemble,
    "TreeEnsembleClassifier": tree_classifier,
    "TreeEnsembleRegressor": tree_regressor,
}


def probes(model: onnx.ModelProto, inputs: Sequence[TensorSpec], seed: int) -> list[dict[str, NDArray[Any]]]:
    """Seeded inputs whose columns equal a threshold of the trees or a float next to it; none for a model without trees.

    A tree behind a scaler sees other values; for it these are only further random inputs.
    """
    thresholds = _thresholds(model)
    if not thresholds:
        return []
    rng = np.random.default_rng(seed)
    return [{spec.name: _probe(spec, thresholds, rng) for spec in inputs} for _ in range(PROBES)]


def _thresholds(model: onnx.ModelProto) -> dict[int, list[float]]:
    """Thresholds by the column they apply to."""
    found: dict[int, list[float]] = {}
    for node in model.graph.node:
        if is_classical(node) and node.op_type.startswith("TreeEnsemble"):
            given = attributes(node)
            tensor = given.get("nodes_splits", given.get("nodes_values_as_tensor"))
            values = given.get("nodes_values", []) if tensor is None else numpy_helper.to_array(tensor).ravel().tolist()
            for column, value in zip(given.get("nodes_featureids", []), values, strict=False):
                found.setdefault(column, []).append(value)
    return found


def _probe(spec: TensorSpec, thresholds: dict[int, list[float]], rng: np.random.Generator) -> NDArray[Any]:
    values = rng.normal(size=spec.shape)
    for column in range(spec.shape[-1] if spec.shape else 0):
        if known := thresholds.get(column):
            chosen = rng.choice(known, size=spec.shape[:-1]).astype(np.float32)
            towards = rng.choice(np.array([-np.inf, 0, np.inf], dtype=np.float32), size=chosen.shape)
            values[..., column] = np.nextafter(chosen, np.where(towards, towards, chosen))
    if spec.is_float:
        return values.astype(spec.dtype)
    return np.clip(np.rint(values), *spec.integer_range).astype(spec.dtype)
