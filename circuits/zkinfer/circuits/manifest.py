"""The manifest of a circuit folder: identity, recipe, program, files, cost and fidelity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import Digest, sha256, sha256_file
from zkinfer.circuits.engines.base import Program
from zkinfer.circuits.errors import CircuitError, JsonError, why
from zkinfer.circuits.fidelity import ERROR_EDGES, MAX_WORST
from zkinfer.circuits.recipe import CircuitIdentity, Recipe, Sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from zkinfer.circuits.digest import Digest
    from zkinfer.circuits.fidelity import Budget, Column, Fidelity, Worst
    from zkinfer.circuits.tensors import TensorSpec


MAX_BYTES = 1 << 22
_MUCH_SMALLER = 10  # times smaller than every sample: from here on an input is told to be outside of their range
_DIGITS = 3  # of an error: the float model's last bits may differ between machines, but digests should not
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ErrorSize = Annotated[float, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class KeySizes(_Part):
    """Sizes in bytes, and the digest of the proving key, which is not in the folder; None if the engine needs none."""

    proving_key: Sha256 | None
    proving_key_bytes: Count
    verifying_key_bytes: Count
    proof_bytes: Count


class AccuracyReport(_Part):
    """The shares of samples for which the float model and the circuit predict the true class in `output`."""

    output: Annotated[str, Field(min_length=1, max_length=256)]
    model: Share
    circuit: Share


class WorstSample(_Part):
    """A sample's index in the data file, from 0, its largest error, and whether its answer is the float model's."""

    sample: Count
    error: ErrorSize
    same_answer: bool

    @classmethod
    def of(cls, worst: Worst) -> WorstSample:
        """The rounded form for a manifest."""
        return cls(sample=worst.sample, error=rounded(worst.error), same_answer=worst.same_answer)


class ColumnReport(_Part):
    """The errors of one column of a float output; see `zkinfer.circuits.fidelity.Column`."""

    output: Annotated[str, Field(min_length=1, max_length=256)]
    column: Count
    low: float
    high: float
    unit: Annotated[float, Field(gt=0)]
    error_p99: ErrorSize
    error_max: ErrorSize
    absolute_max: ErrorSize

    @classmethod
    def of(cls, found: Column) -> ColumnReport:
        """The rounded form for a manifest."""
        figures = ("low", "high", "unit", "error_p99", "error_max", "absolute_max")
        return cls(output=found.output, column=found.index, **{name: rounded(getattr(found, name)) for name in figures})


class InputRange(_Part):
    """The values of one input in the samples of a fidelity report.

    `low` and `high` are the extremes; `least_peak` is the smallest, over the samples, of the largest magnitude in a
    sample: an input whose values are all much smaller was not measured either, although it lies between the extremes.
    """

    name: Annotated[str, Field(min_length=1, max_length=256)]
    low: float
    high: float
    least_peak: ErrorSize

    @classmethod
    def of(cls, name: str, samples: NDArray[np.generic]) -> InputRange:
        """The range of samples [N, *shape]."""
        values = samples.astype(np.float64).reshape(len(samples), -1)
        peaks = np.abs(values).max(axis=1)
        return cls(name=name, low=float(values.min()), high=float(values.max()), least_peak=float(peaks.min()))

    def excess(self, values: NDArray[np.generic]) -> str:
        """One sentence on how the values of one inference lie outside of the range; empty if they do not."""
        given = values.astype(np.float64)
        low, high, peak = float(given.min()), float(given.max()), float(np.abs(given).max())
        if low < self.low or high > self.high:
            return (
                f"Input {self.name!r} holds values from {low:.6g} to {high:.6g}; the circuit's fidelity was measured "
                f"for values from {self.low:.6g} to {self.high:.6g}."
            )
        if peak < self.least_peak / _MUCH_SMALLER:
            return (
                f"The values of input {self.name!r} are {peak:.6g} at most; in each sample on which the circuit's "
                f"fidelity was measured, the largest is {self.least_peak:.6g} or more."
            )
        return ""


class ErrorHistogram(_Part):
    """The count of output numbers per bin of errors; the first and the last bin are open."""

    edges: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=64)]
    counts: tuple[Annotated[int, Field(ge=0, le=1 << 53)], ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("a histogram has ascending edges, and one count more than edges")
        return self


class FidelityReport(_Part):
    """Circuit against float model on `samples` inferences; see `zkinfer.circuits.fidelity.Fidelity`.

    `data` is their kind: `held-out` samples took no part in choosing the settings, `calibration` samples did,
    `synthetic` ones are random numbers and say little. Errors are fractions of the column's range, except for
    `absolute_max`, and have three significant digits. `columns` are the worst ones and `inputs` the ranges of the
    samples; both are missing in circuits of older versions.
    """

    data: Literal["held-out", "calibration", "synthetic"]
    samples: Annotated[int, Field(ge=1)]
    agreement: Share
    error_p50: ErrorSize
    error_p90: ErrorSize
    error_p99: ErrorSize
    error_max: ErrorSize
    absolute_max: ErrorSize
    error_histogram: ErrorHistogram
    worst: Annotated[tuple[WorstSample, ...], Field(max_length=MAX_WORST)]
    accuracy: AccuracyReport | None
    columns: Annotated[tuple[ColumnReport, ...], Field(max_length=MAX_WORST)] = ()
    inputs: tuple[InputRange, ...] = ()

    @classmethod
    def of(
        cls,
        found: Fidelity,
        data: Literal["held-out", "calibration", "synthetic"],
        samples: Mapping[str, NDArray[np.generic]],
    ) -> FidelityReport:
        """The report of a measurement on these samples, [N, *shape] by input."""
        return cls(
            data=data,
            samples=found.samples,
            agreement=found.agreement,
            error_p50=rounded(found.error_p50),
            error_p90=rounded(found.error_p90),
            error_p99=rounded(found.error_p99),
            error_max=rounded(found.error_max),
            absolute_max=rounded(found.absolute_max),
            error_histogram=ErrorHistogram(edges=ERROR_EDGES, counts=found.histogram),
            worst=tuple(WorstSample.of(worst) for worst in found.worst),
            accuracy=None if found.accuracy is None else AccuracyReport.model_validate(asdict(found.accuracy)),
            columns=tuple(ColumnReport.of(column) for column in found.columns),
            inputs=tuple(InputRange.of(name, array) for name, array in samples.items()),
        )


def rounded(number: float) -> float:
    """Round to the number of digits on which machines agree."""
    return float(f"{number:.{_DIGITS}g}")


class ChoiceReport(_Part):
    """How the settings were chosen: the number of calibration samples, the budget, and whether it is met.

    `kept` says whether the samples of the fidelity report meet the budget; the calibration samples meet it with a
    margin.
    """

    samples: Annotated[int, Field(ge=1)]
    min_agreement: Share
    max_error: Share
    max_absolute_error: ErrorSize | None
    max_accuracy_drop: Share | None
    kept: bool

    @classmethod
    def of(cls, budget: Budget, *, samples: int, kept: bool) -> ChoiceReport:
        """The report of a choice under this budget."""
        return cls(samples=samples, kept=kept, **asdict(budget))


class CostReport(_Part):
    """The predicted cost on every machine: peak memory of key generation and proving, gas to verify a proof.

    Times differ between machines and are omitted.
    """

    memory_bytes: Count
    gas: Count


class Manifest(_Part):
    """The complete description of a circuit folder.

    `headroom` says how many times larger than in the held-out samples an integer of the circuit may be before an input
    is rejected. `choice` is missing in circuits of older versions. `features` names the elements of a single input, if
    the calibration samples were a table with a column for each; later tables are matched by these names. `labels` are
    what the engine's authors say before anyone relies on its proofs. Times and machine names are omitted, so that the
    same model, data and options give the same manifest and circuit digest.
    """

    format: Literal["zkinfer-circuit/1"] = "zkinfer-circuit/1"
    identity: CircuitIdentity
    recipe: Recipe
    program: Program
    keys: KeySizes
    fidelity: FidelityReport
    headroom: Annotated[float, Field(ge=1, le=2.0**64)]
    cost: CostReport
    choice: ChoiceReport | None = None
    features: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    parameters: Count
    operators: dict[str, Count]
    files: dict[FileName, Sha256]

    def to_document(self) -> dict[str, Any]:
        """The JSON document, without what is absent from the file."""
        document = self.model_dump(mode="json", by_alias=True)
        if self.choice is None:
            del document["choice"]
        for name in ("features", "labels"):
            if not document[name]:
                del document[name]
        for name in ("columns", "inputs"):
            if not document["fidelity"][name]:
                del document["fidelity"][name]
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical.dump(self.to_document())

    def unmeasured(self, inputs: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
        """One sentence for each input of an inference for which the fidelity report does not hold.

        It lies outside of the range that was measured, or all of its values round to 0.
        """
        found = {one.name: one.excess(inputs[one.name]) for one in self.fidelity.inputs if one.name in inputs}
        for spec in self.program.inputs:
            values = inputs.get(spec.name)
            if values is not None and spec.is_float and np.any(values) and _vanishes(values, spec):
                found[spec.name] = f"All values of input {spec.name!r} round to 0 at the circuit's scale."
        return tuple(text for text in found.values() if text)

    @property
    def digest(self) -> Digest:
        """The circuit digest."""
        return sha256(self.to_bytes())


def _vanishes(values: NDArray[np.generic], spec: TensorSpec) -> bool:
    return not np.rint(np.ldexp(values.astype(np.float64), spec.fraction_bits)).any()


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest strictly; raises CircuitError."""
    try:
        canonical.load_canonical(data, max_bytes=MAX_BYTES, what="manifest")
        manifest = Manifest.model_validate_json(data)
    except JsonError as err:
        raise CircuitError(err.cause, err.cure) from err
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CircuitError(f"The manifest is not valid at {where}: {first['msg']}.") from err
    if manifest.to_bytes() != data:
        raise CircuitError("The manifest writes a field in a form that is not canonical.")
    return manifest


