"""The picture of a lineage: everything inside of it, nothing over another, and bounded."""

from itertools import combinations

import pytest
from tests.unit.ui import work_documents as documents

from zkinfer.ui.lineage import MOST, family_of, narrow, wide
from zkinfer.ui.work_values import Work


def family(parents, children, known=True):
    own = Work.model_validate(
        documents.work(
            parents=[{"work": documents.work_id(100 + number), "share_bps": 100} for number in range(parents)],
            children=[documents.work_id(1000 + number) for number in range(children)],
        )
    )
    shares = [{"work": own.work, "share_bps": 500}]
    numbers = range(children if known else 0)
    found = [Work.model_validate(documents.work(1000 + number, parents=shares)) for number in numbers]
    return family_of(own, {one.work: one for one in found})


@pytest.mark.parametrize("children", [0, 1, 2, MOST, MOST + 1, 400])
@pytest.mark.parametrize("parents", [0, 1, 3, 8])
@pytest.mark.parametrize("layout", [wide, narrow])
def test_boxes_lie_inside_and_apart(layout, parents, children):
    picture = layout(family(parents, children, known=False))
    for node in picture.nodes:
        assert 0 <= node.x <= node.x + node.width <= picture.width + 0.5
        assert 0 <= node.y <= node.y + node.height <= picture.height
    for one, other in combinations(picture.nodes, 2):
        assert (
            one.x + one.width <= other.x
            or other.x + other.width <= one.x
            or one.y + one.height <= other.y
            or (other.y + other.height <= one.y)
        )
    assert len(picture.edges) == len(picture.nodes) - 1


@pytest.mark.parametrize("layout", [wide, narrow])
def test_hundreds_of_children_are_a_number(layout):
    nodes = layout(family(0, 400)).nodes
    assert sum(node.role == "child" for node in nodes) == MOST
    assert nodes[-1].text == f"+ {400 - MOST}"


@pytest.mark.parametrize("layout", [wide, narrow])
def test_share_is_on_every_line_whose_share_is_known(layout):
    assert [edge.share_bps for edge in layout(family(2, 2)).edges] == [100, 100, 500, 500]
    assert [edge.share_bps for edge in layout(family(1, 2, known=False)).edges] == [100, None, None]


def test_work_whose_name_is_unknown_shows_its_id():
    node = narrow(family(1, 0)).nodes[0]
    assert node.text == documents.work_id(100)[:10]
    assert node.relative.kind == ""


def test_long_name_is_cut():
    own = Work.model_validate(documents.work(name="A" * 300))
    assert len(wide(family_of(own, {})).nodes[0].text) < 40
