"""The documentation is consistent: links resolve, every page is reachable, examples load, names exist."""

import re
from pathlib import Path

import pytest
from tests.paths import ROOT

from zkinfer.chain import errors as record_errors
from zkinfer.circuits import errors as circuit_errors
from zkinfer.client import errors as client_errors
from zkinfer.contracts import errors as chain_errors
from zkinfer.oracle import errors as oracle_errors
from zkinfer.prover import errors as prover_errors
from zkinfer.service import errors as service_errors
from zkinfer.verifier import errors as verifier_errors
from zkinfer.verifier import load_policy, load_policy_toml

DOCUMENTS = sorted([*ROOT.glob("*.md"), ROOT / "NOTICE", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
POLICY_PAGES = ("docs/guides/policies.md", "docs/guides/engines.md", "docs/reference/policy.md")
POLICIES = [
    policy
    for page in POLICY_PAGES
    for policy in re.findall(r"^```json\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
]
ERRORS = {
    name: kind
    for module in (
        circuit_errors,
        verifier_errors,
        prover_errors,
        service_errors,
        client_errors,
        chain_errors,
        record_errors,
        oracle_errors,
    )
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, (circuit_errors.ZkinferError, chain_errors.ChainError))
}
ROOTS = {"ZkinferError", "ChainError"}
ERROR_PAGE = (ROOT / "docs/reference/errors.md").read_text()
ERROR_PAGES = "".join(page.read_text() for page in sorted((ROOT / "docs/reference").glob("errors*.md")))
BUILTIN = {"TypeError", "ValueError"}
MAP = ROOT / "docs/README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
GENERATED = re.compile(r"<!-- Written by \S+; do not edit\. -->")
LONGEST = 250


def anchors(document: Path) -> set[str]:
    """The anchors of the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    broken = []
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        path, _, anchor = link.partition("#")
        target = document if not path else document.parent / path
        if not link.startswith(("https://", "http://")) and (
            not target.exists() or (anchor and anchor not in anchors(target))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_of_a_document_resolve(document):
    assert broken_links(document) == []


def test_broken_link_is_detected(tmp_path):
    (tmp_path / "a.md").write_text("# A b\n[1](b.md) [2](#a-b) [3](#c) [4](https://example.org/x)\n")
    assert broken_links(tmp_path / "a.md") == ["b.md", "#c"]


def reachable_from(start: Path) -> set[Path]:
    """The pages that links lead to from a page, itself included."""
    found, waiting = set(), [start.resolve()]
    while waiting:
        page = waiting.pop()
        if page not in found and page.suffix == ".md" and page.is_file():
            found.add(page)
            links = (link.partition("#")[0] for link in LINK.findall(FENCE.sub("", page.read_text())))
            waiting += [(page.parent / link).resolve() for link in links if link and "://" not in link]
    return found


def test_every_page_is_reachable_from_the_map():
    assert [page for page in PAGES if page.resolve() not in reachable_from(MAP)] == []


def test_unlinked_page_is_detected(tmp_path):
    for name, text in (("a.md", "[b](b.md#x)"), ("b.md", "[a](a.md) [web](https://example.org/c.md)"), ("c.md", "")):
        (tmp_path / name).write_text(text)
    assert {page.name for page in reachable_from(tmp_path / "a.md")} == {"a.md", "b.md"}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_hand_written_page_is_at_most_250_lines(page):
    text = page.read_text()
    assert GENERATED.search(text) or text.count("\n") <= LONGEST


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_document_contains_no_machine_path(document):
    assert re.findall(r"(?<![\w.~-])/(?:work|root|home)\b\S*", document.read_text()) == []


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_example_loads(policy):
    load_policy(policy.encode())


@pytest.mark.parametrize("page", ["docs/guides/policies.md", "docs/reference/policy.md"])
def test_policy_in_toml_is_the_same_as_the_one_in_json(page):
    text = (ROOT / page).read_text()
    first, shown = (
        re.search(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1] for kind in ("json", "toml")
    )
    assert load_policy_toml(shown.encode()) == load_policy(first.encode())


def test_policy_pages_have_examples():
    assert len(POLICIES) >= 4


def test_error_class_named_on_the_pages_of_errors_exists():
    assert set(re.findall(r"\b[A-Z]\w*Error\b", ERROR_PAGES)) - BUILTIN <= set(ERRORS)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_error_class_is_in_the_tree_and_has_one_row(name):
    tree = FENCE.search(ERROR_PAGE)[0]
    assert re.search(rf"^\W*{name}\b", tree, re.MULTILINE)
    assert len(re.findall(rf"^\| `{name}` \|", ERROR_PAGES, re.MULTILINE)) == 1


@pytest.mark.parametrize("name", sorted(set(ERRORS) - ROOTS))
def test_error_tree_matches_the_classes(name):
    lines = FENCE.search(ERROR_PAGE)[0].splitlines()
    depths = {re.search(r"\w+", line)[0]: re.search(r"\w", line).start() for line in lines if "Error" in line}
    parents = [other for other in list(depths)[: list(depths).index(name)] if depths[other] < depths[name]]
    assert parents[-1] == ERRORS[name].__base__.__name__


def table_column(page: str, column: int) -> set[str]:
    """The words in code font in one column of all tables of a page."""
    rows = [line.split("|") for line in (ROOT / page).read_text().splitlines() if line.startswith("| ")]
    return {word for row in rows if len(row) > column for word in re.findall(r"`(\w+)`", row[column])}


def test_rules_in_the_table_can_be_loaded():
    with pytest.raises(verifier_errors.PolicyFileError) as caught:
        load_policy(b'{"version":1,"allOf":[{"noRule":true}]}')
    assert table_column("docs/reference/policy.md", 1) == set(re.findall(r"\b[a-z]\w+[A-Z]\w+", caught.value.cure))


def test_refusals_listed_for_the_steps_are_complete():
    theirs = {name for module in (verifier_errors, record_errors) for name in vars(module) if name in ERRORS}
    refusals = {name for name in theirs if issubclass(ERRORS[name], verifier_errors.RefusedError)}
    assert table_column("docs/reference/attestation.md", 3) == refusals - {"RefusedError", "EmptyPolicyError"}


def test_index_lists_all_decisions():
    index = (ROOT / "docs/decisions/README.md").read_text()
    records = [path.name for path in (ROOT / "docs/decisions").glob("0*.md")]
    assert [name for name in records if f"]({name})" not in index] == []
