"""What a contributor has in a data set, checked against its file: assets, weight, and share of what its fund gets."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.tills import leaf_of
from zkinfer.works.dataset import Dataset, Proofs, asset_leaf
from zkinfer.works.merkle import root_of

if TYPE_CHECKING:
    from zkinfer.ui.forms import File
    from zkinfer.works.dataset import Asset

MOST_SHOWN: Final = 100
"""How many assets are listed; all are checked."""
_ACCOUNT: Final = re.compile(r"0x[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Part:
    """An asset, and whether its proof leads to the root of all assets."""

    asset: Asset
    included: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A contributor's part of a data set.

    Args:
        account: of the contributor, in lower case.
        weight: of its assets together.
        total: of all contributors.
        included: whether its proof leads to the fund's root.
        parts: its assets; at most `MOST_SHOWN`.
        assets: how many it has.
        all_included: whether the proofs of all of them lead to the root of the assets.
        digest: SHA-256 of the file; the fund names it.
        root: of the contributors; the fund has it.
        command: that pays what is due.
    """

    account: str
    weight: int
    total: int
    included: bool
    parts: tuple[Part, ...]
    assets: int
    all_included: bool
    digest: str
    root: str
    command: str

    @property
    def share(self) -> float:
        """Of what the fund gets."""
        return float(Fraction(self.weight, self.total))


def claim_of(file: File, account: str, fund: str) -> Claim:
    """Check a data set's file and what an account has in it.

    Args:
        file: `dataset.json`, as it was published with the fund.
        account: of the contributor.
        fund: its address, for the command; empty if it is not known.

    Raises:
        InputError: account or fund is no address.
        DatasetError: the file is no data set, or weights and roots do not follow from it; or the account has
            contributed nothing.
    """
    account, fund = _address(account, "contributor"), _address(fund, "fund") if fund else ""
    dataset = Dataset.from_bytes(file.data)
    proofs = Proofs(dataset)
    weight, proof = proofs.of_contributor(account)
    parts = [_part(proofs, one) for one in dataset.assets if one.contributor == account]
    return Claim(
        account=account,
        weight=weight,
        total=dataset.total_weight,
        included=_hex(root_of(leaf_of(account, weight), proof)) == dataset.contributors_root,
        parts=tuple(parts[:MOST_SHOWN]),
        assets=len(parts),
        all_included=all(one.included for one in parts),
        digest=dataset.digest,
        root=dataset.contributors_root,
        command=_command(file.name, account, fund),
    )


def _part(proofs: Proofs, asset: Asset) -> Part:
    proof = next(path for one, path in proofs.of_asset(asset.sha256) if one == asset)
    return Part(asset, _hex(root_of(asset_leaf(asset), proof)) == proofs.dataset.assets_root)


def _address(text: str, what: str) -> str:
    account = text.lower()
    if _ACCOUNT.fullmatch(account) is None:
        raise InputError(f"{text[:80]!r} is not the address of a {what}.", "Write it as 0x and 40 hex digits.")
    return account


def _command(name: str, account: str, fund: str) -> str:
    """The words for a shell; what the page does not know is in capitals."""
    path = f"./{name}" if name.startswith("-") else name
    words = ["zkinfer", "works", "dataset", "claim", "--manifest", path, "--fund", fund or "FUND"]
    return shlex.join([*words, "--contributor", account, "--rpc", "URL", "--keystore", "KEYSTORE"])


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
