"""The compiler that builds the artifacts, and the patch of the generated verifier."""

import json
import sys

import pytest
from tests.paths import ROOT
from tests.vectors import make_chain  # noqa: F401 - puts the scripts beside the contracts on the path

from compiler import ANCHOR, GENERATED_SETTINGS, SOLC_VERSION, CompilerError, PatchError, Solc, patch

NATIVE, NPM = f"Version: {SOLC_VERSION}+commit.1234abcd.Linux.g++", f"{SOLC_VERSION}+commit.1234abcd.Emscripten.clang"
MADE = {"A.sol": {"A": {"evm": {}}}}
ANSWER = json.dumps({"contracts": MADE})
SOURCE = f"contract Halo2VerifierReusable {{\n{ANCHOR}rest\n}}"


@pytest.fixture
def program(tmp_path):
    """A compiler program with scripted version and answer; it keeps its input."""

    def written(version=NPM, answer=ANSWER, status=0):
        path = tmp_path / "solc"
        path.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"if '--version' in sys.argv: print({version!r}); sys.exit(0)\n"
            f"open({str(tmp_path / 'given')!r}, 'w').write(sys.stdin.read())\n"
            f"print({answer!r}); print('told', file=sys.stderr); sys.exit({status})\n"
        )
        path.chmod(0o755)
        return path

    return written


@pytest.mark.parametrize("version", [NATIVE, NPM])
def test_compiler_of_the_pinned_version_is_accepted(program, version):
    path = program(version)
    assert Solc.find(path) == Solc(str(path))


@pytest.mark.parametrize(
    ("version", "message"),
    [("Version: 0.8.30+commit.1", "is 0.8.30"), ("GNU bash, version 5.2.1", "is not a known compiler")],
)
def test_another_version_is_refused(program, version, message):
    with pytest.raises(CompilerError, match=rf"compiler {SOLC_VERSION} is needed, and .*{message}.*npm install"):
        Solc.find(program(version))


@pytest.mark.parametrize("remark", ["", ">>> Cannot retry compilation with SMT.\n"])
def test_sources_are_compiled_without_metadata(program, tmp_path, remark):
    assert Solc.find(program(answer=remark + ANSWER)).compile({"A.sol": "contract A {}"}, GENERATED_SETTINGS) == MADE
    given = json.loads((tmp_path / "given").read_text())
    assert given["sources"] == {"A.sol": {"content": "contract A {}"}}
    assert {name: given["settings"][name] for name in GENERATED_SETTINGS} == GENERATED_SETTINGS
    assert given["settings"]["metadata"] == {"bytecodeHash": "none", "appendCBOR": False}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ('{"contracts": {}, "contracts": {}}', "is not a JSON object"),
        (
            '{"errors": [{"severity": "error", "formattedMessage": "ParserError: x"}]}',
            "rejects the source: ParserError: x",
        ),
    ],
)
def test_malformed_compiler_output_is_refused(program, answer, message):
    with pytest.raises(CompilerError, match=message):
        Solc.find(program(answer=answer)).compile({}, GENERATED_SETTINGS)


def test_compiler_error_is_reported(program):
    with pytest.raises(CompilerError, match="failed: told"):
        Solc.find(program(status=3)).compile({}, GENERATED_SETTINGS)


def test_missing_compiler_is_reported(tmp_path):
    with pytest.raises(CompilerError, match=r"failed: .*No such file"):
        Solc.find(tmp_path / "solc")


def test_pinned_version_is_that_of_the_compiled_contracts():
    pinned = json.loads((ROOT / "contracts/package.json").read_text())["devDependencies"]["solc"]
    assert pinned == SOLC_VERSION
    assert f"solc {SOLC_VERSION}, EVM {GENERATED_SETTINGS['evmVersion']}" in (ROOT / "contracts/README.md").read_text()


def test_patch_adds_both_assertions_and_nothing_else():
    before, after = SOURCE.splitlines(), patch(SOURCE).splitlines()
    added = [line for line in after if line not in before]
    assert "eq(proof.offset, 0x84)" in added[1]
    assert "eq(instances.offset, add(0xa4, proof.length))" in added[2]
    assert len(added) == 3
    assert [line for line in after if line not in added] == before


@pytest.mark.parametrize(
    ("source", "count"), [(SOURCE.replace(ANCHOR, ""), 0), (SOURCE + ANCHOR, 2), (SOURCE.replace("Reusable", ""), 0)]
)
def test_source_of_another_verifier_is_refused(source, count):
    with pytest.raises(PatchError, match=rf"{count} times instead of once\. The engine generates a verifier"):
        patch(source)
