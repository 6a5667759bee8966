"""Fuzz one target, guided by the branches that inputs reach: `python -m tests.fuzz.run TARGET [--seconds N]`.

Needs atheris (extra `dev`, on Linux). Prints libFuzzer's progress; ends with an error, and a file `crash-*` in the
folder of `--corpus`, if the target raised what is no error of zkinfer, or took more than 10 seconds or 2 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="a folder that keeps the inputs which reached something new")
    options = parser.parse_args()
    with atheris.instrument_imports(include=["zkinfer"]):
        from tests.fuzz.targets import FAULTY, TARGETS  # noqa: PLC0415 - imports are instrumented here alone
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    target = {**TARGETS, "faulty": FAULTY}[options.target]
    for seed in target.seeds():
        if not target.try_on(seed):
            sys.exit(f"a good input of {options.target} is refused")
        (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    limits = (f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-timeout=10", "-rss_limit_mb=2048")
    places = (f"-artifact_prefix={corpus}/", "-max_len=65536", "-print_final_stats=1", str(corpus))
    atheris.Setup([sys.argv[0], *limits, *places], target.try_on)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
