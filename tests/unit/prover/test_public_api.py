import subprocess
import sys

import pytest

import zkinfer.prover
import zkinfer.prover.jobs
import zkinfer.prover.workers

HEAVY = {"torch", "sqlalchemy", "grpc", "web3", "onnx", "onnxruntime", "ezkl", "sklearn", "google.protobuf"}


def test_all_lists_only_the_prover():
    public = {name for name, value in vars(zkinfer.prover).items() if getattr(value, "__module__", None)}
    assert zkinfer.prover.__all__ == ["Prover"]
    assert {name for name in public if not name.startswith("_")} == {"Prover"}


@pytest.mark.parametrize("package", [zkinfer.prover.jobs, zkinfer.prover.workers])
def test_all_of_a_package_is_sorted_and_importable(package):
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize("module", ["zkinfer.prover", "zkinfer.prover.prover"])
def test_import_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_default_prover_has_no_fake_engine(tmp_path):
    prover = zkinfer.prover.Prover(home=zkinfer.circuits.Home(tmp_path))
    assert all(engine.production for engine in prover._engines.values())
