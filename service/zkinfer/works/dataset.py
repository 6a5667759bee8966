"""Data sets: which files, of whom, under which consent, and how what a model earns is shared among contributors.

`dataset.json` is published with the fund that has its root. Anybody can check that an asset is in it, and make every
contributor's proof from it: no server is needed to claim.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, ValidationError

from zkinfer.circuits import canonical
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import DataError, InputError, JsonError, why
from zkinfer.circuits.statement import Word
from zkinfer.circuits.storage import read_file
from zkinfer.contracts.identifiers import keccak256, words
from zkinfer.contracts.tills import leaf_of
from zkinfer.verifier.statement import first_problem
from zkinfer.works.content import open_content
from zkinfer.works.errors import ConsentError, DatasetError
from zkinfer.works.kinds import Permission
from zkinfer.works.merkle import Tree
from zkinfer.works.statement import Address, Claim, HexDigest

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.contracts.tills import ContributorFund
    from zkinfer.works.answers import Consent

MAX_BYTES: Final = 1 << 24
MAX_ASSETS: Final = 20_000
MAX_WEIGHT: Final = 1 << 64


class Contributor(Claim):
    """An account, and its weight: the sum of the weights of its assets."""

    account: Address
    weight: Annotated[int, Field(ge=1, lt=1 << 127)]


class Asset(Claim):
    """One file. `consent` is what it said about training, `source` where; `licence` permits it where that is needed."""

    name: Annotated[str, Field(min_length=1, max_length=1024)]
    sha256: HexDigest
    media_type: Annotated[str, Field(max_length=200)]
    contributor: Address
    weight: Annotated[int, Field(ge=1, lt=MAX_WEIGHT)]
    consent: Literal["allowed", "constrained", "unstated"]
    source: Literal["c2pa", "xmp", "terms", "none"]
    licence: Annotated[int, Field(ge=1)] | None = None


class Dataset(Claim):
    """The content of `dataset.json`."""

    type: Literal["urn:zkinfer:dataset:v1"] = "urn:zkinfer:dataset:v1"
    contributors: Annotated[tuple[Contributor, ...], Field(min_length=1, max_length=MAX_ASSETS)]
    assets: Annotated[tuple[Asset, ...], Field(min_length=1, max_length=MAX_ASSETS)]
    contributors_root: Word
    assets_root: Word

    @classmethod
    def of(cls, assets: list[Asset]) -> Self:
        """The data set of these assets; raises DataError if one file occurs twice for one contributor."""
        ordered = tuple(sorted(assets, key=lambda one: (one.sha256, one.contributor)))
        weights: Counter[str] = Counter()
        for one in ordered:
            weights[one.contributor] += one.weight
        contributors = tuple(Contributor(account=account, weight=weights[account]) for account in sorted(weights))
        return cls(
            contributors=contributors,
            assets=ordered,
            contributors_root=_hex(Tree.of(map(_contributor_leaf, contributors)).root),
            assets_root=_hex(Tree.of(map(asset_leaf, ordered)).root),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` writes.

        Raises DatasetError for anything else: another form, or weights and roots that do not follow from the assets.
        """
        try:
            canonical.load_canonical(data, max_bytes=MAX_BYTES, what="data set")
            found = cls.model_validate_json(data)
            if found.to_bytes() != data or cls.of(list(found.assets)) != found:
                raise DatasetError("Weights, order or roots of the data set do not follow from its assets.")
        except JsonError as err:
            raise DatasetError(err.cause, err.cure) from err
        except ValidationError as err:
            raise DatasetError(f"The data set is malformed: {first_problem(err)}.") from err
        except DataError as err:
            raise DatasetError(err.cause, err.cure) from err
        return found

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raises InputError if it cannot be read, or as `from_bytes`."""
        return cls.from_bytes(read_file(path, max_bytes=MAX_BYTES))

    def to_bytes(self) -> bytes:
        """The file's content: canonical JSON."""
        return canonical.dump(self.model_dump(mode="json", by_alias=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the file, as 0x and hex: the fund's manifest."""
        return _hex(sha256(self.to_bytes()).value)

    @property
    def total_weight(self) -> int:
        """The sum of all weights."""
        return sum(one.weight for one in self.contributors)


@dataclass(frozen=True)
class Proofs:
    """The proofs that follow from a data set."""

    dataset: Dataset

    def of_contributor(self, account: str) -> tuple[int, list[bytes]]:
        """The weight of an account, and the proof for the fund; raises DatasetError if it has contributed nothing."""
        for one in self.dataset.contributors:
            if one.account == account:
                return one.weight, self._contributors.proof(_contributor_leaf(one))
        raise DatasetError(f"{account} has contributed nothing to this data set.", "Check the account and the file.")

    def of_asset(self, digest: str) -> list[tuple[Asset, list[bytes]]]:
        """Each asset with this SHA-256 (hex), with its proof; empty if there is none."""
        found = [one for one in self.dataset.assets if one.sha256 == digest]
        return [(one, self._assets.proof(asset_leaf(one))) for one in found]

    @cached_property
    def _contributors(self) -> Tree:
        return Tree.of(map(_contributor_leaf, self.dataset.contributors))

    @cached_property
    def _assets(self) -> Tree:
        return Tree.of(map(asset_leaf, self.dataset.assets))


def asset_leaf(asset: Asset) -> bytes:
    """The leaf of an asset: its SHA-256 and its contributor, hashed twice."""
    return keccak256(keccak256(words(["0x" + asset.sha256, asset.contributor])))


def require_fund(dataset: Dataset, fund: ContributorFund) -> None:
    """Return if a fund was made for a data set; raise DatasetError if it was made for another."""
    if (fund.root(), fund.manifest()) != (dataset.contributors_root, dataset.digest):
        raise DatasetError(
            f"The fund is of the data set with SHA-256 {fund.manifest()}; this one has {dataset.digest}.",
            "Give the file that was published with the fund.",
        )


def build(folder: Path, table: Path) -> Dataset:
    """Make a data set of the files that a table names.

    Args:
        folder: of the files.
        table: CSV with the columns `file` and `account`, and if wished `weight` (default 1, such as the licences sold)
            and `licence` (with the use TRAINING, for a file whose consent is constrained).

    Raises:
        DatasetError: the table is malformed, or names a file outside of the folder.
        ConsentError: files do not allow training, or only under a licence that the table lacks; it names them.
        InputError: a file cannot be read.
    """
    from zkinfer.works.consent import consents  # noqa: PLC0415 - a data set is read without the extra

    rows = _rows(table)
    paths = [_inside(folder, row["file"]) for row in rows]
    answers = consents(paths)
    _require_consent(rows, answers)
    return Dataset.of([_asset(row, path, one) for row, path, one in zip(rows, paths, answers, strict=True)])


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            if not {"file", "account"} <= names <= {"file", "account", "weight", "licence"}:
                raise DatasetError(
                    f"The columns of {table.name} are {', '.join(sorted(names)) or 'missing'}.",
                    "Name them file, account, and if you like weight and licence.",
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        reason = why(err) if isinstance(err, OSError) else str(err)[:80]
        raise InputError(f"{table} cannot be read: {reason}.", "Give a CSV file in UTF-8.") from err
    if not 0 < len(rows) <= MAX_ASSETS:
        raise DatasetError(f"{table.name} names {len(rows):,} files.", f"Name 1 to {MAX_ASSETS:,}.")
    return rows


def _inside(folder: Path, name: str | None) -> Path:
    path = folder / (name or "")
    if not name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise DatasetError(f"{name!r} is no file in {folder}.", "Name files relative to the folder.")
    return path


def _require_consent(rows: list[dict[str, str]], answers: list[Consent]) -> None:
    refused = []
    for row, answer in zip(rows, answers, strict=True):
        if answer.training == Permission.NOT_ALLOWED:
            refused.append(f"{row['file']} ({_where(answer)})")
        elif answer.training == Permission.CONSTRAINED and not row.get("licence"):
            refused.append(f"{row['file']} ({answer.source}, needs a licence)")
    if refused:
        listed = ", ".join(refused[:20]) + (f" and {len(refused) - 20} more" if len(refused) > 20 else "")
        raise ConsentError(
            f"Training is not allowed on {len(refused)} of {len(rows)} files: {listed}.",
            "Leave them out, or buy licences with the use training and give their numbers.",
        )


def _where(answer: Consent) -> str:
    return f"{answer.source}: {answer.reason.rstrip('.')}" if answer.reason else answer.source


def _asset(row: dict[str, str], path: Path, answer: Consent) -> Asset:
    content = open_content(path)
    try:
        return Asset(
            name=row["file"],
            sha256=content.sha256,
            media_type=content.media_type,
            contributor=(row["account"] or "").strip().lower(),
            weight=int(row.get("weight") or 1),
            consent="unstated" if answer.training is None else str(answer.training),  # type: ignore[arg-type] # checked
            source=answer.source,  # type: ignore[arg-type] # checked by the model
            licence=int(row["licence"]) if row.get("licence") else None,
        )
    except (ValidationError, ValueError) as err:
        problem = first_problem(err) if isinstance(err, ValidationError) else str(err)[:80]
        raise DatasetError(f"The row of {row['file']} is malformed: {problem}.") from err


def _contributor_leaf(one: Contributor) -> bytes:
    return leaf_of(one.account, one.weight)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
