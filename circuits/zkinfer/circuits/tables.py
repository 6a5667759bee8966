"""Tables of numbers (.csv): one inference per line, with columns matched by name if there is a header.

A column is named after an input of one number, or after an element of a larger input: `x[2]`, `x_2`, `x.2` or `x2`.
Names that the model does not know are accepted only as features of a single input, in the order of the file that the
circuit was calibrated with; later files are matched by these names. Without names, columns are read by position. A
sentence says how the columns of each table were read.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zkinfer.circuits.errors import DataError
from zkinfer.circuits.tensors import describe_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zkinfer.circuits.tensors import TensorSpec

    Array = NDArray[np.generic]
    Numbers = NDArray[np.float64]


_EXACT = 1 << 53  # a float64 represents every integer below this
_INDEX = re.compile(r"(Unnamed: \d+(\.\d+)?)?")  # the name of a pandas index, as written and as read back
_ELEMENT = re.compile(r"\[(\d{1,9})\]|[._]?(\d{1,9})")
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_CERTAIN = 3  # a first line of 0, 1, 2 is hardly a sample
_SHOWN = 6


def from_csv(
    data: bytes,
    specs: Sequence[TensorSpec],
    label: str | None = None,
    file: str = "The file",
    features: Sequence[str] = (),
) -> tuple[dict[str, Array], str]:
    """Read a table with one sample per line.

    Args:
        data: the content of the file.
        specs: the inputs of the model.
        label: the name of a further column, at any position.
        file: its name, for messages.
        features: the names of a single input's elements, as `feature_names` found them; empty if it has none.

    Returns:
        Arrays [N, elements] by name, and a sentence that says how the columns were read.

    Raises:
        DataError: an unknown, missing or repeated name, another number of columns, or a cell that is not a number; the
            message names file, line and column.
    """
    lines = _lines(data, file)
    elements = _Elements(specs, features)
    named = _is_header(lines, elements, label, file)
    header, body = (lines[0], lines[1:]) if named else (None, lines)
    if not body:
        raise DataError(f"{file} holds no line of numbers.", elements.cure)
    names = _names(header) if header else [""] * len(body[0].cells)
    table = _numbers(body, names, file)
    if header:
        return _Columns(elements, names, f"{file}, line {header.number}", label).read(table)
    if table.shape[1] != elements.count:
        raise DataError(f"{file} has {table.shape[1]} columns.", elements.cure)
    return elements.split(table), f"{file} has no header; its columns are read by position as {elements.text}."


def feature_names(data: bytes, specs: Sequence[TensorSpec], label: str | None = None) -> tuple[str, ...]:
    """The columns of a valid table that are features of a single input: names that the model does not know."""
    lines, elements = _lines(data, "The file"), _Elements(specs)
    if len(specs) != 1 or not _is_header(lines, elements, label, "The file"):
        return ()
    names = _names(lines[0])
    found = [name for name in names[_indices(names) :] if name != label]
    numbered = sorted(found) == sorted(map(str, range(elements.count)))
    return () if numbered or any(map(elements.knows, found)) else tuple(found)


class _Line(NamedTuple):
    number: int
    cells: list[str]


def _lines(data: bytes, file: str) -> list[_Line]:
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig")))
        return [_Line(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as err:
        raise DataError(f"{file} is not a table of numbers: {err}.", "Give one inference per line.") from err


def _names(header: _Line) -> list[str]:
    names = [cell.strip() for cell in header.cells]
    return [names[0].removeprefix("#").strip(), *names[1:]]  # numpy.savetxt writes the header as a comment


def _is_header(lines: Sequence[_Line], elements: _Elements, label: str | None, file: str) -> bool:
    """Whether the first line names columns: it has no number, a known name, or the names that pandas gives."""
    if not lines:
        return False
    names = _names(lines[0])
    if not any(map(_is_number, names)) or label in names or any(map(elements.knows, names)):
        return True
    numbers = names[_indices(names) :]
    if numbers != [str(number) for number in range(len(numbers))] or len(lines) == 1:
        return False
    if len(numbers) < len(names) or len(numbers) >= _CERTAIN or _has_fractions(lines[1:]):
        return True
    raise DataError(
        f"{file}, line {lines[0].number}: {','.join(names)} is a sample, or the header that pandas writes by default.",
        f"Write 0.0 instead of 0 if it is a sample; otherwise name the columns: {elements.text}.",
    )


def _has_fractions(lines: Sequence[_Line]) -> bool:
    """Whether a cell is written in another way than the integers of pandas' default header."""
    return not all(_INTEGER.fullmatch(cell) for line in lines for cell in line.cells)


