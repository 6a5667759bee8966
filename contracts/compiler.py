"""The Solidity compiler in its pinned version, and the patch of the verifier that ezkl generates.

The result is compared with code on chains, so version and settings must be the same everywhere.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

from zkinfer.contracts import strict_json
from zkinfer.contracts.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


SOLC_VERSION: Final = "0.8.37"
# The optimiser's runs hardly matter for hand-written assembly.
GENERATED_SETTINGS: Final = {"evmVersion": "cancun", "optimizer": {"enabled": True, "runs": 200}}
# The same source compiles to the same byte code in every folder.
_METADATA: Final = {"bytecodeHash": "none", "appendCBOR": False}
# Not all of `evm.deployedBytecode`: it includes syntax trees, which are nested too deeply for the strict reader.
_OUTPUTS: Final = [
    "abi",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "storageLayout",
]
_CURE: Final = f"Run npm install in contracts/, which installs solc {SOLC_VERSION}."
_SECONDS: Final = 300
_MAX_OUTPUT: Final = 1 << 24


class PatchError(ChainError):
    """The source that the engine generated is not one that the patch supports."""


class CompilerError(ChainError):
    """The Solidity compiler is missing, has another version, or rejects a source."""


@dataclass(frozen=True, slots=True)
class Solc:
    """A compiler of the pinned version, which speaks standard JSON: `solc.js` here."""

    program: str

    @classmethod
    def find(cls, program: Path) -> Self:
        """The given program; raises CompilerError, which explains the cure, unless it is of the pinned version."""
        found = _version(str(program))
        if found != SOLC_VERSION:
            raise CompilerError(f"The Solidity compiler {SOLC_VERSION} is needed, and {program} is {found}.", _CURE)
        return cls(str(program))

    def compile(self, sources: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Compile sources to contracts by file and name; raises CompilerError if the compiler rejects them."""
        request = {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sources.items()},
            "settings": {**settings, "metadata": _METADATA, "outputSelection": {"*": {"*": _OUTPUTS}}},
        }
        output = _parse_output(_run([self.program, "--standard-json"], json.dumps(request)))
        failed = [one.get("formattedMessage", "") for one in output.get("errors", []) if one.get("severity") == "error"]
        if failed:
            raise CompilerError(f"The compiler rejects the source: {failed[0].strip()[:2000]}")
        contracts: dict[str, Any] = output.get("contracts", {})
        return contracts


def _version(program: str) -> str:
    found = re.search(r"\b(\d+\.\d+\.\d+)\+commit\.", _run([program, "--version"], ""))
    return found[1] if found else "not a known compiler"


def _parse_output(text: str) -> dict[str, Any]:
    """The JSON document in the compiler's output; solcjs prints a notice on a line before it."""
    try:
        output = strict_json.loads(text[text.index("{") :].encode(), max_bytes=_MAX_OUTPUT)
    except ValueError as err:
        raise CompilerError("The compiler's output is not a JSON object.", _CURE) from err
    if not isinstance(output, dict):
        raise CompilerError("The compiler's output is not a JSON object.", _CURE)
    return output


def _run(command: list[str], given: str) -> str:
    """The output of a program. It runs on files, because solcjs reads and writes pipes only partly."""
    with _file() as stdin, _file() as stdout:
        stdin.write(given)
        stdin.seek(0)
        try:
            subprocess.run(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True, timeout=_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as err:
            message = getattr(err, "stderr", None) or str(err)
            raise CompilerError(f"The compiler {command[0]} failed: {message.strip()[-500:]}", _CURE) from err
        stdout.seek(0)
        return stdout.read()


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


ANCHOR: Final = "success := and(success, eq(sub(instance_cptr, 0xa4), proof.length))\n"
_CONTRACT: Final = "contract Halo2VerifierReusable {"
_ASSERTIONS: Final = """\
                // Added by zkinfer: what is read at fixed places must be what the ABI names.
                success := and(success, eq(proof.offset, 0x84))
                success := and(success, eq(instances.offset, add(0xa4, proof.length)))
"""


def patch(source: str) -> str:
    """Patch the verifier of all circuits; raises PatchError if the source is unknown."""
    for text in (_CONTRACT, ANCHOR):
        if source.count(text) != 1:
            raise PatchError(
                f"The generated source holds {text.strip()!r} {source.count(text)} times instead of once.",
                "The engine generates a verifier that this version of zkinfer cannot patch.",
            )
    return source.replace(ANCHOR, ANCHOR + _ASSERTIONS)
