"""Where this checkout keeps what tests read; no test counts folders."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VECTORS = ROOT / "tests" / "vectors"
SHARED = ROOT.parent / "shared"  # beside the checkout; where it is missing, tests that need it are skipped
