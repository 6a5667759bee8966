"""Importing py_ecc keeps the recursion limit, so that deep JSON is an error instead of a crash."""

import re
import subprocess
import sys

import pytest
from tests.paths import ROOT

from zkinfer.contracts.rpc import recursion_limit_kept

DOORS = (
    "zkinfer.chain",
    "zkinfer.chain.lookup",
    "zkinfer.chain.records",
    "zkinfer.circuits.srs.bn254",
    "zkinfer.cli.demo.onchain",
    "zkinfer.client",
    "zkinfer.contracts.chain",
    "zkinfer.contracts.devchain",
    "zkinfer.contracts.ledger",
    "zkinfer.contracts.registry",
    "zkinfer.contracts.rpc",
    "zkinfer.contracts.signers",
    "zkinfer.contracts.transactions",
    "zkinfer.prover",
    "zkinfer.service",
    "zkinfer.verifier",
)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("module", DOORS)
def test_import_keeps_the_recursion_limit(module):
    done = run(f"import sys, {module}; print(sys.getrecursionlimit())")
    assert (done.stdout, done.stderr) == ("1000\n", "")


def test_transaction_on_the_embedded_chain_keeps_the_recursion_limit():
    done = run(
        "import sys\nfrom tests.unit.contracts.deployed import embedded_chain\n"
        "chain = embedded_chain()\nchain.send('0x' + '11' * 20, value=1)\nprint(sys.getrecursionlimit())"
    )
    assert (done.stdout, done.stderr) == ("1000\n", "")


def fail_after_raising_the_limit():
    with recursion_limit_kept():
        sys.setrecursionlimit(100_000)
        raise ImportError


def test_failed_import_restores_the_recursion_limit():
    limit = sys.getrecursionlimit()
    with pytest.raises(ImportError):
        fail_after_raising_the_limit()
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("zkinfer.contracts.rpc", "Node.decode_rpc_response(deep)"),
        ("zkinfer.contracts.address_book", "AddressBook.from_bytes(deep)"),
        ("zkinfer.chain.requests", "PlacedRequest.from_bytes(deep)"),
        ("zkinfer.circuits.manifest", "parse_manifest(deep)"),
        ("zkinfer.circuits.tensor_files", "from_json(deep, ())"),
        ("zkinfer.verifier.policy_file", "load_policy(deep)"),
        ("zkinfer.verifier", "Attestation.from_bytes(deep)"),
    ],
)
def test_deep_document_after_another_library_raised_the_limit_is_refused(module, read):
    done = run(
        f"import sys\nfrom {module} import {read.partition('.')[0].partition('(')[0]}\n"
        f"sys.setrecursionlimit(100_000)\ndeep = b'[' * 90_000\n"
        f"try: {read}\nexcept Exception as err: print(err)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search("nested deeper|not JSON|over the limit", done.stdout)
