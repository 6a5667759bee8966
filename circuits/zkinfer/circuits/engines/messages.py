"""JSON form of a tuning request and its result, for the child process that searches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.base import Option, Tuned, TuneRequest
from zkinfer.circuits.errors import BudgetError, EngineCrashedError, JsonError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload
from zkinfer.circuits.samples import Labels
from zkinfer.circuits.storage import write_atomically
from zkinfer.circuits.tensor_files import from_npz, to_npz
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.engines.base import Tensors


@dataclass(frozen=True, slots=True)
class _BudgetMissed:
    cause: str
    cure: str
    options: tuple[Option, ...]


_ANSWER: TypeAdapter[Tuned | _BudgetMissed] = TypeAdapter(Tuned | _BudgetMissed)
_PLAIN_FIELDS = ("max_setup_size", "max_memory", "objective", "effort", "names", "search_seconds")
_MAX_BEST = 1 << 22


def pack_request(request: TuneRequest, folder: Path) -> dict[str, Any]:
    """The request as JSON; its arrays are written to files in `folder`."""
    plain = {name: getattr(request, name) for name in _PLAIN_FIELDS}
    return plain | {
        "network": str(request.network.resolve()),
        "inputs": [spec.model_dump(mode="json") for spec in request.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in request.outputs],
        "samples": _saved(request.samples, folder / "samples.npz"),
        "reference": _saved(request.reference, folder / "reference.npz"),
        "budget": asdict(request.budget),
        "workload": request.workload.model_dump(mode="json"),
        "labels": None if request.labels is None else [request.labels.output, request.labels.classes.tolist()],
        "speed": asdict(request.speed),
    }


def unpack_request(request: dict[str, Any]) -> TuneRequest:
    """The inverse of `pack_request`."""
    labels = request["labels"]
    return TuneRequest(
        **{name: request[name] for name in _PLAIN_FIELDS},
        network=Path(request["network"]),
        inputs=tuple(TensorSpec.model_validate(spec, strict=False) for spec in request["inputs"]),
        outputs=tuple(TensorSpec.model_validate(spec, strict=False) for spec in request["outputs"]),
        samples=from_npz(Path(request["samples"]).read_bytes()),
        reference=from_npz(Path(request["reference"]).read_bytes()),
        budget=Budget(**request["budget"]),
        workload=Workload.model_validate(request["workload"], strict=False),
        labels=None if labels is None else Labels(labels[0], np.array(labels[1], dtype=np.int64)),
        speed=Speed(**request["speed"]),
    )


def _saved(arrays: Tensors, path: Path) -> str:
    to_npz(path, arrays)
    return str(path.resolve())


def pack_result(search: Callable[[], Tuned]) -> dict[str, Any]:
    """Run a search; the result as JSON, or the BudgetError with the options that it considered."""
    try:
        return asdict(search())
    except BudgetError as err:
        return asdict(_BudgetMissed(err.cause, err.cure, err.options))


def write_best(tuned: Tuned, path: Path) -> None:
    """Store the best result so far, so that a reader finds a complete one at any time."""
    write_atomically(path, canonical.dump(asdict(tuned)))


def read_best(path: Path) -> Tuned:
    """The last stored result; raises EngineCrashedError if it is malformed."""
    try:
        return unpack_result(canonical.load(path.read_bytes(), max_bytes=_MAX_BEST, what="result of the search"))
    except (OSError, JsonError) as err:
        raise EngineCrashedError("The search for settings stored a malformed result.") from err


def unpack_result(answer: object) -> Tuned:
    """The result of a search, from the child's answer.

    Raises:
        BudgetError: no settings meet the budget.
        EngineCrashedError: the answer is malformed.
    """
    try:
        found = _ANSWER.validate_python(answer)
    except ValidationError as err:
        raise EngineCrashedError("The search for settings returned a malformed answer.") from err
    if isinstance(found, _BudgetMissed):
        raise BudgetError(found.cause, found.cure, found.options)
    return found
