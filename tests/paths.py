"""Paths within this checkout and beside it, so that no test counts parent folders."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("zkinfer")
ANVIL = ROOT / "contracts/node_modules/.bin/anvil"
VECTORS = ROOT / "tests" / "vectors"
SHARED = ROOT.parent / "shared"  # beside the checkout; where it is missing, tests that need it are skipped
