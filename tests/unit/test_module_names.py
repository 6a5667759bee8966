"""A module is named by what is in it, not by an activity."""

import pytest
from tests.paths import ROOT

# Terms of the field, which say what is inside.
TERMS = {"encoding", "lowering", "pricing", "signing", "tracing"}
FOLDERS = ("benchmarks", "circuits", "contracts", "docs", "examples", "prover", "proto", "service", "tests", "verifier")


def modules():
    found = (path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [path for path in found if "node_modules" not in path.parts]


def gerunds(paths):
    names = {path: {part.removeprefix("test_") for part in path.with_suffix("").parts} for path in paths}
    return [str(path) for path, parts in names.items() if any(part.endswith("ing") for part in parts - TERMS)]


def test_modules_of_every_folder_are_walked():
    assert {path.parts[0] for path in modules()} == set(FOLDERS)


def test_module_and_package_names_are_no_gerunds():
    assert gerunds(modules()) == []


@pytest.mark.parametrize("name", ["tending.py", "test_watching.py", "judging/run.py"])
def test_gerund_is_noticed(name):
    assert gerunds([ROOT.relative_to(ROOT) / name]) == [name]
