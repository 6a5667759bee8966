"""The Solidity compiler: only a verifier that is generated for one circuit needs it, and only in the pinned version.

Its output is compared with code that lies on chains, so that version and settings are part of what is agreed on.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

from zkinfer.contracts.errors import CompilerError, PatchError
from zkinfer.contracts.keccak import keccak256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


SOLC_VERSION: Final = "0.8.37"
# The optimiser's number hardly matters for hand-written assembly, and the IR pipeline cannot take the dedicated one.
GENERATED_SETTINGS: Final = {"evmVersion": "cancun", "optimizer": {"enabled": True, "runs": 200}}
# The same source gives the same byte code, wherever it lies.
_METADATA: Final = {"bytecodeHash": "none", "appendCBOR": False}
_WANTED: Final = ["abi", "evm.bytecode.object", "evm.deployedBytecode", "storageLayout"]
_NAMES: Final = ("solc", "solcjs")
_CURE: Final = (
    f"npm i solc@{SOLC_VERSION}, then give --solc node_modules/.bin/solcjs; or put solc {SOLC_VERSION} on PATH."
)
_SECONDS: Final = 300
_DEDICATED: Final = "Halo2Verifier"


@dataclass(frozen=True, slots=True)
class Generated:
    """A compiled verifier of one circuit: the code that creates it, and the code that then lies on a chain."""

    creation: bytes
    deployed: bytes


@dataclass(frozen=True, slots=True)
class Solc:
    """A compiler of the pinned version: solc itself, npm's solcjs, or anything else that speaks standard JSON."""

    program: str

    @classmethod
    def find(cls, given: Path | None = None) -> Self:
        """The one that is given, else the first of the pinned version on PATH.

        Raises CompilerError, which says how to get it, where there is none or another version.
        """
        seen = [found for name in ([str(given)] if given else _NAMES) if (found := shutil.which(name))]
        others = []
        for program in seen:
            if (version := _version(program)) == SOLC_VERSION:
                return cls(program)
            others.append(f"{program} is {version}")
        told = "; ".join(others) or f"there is no {given or ' and no '.join(_NAMES)} here"
        raise CompilerError(f"It takes the Solidity compiler {SOLC_VERSION}, and {told}.", _CURE)

    def compile(self, sources: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """What it makes of sources: contracts by file and name; raises CompilerError where it refuses."""
        request = {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {**settings, "metadata": _METADATA, "outputSelection": {"*": {"*": _WANTED}}},
        }
        output = _opened(_run([self.program, "--standard-json"], json.dumps(request)))
        failed = [one.get("formattedMessage", "") for one in output.get("errors", []) if one.get("severity") == "error"]
        if failed:
            raise CompilerError(f"The compiler refuses: {failed[0].strip()[:2000]}")
        contracts: dict[str, Any] = output.get("contracts", {})
        return contracts

    def dedicated(self, source: str) -> Generated:
        """The verifier of one circuit, from the source that the engine generated, which is patched first.

        Raises PatchError where it is another source than is known, CompilerError where the compiler refuses.
        """
        contracts = self.compile({f"{_DEDICATED}.sol": patch_dedicated(source)}, GENERATED_SETTINGS)
        try:
            evm = contracts[f"{_DEDICATED}.sol"][_DEDICATED]["evm"]
            codes = [bytes.fromhex(evm[kind]["object"]) for kind in ("bytecode", "deployedBytecode")]
        except (KeyError, TypeError, ValueError) as err:
            raise CompilerError(f"The compiler {self.program} made no {_DEDICATED}.", _CURE) from err
        return Generated(*codes)


def code_hash(code: bytes) -> str:
    """keccak256 of code, as hex."""
    return "0x" + keccak256(code).hex()


def _version(program: str) -> str:
    found = re.search(r"\b(\d+\.\d+\.\d+)\+commit\.", _run([program, "--version"], ""))
    return found[1] if found else "no compiler that is known"


def _opened(text: str) -> dict[str, Any]:
    """The JSON of an answer; solcjs writes a remark on a line before it."""
    try:
        output = json.loads(text[text.index("{") :])
    except ValueError as err:
        raise CompilerError("The compiler gave no answer.", _CURE) from err
    if not isinstance(output, dict):
        raise CompilerError("The compiler gave no answer.", _CURE)
    return output


def _run(command: list[str], given: str) -> str:
    """What a program prints. Files, because of pipes solcjs reads only what is there, and fills them halfway."""
    with _file() as stdin, _file() as stdout:
        stdin.write(given)
        stdin.seek(0)
        try:
            subprocess.run(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True, timeout=_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as err:
            told = getattr(err, "stderr", None) or str(err)
            raise CompilerError(f"The compiler {command[0]} failed: {told.strip()[-500:]}", _CURE) from err
        stdout.seek(0)
        return stdout.read()


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


REUSABLE_ANCHOR: Final = "success := and(success, eq(sub(instance_cptr, 0xa4), proof.length))\n"


DEDICATED_ANCHOR: Final = "let num_instances := mload(NUM_INSTANCES_MPTR)\n"


_CONTRACTS: Final = {REUSABLE_ANCHOR: "contract Halo2VerifierReusable {", DEDICATED_ANCHOR: "contract Halo2Verifier {"}


_ASSERTIONS: Final = """\
                // Added by zkinfer: what is read at fixed places must be what the ABI names.
                success := and(success, eq(proof.offset, {proof}))
                success := and(success, eq(instances.offset, add({instances}, proof.length)))
"""


def patch_reusable(source: str) -> str:
    """Patch the verifier for all circuits; raises PatchError where the source is another one."""
    return _patch(source, REUSABLE_ANCHOR, _ASSERTIONS.format(proof="0x84", instances="0xa4"))


def patch_dedicated(source: str) -> str:
    """Patch the verifier for one circuit; raises PatchError where the source is another one."""
    return _patch(source, DEDICATED_ANCHOR, _ASSERTIONS.format(proof="0x64", instances="0x84"))


def _patch(source: str, anchor: str, assertions: str) -> str:
    for text in (_CONTRACTS[anchor], anchor):
        if source.count(text) != 1:
            raise PatchError(
                f"The generated source holds {text.strip()!r} {source.count(text)} times instead of once.",
                "The engine writes another verifier than this version of zkinfer knows how to mend.",
            )
    return source.replace(anchor, anchor + assertions)
