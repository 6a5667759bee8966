"""Without torch, the package can be imported, and a call names the missing package."""

import subprocess
import sys

import pytest

from zkinfer.circuits import export_torch
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.export import torch_backend


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_missing_torch_is_refused_with_the_cure(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_backend, "find_spec", lambda name: None if name == missing else object())
    torch_backend.load_torch.cache_clear()
    with pytest.raises(InputError, match=rf"needs the package {missing}.*pip install 'zkinfer\[torch\]'"):
        export_torch(None, None, tmp_path / "m.onnx")


def test_import_of_the_package_loads_no_torch_and_no_onnx():
    code = "import sys, zkinfer.circuits.export; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "onnx", "onnxruntime"}.isdisjoint(loaded)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("\n  bad \x1b[0m thing.\nmore"), "ValueError: bad ?[0m thing."),
        (KeyError(), "KeyError."),
        (ValueError("x" * 500), "ValueError: " + "x" * 240 + "."),
    ],
)
def test_third_party_error_is_given_in_one_printable_line(error, text):
    assert torch_backend.message_of(error) == text
