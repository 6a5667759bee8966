"""Call onnx and onnxruntime with their exceptions translated, run models, and compare the outputs of two models.

Imported in the child only.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import checker, inliner, shape_inference, version_converter
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from zkinfer.circuits.errors import DataError, ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend.graph import DTYPES, shape_of
from zkinfer.circuits.tensor_files import from_npz, to_npz

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Arrays = dict[str, NDArray[Any]]
    Feeds = Mapping[str, NDArray[Any]]

Tensors = dict[str, "NDArray[np.generic]"]
SAMPLES = 4
# Overflow gives infinity, NaN or the largest float32, depending on the operator, in the original as well.
_OVERFLOW = 3e38
_TOLERANCE = {"float16": 1e-2}
_ONNX_FAILURES = (
    checker.ValidationError,
    shape_inference.InferenceError,
    version_converter.ConvertError,
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
)
_ORT_FAILURES = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    ort_errors.EPFail,
    RuntimeError,
    ValueError,
)


def check(model: onnx.ModelProto) -> None:
    """Run onnx's own checker."""
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    for port in complete.graph.output:  # the checker requires shapes that exporters may omit
        port.type.tensor_type.shape.SetInParent()
    with _translated(_ONNX_FAILURES, ModelError, "The model is inconsistent", "Export it again."):
        checker.check_model(complete)


def infer_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with every shape that onnx can infer; raises ModelError on contradictions."""
    with _translated(_ONNX_FAILURES, ModelError, "The model's shapes do not fit together", "Export it again."):
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def with_known_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with the types and shapes that onnx can infer up to the first contradiction, or the model itself."""
    try:
        return shape_inference.infer_shapes(model)
    except _ONNX_FAILURES:
        return model


def convert_opset(model: onnx.ModelProto, target: int) -> onnx.ModelProto:
    """Convert the opset of the default domain with onnx's converter."""
    cause, cure = f"The model cannot be converted to opset {target}", "Export it again with opset_version=17."
    with _translated(_ONNX_FAILURES, UnsupportedModelError, cause, cure):
        return version_converter.convert_version(model, target)


def inline(model: onnx.ModelProto, operators: list[str]) -> onnx.ModelProto:
    """Replace composite operators by their definition in the ONNX standard."""
    ids = [("", name) for name in operators]
    with _translated(_ONNX_FAILURES, ModelError, "A composite operator cannot be expanded", "Export it again."):
        return inliner.inline_selected_functions(model, ids, inline_schema_functions=True)


def reference(model: onnx.ModelProto) -> list[NDArray[np.generic]]:
    """Outputs of a model without inputs, computed by onnx's reference implementation in numpy."""
    with _translated(_ONNX_FAILURES, ModelError, "A constant cannot be computed", "Export the model again."):
        return list(ReferenceEvaluator(model).run(None, {}))


def can_run(model: onnx.ModelProto) -> bool:
    """Whether onnxruntime has all operators of a model for its element types; a model it rejects otherwise counts."""
    try:
        _opened(model)
    except ort_errors.NotImplemented:
        return False
    except (*_ORT_FAILURES, MemoryError):
        return True
    return True


class Session:
    """One model in onnxruntime, with one thread and without graph optimisation, so that it runs exactly as written."""

    def __init__(self, model: onnx.ModelProto) -> None:
        with _translated(_ORT_FAILURES, ModelError, "onnxruntime rejects the model", "Export it again."):
            self._session = _opened(model)
        self._outputs = [port.name for port in model.graph.output]

    def run(self, feeds: Mapping[str, Any]) -> Tensors:
        """Compute every output."""
        with _translated(_ORT_FAILURES, ModelError, "The model fails on an input", "Check it with onnxruntime."):
            values = self._session.run(self._outputs, dict(feeds))
        return dict(zip(self._outputs, values, strict=True))


def evaluate_samples(model: onnx.ModelProto, samples: Path, out: Path) -> None:
    """Run the model on N samples and write an array [N, *shape] per output.

    Raises:
        DataError: names, shapes or types of the samples differ from the model's inputs.
    """
    arrays = _checked_samples(from_npz(samples.read_bytes()), model)
    count = len(next(iter(arrays.values())))
    session = Session(model)
    rows = [session.run({name: array[number] for name, array in arrays.items()}) for number in range(count)]
    results = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    to_npz(out, results)


def refuse_difference(
    original: onnx.ModelProto,
    normal: onnx.ModelProto,
    inputs: Sequence[TensorSpec],
    seed: int,
    replay: Callable[[], Iterable[tuple[str, onnx.ModelProto]]] = tuple,
    probes: Sequence[Feeds] = (),
) -> None:
    """Raise ModelError if the outputs of the two models differ on seeded inputs or probes, or one cannot be run.

    Args:
        original: the model as it was exported.
        normal: its normal form.
        inputs: the inputs of both.
        seed: of the random inputs.
        replay: repeats the steps that led to the normal form; the error names the first that changes an output.
        probes: further inputs to compare on.
    """
    feeds = [*samples(inputs, seed), *probes]
    output = difference(original, normal, feeds)
    if output is not None:
        culprits = (name for name, model in replay() if difference(original, model, feeds) is not None)
        raise ModelError(
            f"Normalising changes the model's output {output[:80]!r} (step: {next(culprits, 'stripping')}).",
            "Report this model; exporting it with opset_version=17 may help.",
        )


