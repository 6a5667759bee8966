"""The parent's side of the frontend: check the file cheaply, then run the rest in a child process with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from zkinfer.circuits.digest import Digest, sha256_file
from zkinfer.circuits.errors import DataError, EngineCrashedError, ModelError, ModelTooLargeError, UnsupportedModelError
from zkinfer.circuits.frontend.summary import Finding, Findings, ModelSummary, NormalisedModel
from zkinfer.circuits.sandbox import child
from zkinfer.circuits.sandbox.child import Limits
from zkinfer.circuits.sandbox.session import Session, SessionUser
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import Visibility

    Arrays = Mapping[str, NDArray[np.generic]]

_Reply = TypeVar("_Reply", bound=BaseModel)
MAX_FILE_BYTES = 256 << 20
_PARSING = Limits.for_parsing()
_WORKER = "zkinfer.circuits.frontend.worker"


def inspect_model(path: Path, *, limits: Limits = _PARSING) -> ModelSummary:
    """Describe a model file, whether or not it is supported; `ModelSummary.problems` lists why it would be rejected.

    Raises:
        ModelError: the file is missing, empty, not ONNX or inconsistent.
        ModelTooLargeError: the file, or a tensor it declares, exceeds a cap.
        EngineError: the child was killed at a limit or died.
    """
    digest = model_digest(path)
    arguments = {"path": str(path.absolute()), "digest": str(digest)}
    return _validated(ModelSummary, child.run(f"{_WORKER}:inspect", arguments, limits=limits))


def normalise_model(
    path: Path,
    out: Path,
    *,
    dimensions: Mapping[str, int] | None = None,
    input_visibility: Visibility = "public",
    limits: Limits | None = None,
    entry: str = f"{_WORKER}:normalise",
) -> NormalisedModel:
    """Write the normal form of a model: the same file and dimensions always give the same bytes.

    Args:
        path: the untrusted ONNX file.
        out: the file to write; replaced if it exists.
        dimensions: sizes of symbolic dimensions by name; the batch is 1 unless named here.
        input_visibility: set in the specs of the inputs, and passed to the engine.
        limits: of the child; None for the default.
        entry: the function that the child runs; an engine passes its own, the default applies only the frontend's
            passes.

    Raises:
        ModelError: not ONNX, inconsistent, or the normal form computes different outputs.
        UnsupportedModelError: valid, but it cannot become a circuit; the message names the cure.
        ModelTooLargeError: the file, or a tensor it declares, exceeds a cap.
        EngineError: the child was killed at a limit or died.
    """
    digest = model_digest(path)
    sizes = _checked_dimensions(dimensions or {})
    out.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(out.parent) as scratch:
        draft = scratch / "model.onnx"
        arguments: dict[str, Any] = {"path": str(path.absolute()), "digest": str(digest), "out": str(draft.absolute())}
        arguments |= {"dimensions": sizes, "input_visibility": input_visibility}
        answer = _validated(NormalisedModel, child.run(entry, arguments, limits=limits or _PARSING))
        if sha256_file(draft) != answer.sha256:
            raise EngineCrashedError("The normalised model on disk is not the one the child reported.")
        draft.chmod(0o644)
        draft.replace(out)
    inputs = tuple(spec.model_copy(update={"visibility": input_visibility}) for spec in answer.inputs)
    return answer.model_copy(update={"inputs": inputs})


def findings(path: Path, *, entry: str, limits: Limits | None = None) -> tuple[Finding, ...]:
    """Why an engine does not support a model, by node; `entry` is the engine's function that the child runs.

    Raises:
        ModelError, EngineError: as `normalise_model`, for reasons that concern no single node.
    """
    digest = model_digest(path)
    arguments = {"path": str(path.absolute()), "digest": str(digest)}
    return _validated(Findings, child.run(entry, arguments, limits=limits or _PARSING)).found


def evaluate(path: Path, samples: Path, out: Path, *, limits: Limits = _PARSING) -> None:
    """Run the original model in floating point on every sample: the reference that fidelity is measured against.

    Args:
        path: the untrusted ONNX file.
        samples: npz with an array [N, *shape] for each input.
        out: npz to write, with an array [N, *shape] for each output.
        limits: of the child.

    Raises:
        ModelError: as `normalise_model`, or the model fails on a sample.
        DataError: names, shapes or types of the samples differ from the model's inputs.
        EngineError: the child was killed at a limit or died.
    """
    digest = model_digest(path)
    if not samples.is_file():
        raise DataError(f"{samples} is not a file.", "Give an .npz file with one array for each input.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(out.parent) as scratch:
        draft = scratch / "answers.npz"
        arguments = {"path": str(path.absolute()), "digest": str(digest)}
        arguments |= {"samples": str(samples.absolute()), "out": str(draft.absolute())}
        child.run(f"{_WORKER}:evaluate", arguments, limits=limits)
        draft.replace(out)


def write_scores(
    path: Path, out: Path, *, dimensions: Mapping[str, int] | None = None, limits: Limits = _PARSING
) -> tuple[str, ...]:
    """Write a model that returns the scores of another, without the labels and the Softmax that readers can compute.

    Args:
        path: the untrusted ONNX file.
        out: the ONNX file to write; replaced if it exists.
        dimensions: sizes of symbolic dimensions by name; the batch is 1 unless named here.
        limits: of the child.

    Returns:
        One sentence for each output that changed.

    Raises:
        ModelError, UnsupportedModelError, ModelTooLargeError, EngineError: as `normalise_model`, or nothing can be cut
            off.
    """
    digest = model_digest(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    with private_directory(out.parent) as scratch:
        draft = scratch / "scores.onnx"
        arguments: dict[str, Any] = {"path": str(path.absolute()), "digest": str(digest), "out": str(draft.absolute())}
        arguments["dimensions"] = _checked_dimensions(dimensions or {})
        notes = child.run(f"{_WORKER}:write_scores", arguments, limits=limits)
        draft.chmod(0o644)
        draft.replace(out)
    return tuple(str(note) for note in notes)


def first_bad_index(network: Path, samples: Path, *, limits: Limits = _PARSING) -> tuple[int, str, str] | None:
    """The first sample with an index that is outside of its table, with cause and cure; None if there is none.

    Args:
        network: a normal form.
        samples: npz with an array [N, *shape] for each input.
        limits: of the child.

    Raises:
        ModelError: the network cannot be run.
        EngineError: the child was killed at a limit or died.
    """
    found = child.run(
        f"{_WORKER}:first_bad_index",
        {"path": str(network.absolute()), "samples": str(samples.absolute())},
        limits=limits,
    )
    if found is None:
        return None
    try:
        number, cause, cure = found
        return int(number), str(cause), str(cure)
    except (TypeError, ValueError) as err:
        raise EngineCrashedError("The model's process returned a malformed answer.") from err


def model_digest(path: Path) -> Digest:
    """SHA-256 of an ONNX file; raises ModelError if it cannot be read, is empty or exceeds the cap."""
    if path.is_dir():
        raise ModelError(f"{path} is a directory, not an ONNX file.", "Name the .onnx file inside it.")
    if not path.is_file():
        raise ModelError(f"{path} does not exist or is not a regular file.", "Check the path of the ONNX file.")
    _check_size(path, path.stat().st_size)
    try:
        return sha256_file(path)
    except OSError as err:
        raise ModelError(f"{path} cannot be read: {err.strerror}.", "Check its permissions.") from err


class FloatSession(SessionUser):
    """An ONNX file in onnxruntime, in a child process with limits. Use it from the thread that opened it.

    Args:
        path: the file.
        digest: the expected digest of the file.
        limits: of the child; the seconds apply to each inference.

    Raises:
        ModelError: the file has another digest or cannot be used.
        EngineError: the child was killed at a limit or died.
    """

    def __init__(self, path: Path, digest: Digest, limits: Limits) -> None:
        self._session = Session(
            f"{_WORKER}:open_session", {"path": str(path.resolve()), "digest": str(digest)}, limits=limits
        )

    def answer(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Run the model on inputs of its shapes and dtypes, and return the outputs by name.

        Raises:
            ModelError: the model fails on these inputs.
            EngineError: the child was killed at a limit or died.
        """
        outputs: dict[str, dict[str, Any]] = self._session.ask(
            inputs={name: array_to_json(array) for name, array in inputs.items()}
        )
        try:
            return {name: array_from_json(output) for name, output in outputs.items()}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as err:
            raise EngineCrashedError("The model's process returned a malformed answer.") from err


