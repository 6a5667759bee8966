"""The Python on the page about the format of trust roots runs."""

import re
from datetime import UTC, datetime

import pytest
from tests.paths import ROOT
from tests.unit.verifier.trustroot.factory import YEAR, A, first, full

from zkinfer.verifier import RootRollbackError
from zkinfer.verifier.trustroot.accepted import AcceptedByRoot

PAGE = (ROOT / "docs/reference/trust-root.md").read_text()


@pytest.fixture
def policy_of(tmp_path, monkeypatch):
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path / "home"))
    names = {"__name__": "page"}
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "trust-root.md", "exec"), names)

    def call(file):
        (tmp_path / "root.json").write_bytes(file.to_bytes())
        return names["policy_of"](tmp_path / "root.json")

    return call


def test_python_on_the_page_makes_a_policy_and_refuses_an_older_file(policy_of):
    now = datetime.now(UTC).replace(microsecond=0)
    file = full(A, now=now, lifetime=YEAR)
    assert policy_of(file).policies[1] == AcceptedByRoot(file)
    with pytest.raises(RootRollbackError):
        policy_of(first(A, now=now))


def test_page_names_every_field_of_a_trust_root():
    root = full(A).current.root.model_dump(mode="json", by_alias=True)
    named = set(re.findall(r"`(\w+)`", PAGE))
    entries = [
        entry for entry in root.values() if isinstance(entry, list) for entry in entry if isinstance(entry, dict)
    ]
    assert set(root).union(*entries) - named == set()