def samples(inputs: Sequence[TensorSpec], seed: int) -> list[Feeds]:
    """Reproducible random inputs."""
    rng = np.random.default_rng(seed)
    return [{spec.name: _sample(spec, rng, number) for spec in inputs} for number in range(SAMPLES)]


def difference(first: onnx.ModelProto, second: onnx.ModelProto, feeds: Sequence[Feeds]) -> str | None:
    """The name of an output in which two models differ by more than rounding; raises ModelError if one fails."""
    one, other = Session(first), Session(second)
    for feed in feeds:
        wanted, got = one.run(feed), other.run(feed)
        for name, value in wanted.items():
            if not _equal(value, got[name]):
                return name
    return None


def short_message(err: Exception) -> str:
    """The first informative line of a library's message, truncated and without source locations."""
    text = re.sub(r"\[(ONNXRuntimeError|ShapeInferenceError|TypeInferenceError)\]", " ", str(err))
    text = re.sub(r"\S*/\S+\.(cc|h|cpp|py):\d+:?", " ", text)
    text = re.sub(r"\b\w+(::\w+)+\(.*\)(?= [A-Z])", " ", text)  # the signature of the function that failed
    text = re.sub(r"^\s*:?\s*\d+ : [A-Z_]+ : ", "", text)  # onnxruntime's error code
    line = next((" ".join(line.split()) for line in text.splitlines() if line.strip(" :")), type(err).__name__)
    line = "".join(letter if letter.isprintable() else "?" for letter in line).lstrip(" :")
    return line[:240].rstrip(".") + "."


def _opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _translated(failures: tuple[type[Exception], ...], kind: type[ModelError], cause: str, cure: str) -> Iterator[None]:
    """Translate the exceptions of the single library call in the block."""
    try:
        yield
    except MemoryError as err:
        raise ModelTooLargeError(f"{cause}: the memory limit was exceeded.", "Use a smaller model.") from err
    except failures as err:
        raise kind(f"{cause}: {short_message(err)}", cure) from err


def _checked_samples(arrays: Arrays, model: onnx.ModelProto) -> Arrays:
    ports = {port.name: port for port in model.graph.input}
    if set(arrays) != set(ports):
        raise DataError(
            f"The samples are for {sorted(arrays)}, but the model's inputs are {sorted(ports)}.",
            "Give one array per input, under the input's name.",
        )
    if len({len(array) if array.ndim else 0 for array in arrays.values()} - {0}) != 1 or not all(
        array.ndim and len(array) for array in arrays.values()
    ):
        raise DataError("The inputs have different numbers of samples, or none.", "Give at least one sample of each.")
    return {name: _checked_array(array, ports[name]) for name, array in arrays.items()}


def _checked_array(array: NDArray[Any], port: onnx.ValueInfoProto) -> NDArray[Any]:
    wanted = np.dtype(DTYPES[port.type.tensor_type.elem_type])
    shape = shape_of(port) or ()
    sizes = array.shape[1:]
    if len(shape) != len(sizes) or any(isinstance(a, int) and a != b for a, b in zip(shape, sizes, strict=True)):
        raise DataError(f"Samples of {port.name!r} have shape {list(sizes)}, not {list(shape)}.")
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise DataError(f"Samples of {port.name!r} are {array.dtype}, not {wanted}.")
    return array.astype(wanted)


def _sample(spec: TensorSpec, rng: np.random.Generator, number: int) -> NDArray[Any]:
    """Normally distributed values of growing spread; integers are 0 or 1, as they often index small tables."""
    if spec.is_float:
        return rng.normal(scale=0.5 * (1 + number), size=spec.shape).astype(spec.dtype)
    return rng.integers(0, 2, size=spec.shape).astype(spec.dtype)


def _equal(wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    return wanted.shape == got.shape and wanted.dtype == got.dtype and _agree(wanted, got)


def _agree(wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(wanted, got))
    rtol = _TOLERANCE.get(str(wanted.dtype), 1e-4)
    wide, other = wanted.astype(np.float64), got.astype(np.float64)
    finite = np.abs(wide) < _OVERFLOW
    if not np.array_equal(finite, np.abs(other) < _OVERFLOW):
        return False
    size = np.abs(wide[finite]).max(initial=0.0)
    difference = np.abs(wide[finite] - other[finite]).max(initial=0.0)
    return bool(difference <= rtol * size + 1e-6)
