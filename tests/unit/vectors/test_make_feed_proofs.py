"""The payloads that forge posts to the hub are the same from both provers."""

import json

import pytest
from tests.vectors import make_feed_proofs

from zkinfer.circuits.srs import generate_insecure_dev


def test_stored_payloads_are_reproduced_by_the_reference_prover():
    made = make_feed_proofs.values(make_feed_proofs.reference())
    assert make_feed_proofs.FILE.read_text() == make_feed_proofs.dump(made)


def test_stored_payloads_are_reproduced_by_the_engine(tmp_path):
    pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is missing")
    setup = tmp_path / "setup"
    generate_insecure_dev(8, setup)
    made = make_feed_proofs.values(make_feed_proofs.core(str(setup)))
    assert json.loads(make_feed_proofs.FILE.read_text()) == made
