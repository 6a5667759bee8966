"""Train and export the models in tests/assets/zoo: one small ONNX file per kind, with 48 real samples beside it.

    python -m venv build/zoo && build/zoo/bin/pip install -r tests/assets/zoo-requirements.txt
    build/zoo/bin/python tests/assets/make_zoo.py

The data come with scikit-learn. Seeds are fixed, but the bytes may differ with another machine or release, so the files
are stored, and no test regenerates them.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import onnxmltools
import torch
import xgboost
from hummingbird.ml import convert as to_torch
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn import ensemble, linear_model, preprocessing, svm
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from torch import nn

OUT = Path(__file__).parent / "zoo"
SAMPLES = 48
STEPS = 300


def data(load):
    """Features in float32, targets, in a fixed random order."""
    bunch = load()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    return bunch.data[order].astype(np.float32), bunch.target[order]


IRIS, WINE, CANCER, DIABETES = (data(load) for load in (load_iris, load_wine, load_breast_cancer, load_diabetes))
DIGITS = data(load_digits)
# Ten of the thirty measurements, those of the worst cells.
FIRST = (CANCER[0][:, 20:], CANCER[1])
# The digits 0 to 3, cropped or halved in size: small enough for a proof in a second.
FEW = DIGITS[1] < 4
IMAGES = (DIGITS[0][FEW].reshape(-1, 1, 8, 8)[:, :, 1:7, 1:7] / 16, DIGITS[1][FEW])
ROWS = (DIGITS[0][FEW].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)) / 16, DIGITS[1][FEW])
INCHES = IRIS[0] / np.float32(2.5)


def save(name: str, model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> None:
    """Write model and samples; each sample has the batch dimension that the model has."""
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:  # remove the exporters' notes on the origin of a node
        del node.metadata_props[:]
        node.doc_string = ""
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    samples = {key: value[:SAMPLES, None] for key, value in inputs.items()}
    np.savez_compressed(OUT / f"{name}.npz", **samples)


# --- neural networks -------------------------------------------------------------------------------------------------


def trained(build, xs, y) -> nn.Module:
    torch.manual_seed(7)
    module, feeds, target = build(), [torch.from_numpy(x) for x in xs], torch.from_numpy(y).long()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02, weight_decay=0.002)
    for _ in range(STEPS):
        optimiser.zero_grad()
        answer = module(*feeds)
        scores = answer[0] if isinstance(answer, tuple) else answer
        nn.functional.cross_entropy(scores, target).backward()
        optimiser.step()
    return module.eval()


def network(name, build, xs, y, opset, *, dynamo=False, dynamic=False, outputs=("scores",)):
    """Train a module and export it with one of torch's two exporters."""
    module = trained(build, xs.values(), y)
    feeds = tuple(torch.from_numpy(x[:1]) for x in xs.values())
    names = {"input_names": list(xs), "output_names": list(outputs)}
    path = OUT / f"{name}.onnx"
    if dynamo:
        torch.onnx.export(module, feeds, path, dynamo=True, opset_version=opset, external_data=False, **names)
    else:
        axes = {key: {0: "batch"} for key in (*xs, *outputs)} if dynamic else None
        torch.onnx.export(module, feeds, path, dynamo=False, opset_version=opset, dynamic_axes=axes, **names)
    save(name, onnx.load(path), xs)


def mlp(*middle, inputs=4, hidden=12, classes=3):
    return lambda: nn.Sequential(nn.Linear(inputs, hidden), *middle, nn.Linear(hidden, classes))


