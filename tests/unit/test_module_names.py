"""Modules are named after their content, not an activity; modules of unit tests after the module that they test."""

import pytest
from tests.paths import ROOT

# Terms of the field that name content.
TERMS = {"encoding", "opening", "lowering", "pricing", "signing", "tracing"}
FOLDERS = ("benchmarks", "circuits", "contracts", "docs", "examples", "prover", "proto", "service", "tests", "verifier")

UNIT = ROOT / "tests/unit"
# Where the modules are that the tests of a folder in tests/unit test; docs and deploy hold no modules.
TESTED = {
    "ashlar": ("tests/ashlar",),
    "benchmarks": ("benchmarks",),
    "chain": ("contracts/zkinfer/chain",),
    "circuits": ("circuits/zkinfer/circuits",),
    "cli": ("service/zkinfer/cli",),
    "client": ("service/zkinfer/client",),
    "contracts": ("contracts", "contracts/zkinfer/contracts"),
    "proto": ("proto", "proto/zkinfer"),
    "prover": ("prover/zkinfer/prover",),
    "service": ("service/zkinfer/service",),
    "vectors": ("tests/vectors",),
    "verifier": ("verifier/zkinfer/verifier",),
}


def modules():
    found = (path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [path for path in found if "node_modules" not in path.parts]


def gerunds(paths):
    names = {path: {part.removeprefix("test_") for part in path.with_suffix("").parts} for path in paths}
    return [str(path) for path, parts in names.items() if any(part.endswith("ing") for part in parts - TERMS)]


def test_modules_of_every_folder_are_checked():
    assert {path.parts[0] for path in modules()} == set(FOLDERS)


def test_module_and_package_names_are_not_gerunds():
    assert gerunds(modules()) == []


@pytest.mark.parametrize("name", ["tending.py", "test_watching.py", "judging/run.py"])
def test_gerund_is_detected(name):
    assert gerunds([ROOT.relative_to(ROOT) / name]) == [name]


def without_module(tests):
    """Tests named neither `test_MODULE.py` nor `test_MODULE_TOPIC.py`; a package counts as a module."""
    found = []
    for test in tests:
        package, *folders = test.parent.parts
        words = test.stem.removeprefix("test_").split("_")
        names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
        places = [ROOT.joinpath(root, *folders, name) for root in TESTED[package] for name in names]
        exists = any(place.is_dir() or place.with_suffix(".py").exists() for place in places)
        if test.stem != "test_public_api" and not exists:
            found.append(str(test))
    return found


def test_unit_tests_mirror_the_packages():
    tests = [path.relative_to(UNIT) for path in UNIT.rglob("test_*.py")]
    assert without_module([test for test in tests if test.parts[0] in TESTED]) == []


@pytest.mark.parametrize(
    "name", ["prover/test_machine.py", "verifier/jobs/test_policy.py", "service/test_policy_file.py"]
)
def test_unit_test_without_a_module_is_detected(name):
    assert without_module([ROOT.relative_to(ROOT) / name]) == [name]
