import subprocess
import sys

import pytest

import zkinfer.client
from zkinfer.circuits.errors import ZkinferError
from zkinfer.client import errors

SERVERS = {"sqlalchemy", "structlog", "prometheus_client", "pydantic_settings"}


@pytest.mark.parametrize("name", zkinfer.client.__all__)
def test_every_public_name_is_importable_and_documented(name):
    assert getattr(zkinfer.client, name).__doc__


def test_all_is_sorted():
    assert zkinfer.client.__all__ == sorted(zkinfer.client.__all__)


def test_client_imports_no_server_libraries():
    code = "import sys, zkinfer.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert SERVERS.isdisjoint(loaded)
    assert not [name for name in loaded if name.startswith(("zkinfer.service", "zkinfer.prover", "zkinfer.cli."))]


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_error_is_in_the_tree_and_documented(name):
    kind = getattr(errors, name)
    assert issubclass(kind, ZkinferError)
    assert kind.__doc__
