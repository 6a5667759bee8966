"""Commands, options, Python names and files shown on the pages exist."""

import ast
import importlib
import re
import shlex

import pytest
from tests.paths import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
HAND_WRITTEN = [path for path in DOCUMENTS if path.name not in ("cli.md", "CHANGELOG.md")]
HELP = (ROOT / "docs/reference/cli.md").read_text()
SHELL = re.compile(r"^```(?:console|sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(zkinfer [^`]+)`(?!`)", re.DOTALL)
FILE = re.compile(
    r"`((?:benchmarks|circuits|contracts|deploy|docs|examples|proto|prover|service|tests|verifier)/[\w./-]+)`"
)
PAGE = re.compile(r"(?<![\w/.])docs/[\w/-]+\.md\b")
SOURCES = (
    "benchmarks",
    "circuits",
    "contracts/zkinfer",
    "deploy",
    "examples",
    "proto",
    "prover",
    "service",
    "verifier",
)
# Pages whose `console` blocks are executed by a test in tests/e2e; other blocks are only compared with the help.
EXECUTED = {
    "README.md": "test_readme.py",
    "docs/start/auditor.md": "test_readme.py",
    "docs/start/commission.md": "test_works.py",
    "docs/start/income.md": "test_works_income.py",
    "docs/guides/fingerprints.md": "test_works_labels.py",
    "docs/start/creator.md": "test_works.py",
    "docs/start/dapp-developer.md": "test_readme.py",
    "docs/start/model-owner.md": "test_readme.py",
    "docs/start/oracle-operator.md": "test_chain.py",
    "docs/guides/bundles.md": "test_readme.py",
    "docs/guides/chain.md": "test_chain.py",
    "docs/guides/contracts.md": "test_own_contract.py",
    "docs/guides/reports.md": "test_readme.py",
    "docs/guides/rest.md": "test_rest.py",
    "docs/guides/serving.md": "test_serve.py",
    "docs/guides/three-operators.md": "test_three_operators.py",
    "docs/guides/torch.md": "test_export.py",
    "docs/guides/trust-roots.md": "test_readme.py",
    "docs/guides/lookup.md": "test_works_directory.py",
}
DOTTED = re.compile(r"`(zkinfer(?:\.\w+)+)`")
SERVICES = {"zkinfer.v1.Proofs", "zkinfer.v1.Models", "zkinfer.v1.Works"}  # of the gRPC interface, not of Python
FOREIGN = {"skl2onnx", "sklearn"}


def sections():
    """The help of each command, by command such as `chain deploy`."""
    parts = re.split(r"^#+ `zkinfer ?([\w -]*)`$", HELP, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


COMMANDS = sections()


def commands_of(text):
    """Every zkinfer command line on a page, as a list of words."""
    lines = [line for block in SHELL.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    shown = [line for line in lines if re.match(r"[$!]? ?zkinfer\b", line)] + INLINE.findall(text)
    return [shlex.split(" ".join(line.lstrip("$! ").split()), comments=True)[1:] for line in shown]


def problems(words):
    """The command or options of a command line that the help lacks."""
    names = [name for name in COMMANDS if name and words[: len(name.split())] == name.split()]
    if not names:
        return [] if words[0].startswith("-") else [words[0]]
    text = COMMANDS[max(names, key=len)]
    options = (word.partition("=")[0] for word in words if word.startswith("--"))
    return [option for option in options if not re.search(rf"[`/ ]{option}\b", text)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_command_on_a_page_is_in_the_help(document):
    if document.name != "cli.md":
        wrong = {" ".join(words): problems(words) for words in commands_of(document.read_text())}
        assert {call: unknown for call, unknown in wrong.items() if unknown} == {}


def test_console_blocks_are_only_on_executed_pages():
    pages = {name for name, path in zip(NAMES, DOCUMENTS, strict=True) if "\n```console\n" in path.read_text()}
    assert pages - {"docs/reference/cli.md"} == set(EXECUTED)


@pytest.mark.parametrize(("page", "test"), EXECUTED.items(), ids=EXECUTED)
def test_executed_page_is_read_by_its_test(page, test):
    assert page.removeprefix("docs/") in (ROOT / "tests/e2e" / test).read_text()


@pytest.mark.parametrize("words", [["nonsense"], ["prove", "x", "--nonsense"], ["chain", "deploy", "--calibration"]])
def test_unknown_command_or_option_is_detected(words):
    assert problems(words) == [words[-1]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_python_on_a_page_uses_existing_names(document):
    for code in PYTHON.findall(document.read_text()):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("zkinfer"):
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("document", HAND_WRITTEN, ids=[str(path.relative_to(ROOT)) for path in HAND_WRITTEN])
def test_file_named_on_a_page_exists(document):
    assert [name for name in FILE.findall(document.read_text()) if not (ROOT / name).exists()] == []


def resolves(name):
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for depth in range(len(parts), 1, -1):
        try:
            found = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        return all(hasattr(found, part) for part in parts[depth : depth + 1])
    return False


@pytest.mark.parametrize("document", HAND_WRITTEN, ids=[str(path.relative_to(ROOT)) for path in HAND_WRITTEN])
def test_dotted_name_on_a_page_resolves(document):
    named = {name for name in DOTTED.findall(document.read_text()) if name not in SERVICES}
    assert [name for name in sorted(named) if not resolves(name)] == []


@pytest.mark.parametrize("name", ["zkinfer.nonsense", "zkinfer.circuits.Nonsense", "zkinfer.circuits.cost.nonsense"])
def test_unknown_dotted_name_is_detected(name):
    assert not resolves(name)


def test_main_names_on_the_architecture_page_are_public():
    rows = re.findall(
        r"^\| `(zkinfer\.\w+)` \|.*\| (`.*`) \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 6
    for package, names in rows:
        module = importlib.import_module(package)
        assert [name for name in re.findall(r"`(\w+)`", names) if not hasattr(module, name)] == []


@pytest.mark.parametrize("folder", SOURCES)
def test_page_named_in_a_source_file_exists(folder):
    kinds = {".py", ".pyi", ".proto", ".toml", ".sol", ".service"}
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in kinds and "node_modules" not in path.parts]
    named = {page for path in files for page in PAGE.findall(path.read_text(encoding="utf-8"))}
    assert [page for page in named if not (ROOT / page).exists()] == []


def test_export_of_the_scikit_learn_page_runs(tmp_path, monkeypatch):
    for name in FOREIGN:
        pytest.importorskip(name)
    (code,) = PYTHON.findall((ROOT / "docs/guides/scikit-learn.md").read_text())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "scikit-learn.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"forest.onnx", "samples.npz"}