def _indices(names: Sequence[str]) -> int:
    """The number of leading columns that hold an index of pandas (or the row names of R)."""
    return next((number for number, name in enumerate(names) if not _INDEX.fullmatch(name)), len(names))


class _Elements:
    """The numbers that a line holds: all elements of all inputs, in order."""

    def __init__(self, specs: Sequence[TensorSpec], features: Sequence[str] = ()) -> None:
        self.specs = tuple(specs)
        self._features = {name: number for number, name in enumerate(features)}
        *starts, self.count = np.cumsum([0, *(spec.size for spec in specs)]).tolist()
        self._inputs = list(zip(starts, self.specs, strict=True))
        self._by_length = sorted(self._inputs, key=lambda one: -len(one[1].name))  # `x1[0]` is of x1, if there is one
        self._alone = {spec.name: start for start, spec in self._inputs if spec.size == 1}

    @property
    def text(self) -> str:
        """Their names: `age, image[0] to image[63]`."""
        if self._features:
            return _listed([*self._features])
        names = (
            f"{spec.name}[0] to {spec.name}[{spec.size - 1}]" if spec.size > 1 else spec.name for spec in self.specs
        )
        return ", ".join(names)

    @property
    def cure(self) -> str:
        return f"Give {self.count} numbers per line: {self.text}."

    @property
    def takes_features(self) -> bool:
        """Whether the columns may have names of their own, which nothing says yet."""
        return len(self.specs) == 1 and not self._features

    def name(self, place: int) -> str:
        if self._features:
            return [*self._features][place]
        start, spec = next((start, spec) for start, spec in reversed(self._inputs) if start <= place)
        return spec.name if spec.size == 1 else f"{spec.name}[{place - start}]"

    def knows(self, column: str) -> bool:
        """Whether a cell names an element, and is not a number itself."""
        return not _is_number(column) and self._named(column) is not None

    def places(self, columns: Sequence[str]) -> list[int | None]:
        """The place of the element that each column is named after; None for a name that the model does not know.

        Elements count from 0; or from 1, if the columns of their input do.
        """
        found = [self._named(column) for column in columns]
        seen: dict[int, set[int]] = {}
        for start, number in filter(None, found):
            seen.setdefault(start, set()).add(number)
        first = {start: int(spec.size in seen.get(start, ()) and 0 not in seen[start]) for start, spec in self._inputs}
        ends = {start: start + spec.size for start, spec in self._inputs}
        places = (None if one is None else (one[0] + one[1] - first[one[0]], ends[one[0]]) for one in found)
        return [one[0] if one is not None and one[0] < one[1] else None for one in places]

    def split(self, table: Numbers) -> dict[str, Array]:
        """Arrays [N, elements] by input, from columns in the order of the elements."""
        return {spec.name: _typed(table[:, start : start + spec.size], spec) for start, spec in self._inputs}

    def _named(self, column: str) -> tuple[int, int] | None:
        """The place where the input of this column starts, and the number in the column's name."""
        if column in self._features:
            return 0, self._features[column]
        if column in self._alone:
            return self._alone[column], 0
        for start, spec in self._by_length:
            match = _ELEMENT.fullmatch(column, len(spec.name)) if column.startswith(spec.name) else None
            if match is not None and int(match[1] or match[2]) <= spec.size:
                return start, int(match[1] or match[2])
        return None