class Ending(nn.Sequential):
    """Trains without its last step."""

    def forward(self, x):
        steps = list(self)[:-1] if self.training else list(self)
        for step in steps:
            x = step(x)
        return x


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Linear(27, 4)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.last((x + torch.relu(self.second(x))).flatten(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        shares = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 2, dim=-1)
        return self.last((shares @ self.value(x)).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 4)

    def forward(self, x):
        return self.last(self.cell(x)[0][:, -1])


class Cell(nn.Module):
    """One step of an LSTM, its state handed in and out."""

    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.LSTMCell(4, 6), nn.Linear(6, 3)

    def forward(self, x, h, c):
        h, c = self.cell(x, (h, c))
        return self.last(h), h, c


class Two(nn.Module):
    """Two inputs; scores and an integer class."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.last = nn.Linear(2, 6), nn.Linear(2, 6), nn.Linear(6, 3)

    def forward(self, sepal, petal):
        scores = self.last(torch.relu(self.left(sepal) + self.right(petal)))
        return scores, scores.argmax(dim=1)


def networks() -> None:
    x, y = {"x": INCHES}, IRIS[1]
    network("dense", mlp(nn.ReLU()), x, y, 9)
    network("dense_dynamic", mlp(nn.ReLU(), nn.Dropout(0.1)), x, y, 13, dynamic=True)
    network("sigmoid", mlp(nn.Sigmoid()), x, y, 11)
    network("tanh", mlp(nn.Tanh()), x, y, 17)
    network("gelu", mlp(nn.GELU()), x, y, 20, dynamo=True)
    network("leaky_relu", mlp(nn.LeakyReLU(0.125)), x, y, 15)
    network("softmax", lambda: Ending(*mlp(nn.ReLU())(), nn.Softmax(dim=1)), x, y, 18, dynamo=True)
    network("layer_norm", mlp(nn.LayerNorm(12), nn.ReLU()), x, y, 17)
    network("batch_norm", mlp(nn.ReLU(), nn.BatchNorm1d(12)), x, y, 15)
    network("two_inputs", Two, {"sepal": INCHES[:, :2], "petal": INCHES[:, 2:]}, y, 13, outputs=("scores", "class"))
    state = np.zeros((len(INCHES), 6), dtype=np.float32)
    network("lstm_cell", Cell, {**x, "h": state, "c": state}, y, 17, outputs=("scores", "h_next", "c_next"))
    images, y = {"image": IMAGES[0]}, IMAGES[1]
    conv = nn.Conv2d
    network(
        "conv_max",
        lambda: nn.Sequential(conv(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4)),
        images, y, 11,
    )  # fmt: skip
    network(
        "conv_average",
        lambda: nn.Sequential(conv(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4)),
        images, y, 18, dynamo=True,
    )  # fmt: skip
    network("residual", Residual, images, y, 18, dynamo=True)
    network("attention", Attention, {"rows": ROWS[0]}, y, 18, dynamo=True)
    network("lstm", Recurrent, {"rows": ROWS[0]}, y, 17)


# --- classical models ------------------------------------------------------------------------------------------------


def sklearn(name, model, source, opset, **options):
    x, y = source
    model.fit(x, y)
    save(name, to_onnx(model, x[:1], target_opset=opset, **options), {"X": x})


def boosted(name, convert, model, source, opset, **options):
    x, y = source
    model.fit(x, y)
    made = convert(model, initial_types=[("x", FloatTensorType([None, x.shape[1]]))], target_opset=opset, **options)
    save(name, made, {"x": x})


def classical() -> None:
    tensors = {"options": {"zipmap": False}}
    scaled = preprocessing.StandardScaler
    forest = {"random_state": 7, "max_depth": 4}
    sklearn("sklearn_tree", DecisionTreeClassifier(max_depth=4, random_state=7), IRIS, 9)
    sklearn("sklearn_forest", ensemble.RandomForestClassifier(8, **forest), WINE, 17)
    sklearn("sklearn_forest_binary", ensemble.RandomForestClassifier(6, **forest), FIRST, 18, **tensors)
    sklearn("sklearn_forest_regressor", ensemble.RandomForestRegressor(6, **forest), DIABETES, 15)
    sklearn(
        "sklearn_boosting", ensemble.GradientBoostingClassifier(n_estimators=8, random_state=7), IRIS, 13, **tensors
    )
    gentle = {"C": 0.02}  # small weights keep the lookup table of the sigmoid small
    sklearn("sklearn_logistic", make_pipeline(scaled(), linear_model.LogisticRegression(C=0.1)), WINE, 17, **tensors)
    sklearn("sklearn_logistic_binary", make_pipeline(scaled(), linear_model.LogisticRegression(**gentle)), FIRST, 11)
    sklearn("sklearn_linear", make_pipeline(SimpleImputer(), linear_model.Ridge(0.1)), DIABETES, 20)
    sklearn("sklearn_svc_linear", svm.LinearSVC(random_state=7), IRIS, 15)
    descent = linear_model.SGDClassifier(loss="log_loss", alpha=0.3, random_state=7)
    sklearn("sklearn_sgd", make_pipeline(scaled(), descent), FIRST, 17, **tensors)
    perceptron = MLPClassifier((8,), max_iter=800, random_state=7)
    sklearn("sklearn_mlp", make_pipeline(preprocessing.RobustScaler(), perceptron), IRIS, 11, **tensors)
    sklearn("sklearn_normalizer", make_pipeline(preprocessing.Normalizer(), linear_model.LogisticRegression(C=50)),
            IRIS, 17, **tensors)  # fmt: skip

    trees = {"n_estimators": 8, "max_depth": 3, "random_state": 7}
    xgb, lgb = onnxmltools.convert_xgboost, onnxmltools.convert_lightgbm
    boosted("xgboost_binary", xgb, xgboost.XGBClassifier(**trees), FIRST, 15)
    boosted("xgboost_classes", xgb, xgboost.XGBClassifier(**trees), IRIS, 15)
    boosted("xgboost_regressor", xgb, xgboost.XGBRegressor(**trees), DIABETES, 15)
    trees["verbose"] = -1
    boosted("lightgbm_binary", lgb, lightgbm.LGBMClassifier(**trees), FIRST, 15, zipmap=False)
    boosted("lightgbm_classes", lgb, lightgbm.LGBMClassifier(**trees), IRIS, 15)
    boosted("lightgbm_regressor", lgb, lightgbm.LGBMRegressor(**trees), DIABETES, 15)

    x, y = IRIS
    rows = torch.from_numpy(x[:1])
    module = to_torch(ensemble.RandomForestClassifier(4, **forest).fit(x, y), "torch", x[:1]).model
    path, names = OUT / "hummingbird_forest.onnx", {"input_names": ["x"], "output_names": ["label", "scores"]}
    torch.onnx.export(module, (rows,), path, dynamo=False, opset_version=17, **names)
    save("hummingbird_forest", onnx.load(path), {"x": x})


def refused() -> None:
    """Unsupported models, to test the advice."""
    x, y = IRIS
    tensors = {"options": {"zipmap": False}}
    sklearn("refused_svc", svm.SVC(max_iter=-1), (x[:60], y[:60]), 17, **tensors)
    words = load_iris().target_names[y]
    sklearn("refused_words", linear_model.LogisticRegression(max_iter=1000), (x, words), 17)
    sklearn("refused_isolation", ensemble.IsolationForest(n_estimators=2, max_samples=16, random_state=7), (x, y),
            {"": 17, "ai.onnx.ml": 3})  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    OUT.mkdir(exist_ok=True)
    for group in (networks, classical, refused):
        if group.__name__ in sys.argv[1:] or not sys.argv[1:]:
            group()
    sys.stdout.write(f"{sum(path.stat().st_size for path in OUT.iterdir()):,} bytes\n")


if __name__ == "__main__":
    main()
