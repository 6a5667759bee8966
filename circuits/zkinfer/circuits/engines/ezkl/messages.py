"""A request to tune, and what came of it, as they pass between a process and the child that searches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from zkinfer.circuits.cost import Speed
from zkinfer.circuits.engines.base import Option, Tuned, TuneRequest
from zkinfer.circuits.errors import BudgetError, EngineCrashedError
from zkinfer.circuits.fidelity import Budget
from zkinfer.circuits.frontend import Workload
from zkinfer.circuits.labels import Labels
from zkinfer.circuits.tensor_files import from_npz, to_npz
from zkinfer.circuits.tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from zkinfer.circuits.engines.base import Tensors


@dataclass(frozen=True, slots=True)
class _Missed:
    cause: str
    cure: str
    options: tuple[Option, ...]


_ANSWER: TypeAdapter[Tuned | _Missed] = TypeAdapter(Tuned | _Missed)
_AS_THEY_ARE = ("max_setup_size", "max_memory", "objective", "effort")


def packed(request: TuneRequest, folder: Path) -> dict[str, Any]:
    """The request as JSON; its arrays go to files in `folder`."""
    plain = {name: getattr(request, name) for name in _AS_THEY_ARE}
    return plain | {
        "network": str(request.network.resolve()),
        "inputs": [spec.model_dump(mode="json") for spec in request.inputs],
        "outputs": [spec.model_dump(mode="json") for spec in request.outputs],
        "samples": _filed(request.samples, folder / "samples.npz"),
        "reference": _filed(request.reference, folder / "reference.npz"),
        "budget": asdict(request.budget),
        "workload": request.workload.model_dump(mode="json"),
        "labels": None if request.labels is None else [request.labels.output, request.labels.classes.tolist()],
        "speed": asdict(request.speed),
    }


def unpacked(request: dict[str, Any]) -> TuneRequest:
    """The request again, in the child."""
    labels = request["labels"]
    return TuneRequest(
        **{name: request[name] for name in _AS_THEY_ARE},
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


def _filed(arrays: Tensors, path: Path) -> str:
    to_npz(path, arrays)
    return str(path.resolve())


def answered(search: Callable[[], Tuned]) -> dict[str, Any]:
    """The result of a search as JSON, or that it found none, with what it weighed."""
    try:
        return asdict(search())
    except BudgetError as err:
        return asdict(_Missed(err.cause, err.cure, err.options))


def received(answer: object) -> Tuned:
    """The result again; raises EngineCrashedError where the child's answer is none.

    Raises:
        BudgetError: the search found none.
    """
    try:
        found = _ANSWER.validate_python(answer)
    except ValidationError as err:
        raise EngineCrashedError("The search for settings gave an answer of the wrong form.") from err
    if isinstance(found, _Missed):
        raise BudgetError(found.cause, found.cure, found.options)
    return found