@dataclass(frozen=True, slots=True)
class _Columns:
    """The named columns of a table; `where` are its file and line, for messages."""

    elements: _Elements
    names: list[str]
    where: str
    label: str | None

    def read(self, table: Numbers) -> tuple[dict[str, Array], str]:
        """As `from_csv`, from all columns."""
        indices = _indices(self.names)
        features = [number for number in range(indices, len(self.names)) if self.names[number] != self.label]
        self._refuse_repeated()
        order, how = self._order([self.names[number] for number in features])
        arrays = self.elements.split(table[:, [features[place] for place in order]])
        left = [f"{number + 1} ({self.names[number]!r})" for number in range(indices)]
        remarks = [f"column {column} is an index and left out" for column in left]
        if self.label in self.names:
            arrays[self.label] = _whole(table[:, self.names.index(self.label)])
            remarks.append(f"column {self.label!r} holds the labels")
        return arrays, "; ".join([f"{self.where}: {how}", *remarks]) + "."

    def _order(self, names: Sequence[str]) -> tuple[NDArray[np.intp], str]:
        """The column of each element, and how it was found."""
        places, text = self.elements.places(names), self.elements.text
        if sorted(names) == sorted(map(str, range(self.elements.count))):
            how = f"the columns are numbered, as pandas does by default, and read by their numbers as {text}"
            return np.argsort([int(name) for name in names]), how
        if self.elements.takes_features and not any(place is not None for place in places):
            self._refuse_count(names)
            return np.arange(len(names)), f"the columns {_listed(names)} are read in this order as {text}"
        self._refuse_misfit(names, places)
        return np.argsort(np.array(places)), f"the columns {_listed(names)} are matched by name with {text}"

    def _refuse_repeated(self) -> None:
        first: dict[str, int] = {}
        for number, name in enumerate(self.names):
            if name and first.setdefault(name, number) != number:
                raise DataError(
                    f"{self.where}: columns {first[name] + 1} and {number + 1} are both named {name!r:.80}.",
                    "Remove or rename one of them.",
                )

    def _refuse_count(self, names: Sequence[str]) -> None:
        """Refuse features without a name, and another number of them than the input has elements."""
        if "" in names:
            place = self.names.index("", _indices(self.names))
            raise DataError(f"{self.where}: column {place + 1} has no name.", self.elements.cure)
        if len(names) != self.elements.count:
            raise DataError(
                f"{self.where}: the columns are {_listed(names)}; the model takes {describe_all(self.elements.specs)}.",
                f"Give {self.elements.count} numbers per line; only labels (--labels) may stand beside them.",
            )

    def _refuse_misfit(self, names: Sequence[str], places: Sequence[int | None]) -> None:
        """Refuse names that are no element, elements that are named twice, and elements without a column."""
        first: dict[int, str] = {}
        for name, place in zip(names, places, strict=True):
            if place is None:
                raise self._unknown(name)
            if first.setdefault(place, name) != name:
                both = f"{first[place]!r:.80} and {name!r:.80}"
                raise DataError(f"{self.where}: the columns {both} name the same number.", "Remove one of them.")
        missing = next((place for place in range(self.elements.count) if place not in first), None)
        if missing is not None:
            name = self.elements.name(missing)
            raise DataError(f"{self.where}: the input {name!r} is missing.", f"Name the columns {self.elements.text}.")

    def _unknown(self, name: str) -> DataError:
        """The refusal of a column: it has no name, the name of a larger input, or one that is in no input."""
        cause = f"the model has no input {name!r:.80}" if name else "a column has no name"
        if any(name == spec.name for spec in self.elements.specs):
            cause = f"the input {name!r} is more than one number"
        return DataError(f"{self.where}: {cause}.", f"Name the columns {self.elements.text}.")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{name:.40}" for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} in all)"


def _numbers(lines: Sequence[_Line], names: Sequence[str], file: str) -> Numbers:
    for line in lines:
        if len(line.cells) != len(names):
            raise _not_numbers(file, f"line {line.number} has {len(line.cells)} columns instead of {len(names)}")
    try:
        return np.array([[float(cell) for cell in line.cells] for line in lines])
    except ValueError as err:
        bad = next((line, place) for line in lines for place, cell in enumerate(line.cells) if not _is_number(cell))
        line, place = bad
        column = f"{names[place]!r:.80}" if names[place] else place + 1
        what = f"line {line.number}, column {column} holds {line.cells[place]!r:.40}, which is not a number"
        raise _not_numbers(file, what) from err


def _not_numbers(file: str, what: str) -> DataError:
    return DataError(
        f"{file} is not a table of numbers: {what}.", "Give one inference per line, with numbers separated by commas."
    )


def _typed(part: Numbers, spec: TensorSpec) -> Array:
    """Tables hold floats: convert whole numbers to integers, and 0 and 1 to booleans, as the model requires."""
    if spec.dtype == "bool" and np.isin(part, (0.0, 1.0)).all():
        return part.astype(bool)
    return part if spec.is_float or spec.dtype == "bool" else _whole(part)


def _whole(part: Numbers) -> Array:
    """Convert to integers if all numbers are whole."""
    return part.astype(np.int64) if ((part == np.rint(part)) & (np.abs(part) < _EXACT)).all() else part


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
