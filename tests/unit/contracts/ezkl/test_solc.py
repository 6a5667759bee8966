import json
import re
import sys

import pytest
from tests.paths import ROOT

from zkinfer.contracts import PatchError
from zkinfer.contracts.errors import CompilerError
from zkinfer.contracts.ezkl.solc import DEDICATED_ANCHOR, GENERATED_SETTINGS, SOLC_VERSION, Solc

SOURCE = f"contract Halo2Verifier {{\n{DEDICATED_ANCHOR}rest\n}}"
NATIVE, NPM = f"Version: {SOLC_VERSION}+commit.1234abcd.Linux.g++", f"{SOLC_VERSION}+commit.1234abcd.Emscripten.clang"
MADE = {"contracts": {"Halo2Verifier.sol": {"Halo2Verifier": {"evm": {}}}}}
MADE["contracts"]["Halo2Verifier.sol"]["Halo2Verifier"]["evm"] = {
    "bytecode": {"object": "6001"},
    "deployedBytecode": {"object": "6002"},
}

ANSWER = json.dumps(MADE)


@pytest.fixture
def program(tmp_path):
    """A compiler program with scripted version and answer; it keeps its input."""

    def written(version=NPM, answer=ANSWER, status=0, name="solc"):
        path = tmp_path / name
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


@pytest.mark.parametrize("name", ["solc", "solcjs"])
def test_compiler_is_found_on_path_by_either_name(monkeypatch, program, name):
    path = program(name=name)
    monkeypatch.setenv("PATH", str(path.parent))
    assert Solc.find() == Solc(str(path))


def test_missing_compiler_is_reported_with_the_cure(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    cure = rf"npm i solc@{re.escape(SOLC_VERSION)}, then give --solc node_modules/\.bin/solcjs"
    with pytest.raises(CompilerError, match=rf"there is no solc and no solcjs here.*{cure}"):
        Solc.find()
    with pytest.raises(CompilerError, match=rf"there is no {tmp_path}/solcjs here.*{cure}"):
        Solc.find(tmp_path / "solcjs")


@pytest.mark.parametrize(
    ("version", "message"),
    [("Version: 0.8.30+commit.1", "is 0.8.30"), ("GNU bash, version 5.2.1", "is not a known compiler")],
)
def test_another_version_is_refused(program, version, message):
    with pytest.raises(
        CompilerError, match=rf"The Solidity compiler {SOLC_VERSION} is needed, and .*{message}.*npm i solc@"
    ):
        Solc.find(program(version))


@pytest.mark.parametrize("remark", ["", ">>> Cannot retry compilation with SMT.\n"])
def test_verifier_is_patched_and_compiled_with_the_pinned_settings(program, tmp_path, remark):
    made = Solc.find(program(answer=remark + ANSWER)).dedicated(SOURCE)
    assert (made.creation, made.deployed) == (b"\x60\1", b"\x60\2")
    given = json.loads((tmp_path / "given").read_text())
    assert "Added by zkinfer" in given["sources"]["Halo2Verifier.sol"]["content"]
    assert {name: given["settings"][name] for name in GENERATED_SETTINGS} == GENERATED_SETTINGS
    assert given["settings"]["metadata"] == {"bytecodeHash": "none", "appendCBOR": False}


def test_source_unknown_to_the_patch_is_not_compiled(program, tmp_path):
    with pytest.raises(PatchError, match="0 times instead of once"):
        Solc.find(program()).dedicated("contract Halo2Verifier {}")
    assert not (tmp_path / "given").exists()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ('{"contracts": {}, "contracts": {}}', "is not a JSON object"),
        ("{}", "produced no Halo2Verifier"),
        (
            '{"errors": [{"severity": "error", "formattedMessage": "ParserError: x"}]}',
            "rejects the source: ParserError: x",
        ),
        (ANSWER.replace("6001", "60zz"), "produced no Halo2Verifier"),
    ],
)
def test_malformed_compiler_output_is_refused(program, answer, message):
    with pytest.raises(CompilerError, match=message):
        Solc.find(program(answer=answer)).dedicated(SOURCE)


def test_compiler_error_is_reported(program):
    with pytest.raises(CompilerError, match="failed: told"):
        Solc.find(program(status=3)).dedicated(SOURCE)


def test_pinned_version_is_that_of_the_compiled_contracts():
    pinned = json.loads((ROOT / "contracts/package.json").read_text())["devDependencies"]["solc"]
    assert pinned == SOLC_VERSION
    assert f"solc {SOLC_VERSION}, EVM {GENERATED_SETTINGS['evmVersion']}" in (ROOT / "contracts/README.md").read_text()
