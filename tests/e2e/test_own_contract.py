"""The contracts page: its lines, run in an empty folder, end with a contract that passes its test."""

import json
import os
import re
import shutil
import subprocess

import pytest
from tests.integration import bench

PAGE = (bench.REPOSITORY / "docs/guides/contracts.md").read_text()
TEMPLATE = bench.REPOSITORY / "examples/consumer"


def lines_of_the_page():
    chapter = PAGE.partition("## From zero to a contract of your own\n")[2].partition("\n## ")[0]
    return re.findall(r"^```console\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)[0]


def pinned(path):
    described = json.loads(path.read_text())
    return described.get("dependencies", {}) | described["devDependencies"]


def test_template_pins_the_tools_that_the_contracts_are_tested_with():
    ours = pinned(bench.REPOSITORY / "contracts/package.json")
    theirs = pinned(TEMPLATE / "package.json")
    assert theirs
    assert {name: ours[name] for name in theirs} == theirs


def test_template_copies_the_compilers_settings():
    settings = ("evm_version", "optimizer", "optimizer_runs", "offline", "auto_detect_remappings")
    ours, theirs = ((folder / "foundry.toml").read_text() for folder in (bench.REPOSITORY / "contracts", TEMPLATE))
    for name in settings:
        (line,) = re.findall(rf"^{name} = .*$", ours, re.MULTILINE)
        assert line in theirs


@pytest.mark.slow
def test_lines_of_the_page_end_with_passing_tests(tmp_path):
    if "ZKINFER_TEST_NPM" not in os.environ or shutil.which("npm") is None:
        pytest.skip("npm would download forge: `make contracts-test`, where there is node, runs this")
    (tmp_path / "zkinfer").symlink_to(bench.REPOSITORY)
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{lines_of_the_page()}"],
        cwd=tmp_path,
        env=os.environ | {"npm_config_prefer_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed; 0 failed" in done.stdout
