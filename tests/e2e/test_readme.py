"""README.md and the start pages, executed like a reader does: page by page, in one shell."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.shell import Outcome, Shell
from tests.integration import bench
from tests.paths import PROGRAM

from zkinfer.circuits.engines import engine_named


def page(name):
    return (bench.REPOSITORY / name).read_text(encoding="utf-8")


README = page("README.md")
# All start from the demo's folder, so the demo runs only once for them.
START_PAGES = (
    "docs/start/model-owner.md",
    "docs/start/auditor.md",
    "docs/start/dapp-developer.md",
    "docs/guides/trust-roots.md",
    "docs/guides/bundles.md",
)
BEGINNING = ["zkinfer demo --keep my-demo", "cd my-demo"]


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def console(text):
    return [line for block in blocks("console", text) for line in block.splitlines() if line.strip()]


CONSOLE = console(README)
MAKE = [line for line in CONSOLE if line.startswith("make ")]
STARTS = {name: console(page(name)) for name in START_PAGES}
REPORTS = page("docs/guides/reports.md")
FURTHER = [line for name in START_PAGES for line in STARTS[name] if line not in BEGINNING] + console(REPORTS)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A new user with an empty home and an empty folder."""
    return Shell(tmp_path_factory.mktemp("newcomer"), tmp_path_factory.mktemp("readme"))


def kept(line):
    """Keep the output of the demo, which runs once; check that a line with ! fails, which `set -e` ignores."""
    if line.startswith("! "):
        return f"if {line.removeprefix('! ')}; then exit 9; fi"
    return f"{line} --json > demo.json 2> demo.txt" if line.startswith("zkinfer demo ") else line


@pytest.fixture(scope="module")
def followed(reader):
    """The outcome of the console lines in one shell, and the folder at their end."""
    lines = ["set -eu", *map(kept, [line for line in CONSOLE if line not in MAKE] + FURTHER), "pwd > ../stands-here"]
    environment = reader.environment | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=reader.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, (reader.folder / "demo.txt").read_text() + done.stderr
    return done, (reader.folder / "stands-here").read_text().strip()


def test_readme_has_the_blocks_that_are_run_here():
    assert len(CONSOLE) >= 5
    assert len(blocks("python")) == 1
    assert set(re.findall(r"^```(\w+)", README, re.MULTILINE)) == {"console", "python"}


@pytest.mark.parametrize("name", START_PAGES)
def test_start_page_begins_with_the_demo_and_continues(name):
    assert STARTS[name][: len(BEGINNING)] == BEGINNING
    assert len(STARTS[name]) > len(BEGINNING)


def test_readme_make_lines_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (bench.REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert MAKE
    assert {line.removeprefix("make ") for line in MAKE} <= targets


@pytest.mark.slow
def test_readme_console_lines_succeed_and_accept(followed):
    done, _ = followed
    verdicts = [line for line in done.stdout.splitlines() if line.startswith("Verdict: ")]
    assert any(line.startswith("Verdict: valid, but forgeable by anyone") for line in verdicts)
    assert any(line.startswith("Verdict: refused") for line in verdicts)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_readme_python_runs_after_the_console_lines(followed, reader):
    _, folder = followed
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]],
        cwd=folder,
        env=reader.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d\n", done.stdout)


