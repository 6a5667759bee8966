import subprocess
import sys

import pytest

import zkinfer.prover
import zkinfer.prover.jobs
import zkinfer.prover.workers

HEAVY = {"torch", "sqlalchemy", "grpc", "web3", "onnx", "onnxruntime", "ezkl", "sklearn", "google.protobuf"}


def test_all_is_the_prover_alone():
    public = {name for name, value in vars(zkinfer.prover).items() if getattr(value, "__module__", None)}
    assert zkinfer.prover.__all__ == ["Prover"]
    assert {name for name in public if not name.startswith("_")} == {"Prover"}


@pytest.mark.parametrize("package", [zkinfer.prover.jobs, zkinfer.prover.workers])
def test_all_of_a_package_is_sorted_and_there(package):
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize("module", ["zkinfer.prover", "zkinfer.prover.prover"])
def test_import_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_prover_of_defaults_has_no_engine_that_proves_nothing(tmp_path):
    prover = zkinfer.prover.Prover(home=zkinfer.circuits.Home(tmp_path))
    assert all(engine.production for engine in prover._engines.values())
