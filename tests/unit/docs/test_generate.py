"""The generator of reference pages."""

import sys

import pytest
from tests.paths import ROOT

sys.path.insert(0, str(ROOT / "docs"))
import generate

SOURCE = '''
class Other(Protocol): ...

class Engine(Protocol):
    @property
    def id(self) -> str:
        """Name and version, `x/1`: an identity. More."""

    def prove(self, folder: Path, *, context: bytes | None = None) -> Proof | None:
        """Prove one
        inference.

        Raises:
            EngineError: it fails.
        """

    def verify(self, proof: Proof) -> None: ...
'''


def test_table_has_a_row_for_each_member_in_order():
    rows = generate.seam_table(SOURCE).splitlines()[2:]
    assert rows == [
        "| `id` |  | `str` | Name and version, `x/1`: an identity. |",
        r"| `prove` | `folder`, `context` | `Proof \| None` | Prove one inference. |",
        "| `verify` | `proof` |  |  |",
    ]


def test_source_without_the_protocol_is_refused():
    with pytest.raises(ValueError, match="no class Engine"):
        generate.seam_table("class Other: ...")


def test_table_replaces_the_text_between_the_markers():
    page = f"a\n{generate.BEGIN}old\n{generate.END}b\n"
    assert generate.with_seam_table(page, "new\n") == f"a\n{generate.BEGIN}\nnew\n\n{generate.END}b\n"


@pytest.mark.parametrize("page", ["", generate.BEGIN, generate.END, 2 * (generate.BEGIN + generate.END)])
def test_page_without_exactly_one_of_each_marker_is_refused(page):
    with pytest.raises(ValueError, match="exactly once"):
        generate.with_seam_table(page, "")


def test_table_on_the_page_is_up_to_date():
    page = (ROOT / "docs/architecture.md").read_text()
    assert generate.seam_table(generate.SEAM.read_text()) in page


def test_statuses_are_sorted_rows_of_the_classes():
    source = "_X = {a.BError: Rule(code_pb2.INTERNAL), AError: Rule(code_pb2.ABORTED, retry_after=5.0)}"
    rows = generate.status_page(source).splitlines()[-2:]
    assert rows == ["| `AError` | `ABORTED` | 5 |", "| `BError` | `INTERNAL` |  |"]


def test_source_without_statuses_is_refused():
    with pytest.raises(ValueError, match="no class of errors"):
        generate.status_page("X = {}")