MANIFEST = "manifest.json"
MODEL = "model.onnx"


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit folder whose files were all compared with its manifest when it was opened."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the manifest and compare every file with it.

        Raises:
            CircuitError: not a circuit folder, a malformed manifest, or a missing, changed or additional file.
        """
        try:
            manifest = parse_manifest((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError) as err:
            raise CircuitError(
                f"{folder} is not a circuit: it has no {MANIFEST}.", "Make one with `zkinfer compile MODEL.onnx`."
            ) from err
        except OSError as err:
            raise CircuitError(f"{folder} cannot be read: {why(err)}.") from err
        found = {path.name for path in folder.iterdir()} - {MANIFEST}
        if odd := sorted(found ^ set(manifest.files)):
            raise CircuitError(f"{folder} and its manifest disagree about {odd[0]}.", "Copy the circuit again.")
        for name, digest in manifest.files.items():
            path = folder / name
            if path.is_symlink() or not path.is_file() or str(sha256_file(path)) != digest:
                raise CircuitError(f"{path} is not the file that the manifest names.", "Copy the circuit again.")
        if manifest.files.get(MODEL) != manifest.identity.model:
            raise CircuitError(f"{folder} does not hold the model that it claims to be made from.")
        return cls(folder, manifest)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the manifest, which identifies the folder's whole content."""
        return self.manifest.digest

    @property
    def model_id(self) -> str:
        """The identity of the ONNX file and the verifying key, used on chain and in policies."""
        return self.manifest.identity.model_id
