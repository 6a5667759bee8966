"""Every stored honest proof is accepted by every verifier that can read it, as the page states."""

import pytest
from benchmarks import honest_proofs
from benchmarks.gas import anvil_node
from benchmarks.sections import section_of
from tests.ashlar.verifiers import Contract
from tests.integration import bench

pytest.importorskip("zkinfer_ashlar", reason="the core of Ashlar is not installed")
pytestmark = pytest.mark.slow


def test_every_stored_honest_proof_is_accepted_and_the_page_says_so():
    bench.skip_without_anvil()
    with anvil_node() as node:
        rows = {"Ashlar": honest_proofs.by_ashlar(Contract(node)), "ezkl": honest_proofs.by_ezkl()}
    for total, accepted in rows.values():
        assert set(accepted.values()) == {total}
        assert total >= 12
    assert section_of(honest_proofs.PAGE.read_text(), honest_proofs.TITLE) == honest_proofs.section(rows)
