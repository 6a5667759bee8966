import inspect
import re
import subprocess
import sys

import pytest
from tests.paths import ROOT

import zkinfer.contracts
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.srs.ceremonies import CEREMONIES
from zkinfer.contracts import errors

CONTRACTS = ROOT / "contracts"
HEAVY = {"torch", "grpc", "web3", "eth_abi", "onnx", "onnxruntime", "ezkl", "numpy", "pydantic"}


def test_all_is_what_the_package_imports():
    names = dir(zkinfer.contracts)
    assert sorted(zkinfer.contracts.__all__) == names
    at_once = {name for name in vars(zkinfer.contracts) if not name.startswith("_")}
    public = {name for name in at_once if not inspect.ismodule(getattr(zkinfer.contracts, name))}
    assert public - set(names) <= {"Any", "TYPE_CHECKING", "annotations", "import_module"}


@pytest.mark.parametrize("name", zkinfer.contracts.__all__)
def test_every_public_name_is_importable(name):
    assert getattr(zkinfer.contracts, name) is not None


def test_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        zkinfer.contracts.nothing  # noqa: B018 - the access is the test


def test_missing_extra_is_refused_with_the_cure():
    code = "import sys; sys.modules['web3'] = None; import zkinfer.contracts; zkinfer.contracts.connect"
    stderr = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert "connect needs web3: pip install 'zkinfer[chain]'" in stderr


def test_import_loads_nothing_heavy():
    code = "import sys, zkinfer.contracts; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_error_class_has_one_sentence_and_descends_from_the_root(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ChainError)
    assert kind.__doc__.strip().count(".") == 1 or name == "ChainError"


@pytest.mark.parametrize("ceremony", CEREMONIES, ids=lambda ceremony: ceremony.name)
def test_solidity_has_the_same_ceremonies(ceremony):
    source = (CONTRACTS / "src/libraries/TrustedSetups.sol").read_text()
    name = ceremony.name.upper().replace("-", "_")
    assert re.search(rf"{name} =\s+0x{sha256(ceremony.tau_g2).hex};", source)


def test_pinned_code_hash_is_that_of_the_shipped_verifier():
    source = (CONTRACTS / "src/verifiers/ezkl/EzklVerifierCodeHash.sol").read_text()
    assert zkinfer.contracts.load("Halo2VerifierReusable").code_hash in source


@pytest.mark.parametrize("path", sorted((CONTRACTS / "src").rglob("*.sol")), ids=lambda path: path.name)
def test_every_external_function_is_documented(path):
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"    function \w+\(", line):
            text = " ".join(lines[number : number + 12]).split("{")[0].split(";")[0]
            if " external" in text or " public" in text:
                assert any(above.strip().startswith("///") for above in lines[number - 2 : number]), (path, number)


def test_contracts_revert_with_custom_errors_only():
    for path in (CONTRACTS / "src").rglob("*.sol"):
        assert not re.search(r"\brequire\(|revert\(\"|assert\(", path.read_text()), path