def array_to_json(array: NDArray[np.generic]) -> dict[str, Any]:
    """An array as JSON; `array_from_json` restores every value exactly."""
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}


def array_from_json(document: dict[str, Any]) -> NDArray[np.generic]:
    """The inverse of `array_to_json`; raises ValueError unless the type is numeric."""
    dtype = np.dtype(document["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"{dtype} is not a numeric type")
    return np.array(document["values"], dtype=dtype).reshape(document["shape"])


def _check_size(path: Path, size: int) -> None:
    if size == 0:
        raise ModelError(f"{path} is empty.", "Export or download the model again.")
    if size > MAX_FILE_BYTES:
        raise ModelTooLargeError(
            f"{path} has {size:,} bytes, over the limit of {MAX_FILE_BYTES:,}.",
            "A model this large cannot be proved; train a smaller one.",
        )


def _checked_dimensions(dimensions: Mapping[str, int]) -> dict[str, int]:
    for name, size in dimensions.items():
        if size < 1:
            raise UnsupportedModelError(f"Dimension {name!r} cannot have size {size}.", "Sizes start at 1.")
    return dict(dimensions)


def _validated(kind: type[_Reply], answer: object) -> _Reply:
    """Validate the child's answer: a malicious model may have taken the child over."""
    try:
        return kind.model_validate_json(str(answer))
    except ValidationError as err:
        raise EngineCrashedError("The model's process returned a malformed answer.") from err
