"""Search run arguments for the models that tests compile, and store them in tests/assets/arguments.json.

    .venv/bin/python -m tests.assets.make_arguments [NAME...]

Without names, all models are searched. Missing models of ../shared keep their run arguments.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tests.e2e.server_process import write_small_model
from tests.integration import bench, stored

from zkinfer.circuits import CompileOptions, compile_model
from zkinfer.circuits.engines.ezkl.engine import EzklEngine
from zkinfer.circuits.tensors import Visibility

if TYPE_CHECKING:
    from collections.abc import Iterator

Given = tuple[str, Path, Path, Visibility]


def models(folder: Path) -> Iterator[Given]:
    """Name, ONNX file, samples and visibility of each."""
    for path in sorted(stored.ZOO.glob("*.onnx")):
        if not path.name.startswith("refused"):
            yield f"zoo/{path.stem}", path, path.with_suffix(".npz"), "public"
    for name in stored.SHARED_MODELS:
        model, data = stored.shared_files(name)
        if model.is_file():
            yield f"shared/{name}", model, stored.samples_like(data, model, own(folder, name)), "public"
    small = write_small_model(own(folder, "small"))
    for visibility in get_args(Visibility):
        yield f"small/{visibility}", *small, visibility


def own(folder: Path, name: str) -> Path:
    """Create a folder below `folder`."""
    made = folder / name
    made.mkdir()
    return made


def searched(folder: Path, model: Path, samples: Path, visibility: Visibility) -> dict[str, Any]:
    """The run arguments found by the quick search."""
    options = CompileOptions(setup="insecure-dev", effort="quick", input_visibility=visibility)
    home = bench.home_in(folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = compile_model(
            model, Path(scratch) / "c", engine=EzklEngine(), home=home, calibration=samples, options=options
        )
    return dict(made.circuit.manifest.recipe.run_arguments)


def main(wanted: list[str]) -> None:
    found = stored.found_once() if stored.ARGUMENTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name, *given in models(Path(folder)):
            if not wanted or name in wanted:
                sys.stderr.write(f"{name}\n")
                found[name] = searched(Path(folder), *given)
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    stored.ARGUMENTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
