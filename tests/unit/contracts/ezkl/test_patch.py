import pytest

from zkinfer.contracts import PatchError, patch_dedicated, patch_reusable
from zkinfer.contracts.ezkl.patch import DEDICATED_ANCHOR, REUSABLE_ANCHOR

REUSABLE = f"contract Halo2VerifierReusable {{\n{REUSABLE_ANCHOR}rest\n}}"
DEDICATED = f"contract Halo2Verifier {{\n{DEDICATED_ANCHOR}rest\n}}"
PATCHES = [(patch_reusable, REUSABLE, REUSABLE_ANCHOR), (patch_dedicated, DEDICATED, DEDICATED_ANCHOR)]


@pytest.mark.parametrize(
    ("patch", "source", "proof", "instances"),
    [(patch_reusable, REUSABLE, "0x84", "0xa4"), (patch_dedicated, DEDICATED, "0x64", "0x84")],
)
def test_patch_adds_both_assertions_and_nothing_else(patch, source, proof, instances):
    before, after = source.splitlines(), patch(source).splitlines()
    added = [line for line in after if line not in before]
    assert f"eq(proof.offset, {proof})" in added[1]
    assert f"eq(instances.offset, add({instances}, proof.length))" in added[2]
    assert len(added) == 3
    assert [line for line in after if line not in added] == before


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patch_without_anchor_is_refused(patch, source, anchor):
    with pytest.raises(PatchError, match=r"0 times instead of once\. The engine writes another verifier"):
        patch(source.replace(anchor, ""))


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patch_with_two_anchors_is_refused(patch, source, anchor):
    with pytest.raises(PatchError, match="2 times instead of once"):
        patch(source + anchor)


@pytest.mark.parametrize(("patch", "source"), [(patch_reusable, DEDICATED), (patch_dedicated, REUSABLE)])
def test_patch_of_the_other_verifier_is_refused(patch, source):
    with pytest.raises(PatchError, match="0 times"):
        patch(source)


@pytest.mark.parametrize(("patch", "source", "anchor"), PATCHES)
def test_patch_of_a_patched_source_stays_findable(patch, source, anchor):
    assert patch(source).count(anchor) == 1
