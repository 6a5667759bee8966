"""The curve of validators' keys is there for who needs it, and nobody waits for it."""

import subprocess
import sys
from importlib import import_module

import eth_keyfile
import pytest

from zkinfer.contracts import ethereum

KEY = (1 << 200).to_bytes(32, "big")
REACHING = ("zkinfer.contracts.chain", "zkinfer.contracts.signers", "zkinfer.contracts.ledger", "zkinfer.chain.records")


@pytest.mark.parametrize("module", REACHING)
def test_module_that_reaches_a_chain_prepares_no_pairings(module):
    said = f"import sys, {module}; print([name for name in sys.modules if 'py_ecc' in name and 'bls' in name])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_keystore_of_a_validator_has_the_public_key_that_its_curve_says():
    made = eth_keyfile.create_keyfile_json(KEY, b"password", version=4, kdf="pbkdf2", iterations=2)
    real = import_module("py_ecc.bls").G2ProofOfPossession
    assert made["pubkey"] == real.SkToPk(1 << 200).hex()


def test_order_of_the_curve_is_that_of_the_library():
    assert import_module("py_ecc.bls12_381").curve_order == ethereum._CURVE_ORDER


def test_stand_ins_do_not_stay_in_the_way_of_others():
    assert import_module("py_ecc.bls").__file__ is not None
