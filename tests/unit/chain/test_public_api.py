import subprocess
import sys

import zkinfer.chain

HEAVY = {"torch", "grpc", "web3", "eth_abi", "eth_account", "sqlalchemy", "ezkl"}


def test_all_is_sorted_and_importable():
    assert zkinfer.chain.__all__ == sorted(zkinfer.chain.__all__, key=lambda name: (name[0].islower(), name))
    assert all(hasattr(zkinfer.chain, name) for name in zkinfer.chain.__all__)


def test_import_needs_no_extra():
    code = "import sys, zkinfer.chain; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)