@pytest.mark.slow
def test_python_on_the_attestation_page_runs(followed, reader):
    _, folder = followed
    (code,) = blocks("python", page("docs/reference/attestation.md"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=reader.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "insecure-dev" in done.stdout


@pytest.mark.slow
def test_python_on_the_page_about_reports_writes_one(followed, reader):
    _, folder = followed
    (code,) = blocks("python", REPORTS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=reader.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Verdict: valid, but forgeable by anyone")
    assert "Forgeable" in (Path(folder) / "verdict.html").read_text()


def report_of(server):
    """The JSON object that the server prints once it is ready."""
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(server.stdout.readline())
        assert lines[-1], server.stderr.read()
    return json.loads("".join(lines))


@pytest.mark.slow
def test_python_on_the_dapp_page_gets_a_proven_answer(followed, reader):
    _, folder = followed
    (code,) = blocks("python", page("docs/start/dapp-developer.md"))
    standing = Shell(reader.home, Path(folder))
    with standing.start(
        "serve", "--repository", "models", "--listen", "127.0.0.1:0", "--state", "state", "--json"
    ) as server:
        try:
            address = report_of(server)["address"]
            done = subprocess.run(
                [sys.executable, "-c", code.replace("127.0.0.1:8001", address)],
                cwd=folder,
                env=reader.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(\d)\nproven: \1\n", done.stdout)


def test_help_names_every_command_of_the_readme(reader):
    used = set(
        re.findall(r"zkinfer ([a-z]+)(?: ([a-z]+)\b)?", " ".join(re.findall(r"`([^`]+)`", README)) + "\n".join(CONSOLE))
    )
    known = reader("--help").stdout
    assert used
    assert all(re.search(rf"\b{command}\b", known) for command, _ in used)


def test_help_names_every_option_of_the_console_lines(reader):
    for line in {*CONSOLE, *FURTHER}:
        words = shlex.split(line.removeprefix("! "))
        if words[0] == "zkinfer":
            command = words[1:3] if words[1] in ("bundle", "keys", "trust") else words[1:2]
            text = reader(*command, "--help", COLUMNS="200").stdout
            assert all(word in text for word in words if word.startswith("--"))


def test_readme_links_to_its_own_files_are_relative():
    links = re.findall(r"\]\((?!https://)([^)]+)\)", README)
    assert links
    assert not any(link.startswith("/") for link in links)


# --- demo


@pytest.fixture(scope="module")
def demo(followed, reader):
    """The output of the demo in the console lines, and the folder in which they began."""
    return Outcome(0, *((reader.folder / f"demo.{kind}").read_text() for kind in ("json", "txt"))), reader


@pytest.mark.slow
def test_demo_refuses_five_forgeries_and_keeps_the_accuracy(demo):
    assert len(demo[0].document["refusals"]) == 5
    for figures in demo[0].document["comparison"]:
        assert figures["floatAccuracy"] >= 0.96
        assert abs(figures["circuitAccuracy"] - figures["floatAccuracy"]) <= 0.005


@pytest.mark.slow
def test_demo_compares_both_engines_or_says_why_it_does_not(demo):
    document, missing = demo[0].document, engine_named("ashlar").unavailable
    cases = [(figures["model"], figures["engine"]) for figures in document["comparison"]]
    second = [] if missing else [("digits", "ashlar"), ("lenet", "ashlar")]
    assert cases == [("digits", "ezkl"), *second]
    assert document["secondEngine"] == (missing or "shown")
    assert all(figures["proveSeconds"] > 0 and figures["proofBytes"] > 0 for figures in document["comparison"])


@pytest.mark.slow
def test_demo_refuses_each_forgery_with_its_own_reason(demo):
    reasons = list(demo[0].document["refusals"].values())
    assert len(set(reasons)) >= 4
    assert "SignatureError" in reasons
    assert "RefusedError" not in reasons


@pytest.mark.slow
def test_demo_leaves_only_its_caches_and_the_kept_folder(demo):
    _, shell = demo
    assert {path.name for path in shell.folder.iterdir()} == {"my-demo", "demo.json", "demo.txt", "stands-here"}
    assert shell.leftovers() == set()


@pytest.mark.slow
def test_demo_states_that_its_setup_is_for_tests(demo):
    assert "anyone can forge proofs" in demo[0].sentence
    assert "Traceback" not in demo[0].stderr


@pytest.mark.slow
def test_demo_ends_with_an_acting_contract_and_a_paid_prover(demo):
    chain = demo[0].document["chain"]
    assert chain["winner"] == chain["player"]
    assert chain["proverCredit"] == 2 * 10**15
    assert all(gas > 21_000 for gas in chain["gas"].values())


@pytest.mark.slow
def test_demo_contracts_refuse_forgeries_and_replays_by_name(demo):
    refusals = list(demo[0].document["chain"]["refusals"].values())
    names = [re.search(r"refused: (\w+)\(", cause)[1] for cause in refusals]
    # The ledger computes the context itself, so a proof for another request is invalid rather than mismatched.
    assert names == ["ProofRejected", "ProofRejected", "NotOpen", "AlreadyAnswered"]


@pytest.mark.slow
def test_demo_under_insecure_dev_states_that_its_deployment_is_for_tests(demo):
    assert demo[0].document["chain"]["testDeployment"] is True
    assert "test deployment: it accepts models under insecure-dev" in demo[0].sentence
