"""The pages of the engine Ashlar: their Python runs, their sections exist, and their pages are complete."""

import re

import pytest
from tests.paths import ROOT

FOLDER = ROOT / "docs/ashlar"
PAGES = sorted(FOLDER.glob("*.md"))
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
CITED = re.compile(r"[Ss]ections? (\d+\.\d+)")
EXECUTED = [page for page in PAGES if PYTHON.search(page.read_text())]
SOURCES = ("circuits/zkinfer/circuits/engines/ashlar", "contracts/src/verifiers/ashlar", "prover/ashlar/src")
NUMBERS = {number for page in PAGES for number in HEADING.findall(page.read_text())}


@pytest.mark.parametrize("page", EXECUTED, ids=[page.name for page in EXECUTED])
def test_python_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {"__name__": page.stem}
    for code in PYTHON.findall(page.read_text()):
        exec(compile(code, page.name, "exec"), names)


def test_examples_are_executed():
    assert {page.name for page in EXECUTED} == {"README.md", "worked-example.md"}


def test_no_two_sections_have_one_number():
    numbers = [number for page in PAGES for number in HEADING.findall(page.read_text())]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("folder", [*SOURCES, "verifier/zkinfer/verifier/ashlar", "docs/ashlar"])
def test_section_cited_in_a_file_exists(folder):
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".sol", ".rs", ".md"}]
    cited = {number: path.name for path in files for number in CITED.findall(path.read_text())}
    assert files
    assert {number: name for number, name in cited.items() if number not in NUMBERS} == {}
