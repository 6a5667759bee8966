"""Compile the marketplace of the contract tests for pytest: `python -m tests.vectors.make_marketplace`. Needs node."""

from __future__ import annotations

import json
import tomllib

from tests.paths import ROOT, VECTORS
from tests.vectors import make_chain  # noqa: F401 - puts the scripts beside the contracts on the path

from build import compile_files

FILE = VECTORS / "marketplace.json"
SOURCE = ROOT / "contracts/test/conformance/RoyaltyMarket.sol"


def main() -> None:
    FILE.write_text(document())


def document() -> str:
    """The marketplace's ABI and creation code, as pytest reads them."""
    profile = tomllib.loads((ROOT / "contracts/foundry.toml").read_text())["profile"]["default"]
    found = compile_files([SOURCE], profile)["RoyaltyMarket"]
    made = {"abi": found["abi"], "bytecode": "0x" + found["evm"]["bytecode"]["object"]}
    return json.dumps(made, sort_keys=True, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    main()
