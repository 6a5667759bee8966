"""Run operators of feeds for hundreds of rounds while everything fails at random, and check the record.

    python -m benchmarks.oracle_soak [--rounds N] [--seed N] [--write]

With --write it writes docs/measurements/oracle-reliability.md. It exits with 1 if a rule is broken, see
`benchmarks/oracle/rules.py`.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from benchmarks.oracle.nodes import ROOT
from benchmarks.oracle.page import page
from benchmarks.oracle.soak import soak


def main() -> None:
    """Run, check, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500, help="of all feeds, counted on each chain")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, and to keep")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        outcome = soak(options.folder or Path(scratch), options.rounds, options.seed)
    text = page(outcome, options.rounds, options.seed)
    print(text)
    if options.write:
        (ROOT / "docs/measurements/oracle-reliability.md").write_text(text)
    if outcome.broken:
        sys.exit("\n".join(["broken rules:", *outcome.broken[:50]]))


if __name__ == "__main__":
    main()
