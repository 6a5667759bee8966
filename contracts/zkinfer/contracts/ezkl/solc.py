"""Patch and compile the verifiers that ezkl generates, with a pinned version of the Solidity compiler.

The result is compared with code on chains, so version and settings must be the same everywhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

from zkinfer.contracts import strict_json
from zkinfer.contracts.errors import CompilerError, PatchError
from zkinfer.contracts.identifiers import keccak256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


SOLC_VERSION: Final = "0.8.37"
# The optimiser's runs hardly matter for hand-written assembly; the IR pipeline cannot compile the dedicated verifiers.
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
_NAMES: Final = ("solc", "solcjs")
_CURE: Final = (
    f"npm i solc@{SOLC_VERSION}, then give --solc node_modules/.bin/solcjs; or put solc {SOLC_VERSION} on PATH."
)
_SECONDS: Final = 300
_MAX_OUTPUT: Final = 1 << 24
_DEDICATED: Final = "Halo2Verifier"


@dataclass(frozen=True, slots=True)
class Generated:
    """The compiled verifier of a single circuit: its creation code and its deployed code."""

    creation: bytes
    deployed: bytes


@dataclass(frozen=True, slots=True)
class Solc:
    """A compiler of the pinned version: solc, npm's solcjs, or another program that speaks standard JSON."""

    program: str

    @classmethod
    def find(cls, given: Path | None = None) -> Self:
        """The given program, else the first compiler of the pinned version on PATH.

        Raises CompilerError, which explains how to install it, if there is none of that version.
        """
        seen = [found for name in ([str(given)] if given else _NAMES) if (found := shutil.which(name))]
        others = []
        for program in seen:
            if (version := _version(program)) == SOLC_VERSION:
                return cls(program)
            others.append(f"{program} is {version}")
        found_instead = "; ".join(others) or f"there is no {given or ' and no '.join(_NAMES)} here"
        raise CompilerError(f"The Solidity compiler {SOLC_VERSION} is needed, and {found_instead}.", _CURE)

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

    def dedicated(self, source: str) -> Generated:
        """Patch and compile the verifier that the engine generated for a single circuit.

        Raises PatchError if the source is unknown, CompilerError if the compiler rejects it.
        """
        contracts = self.compile({f"{_DEDICATED}.sol": patch_dedicated(source)}, GENERATED_SETTINGS)
        try:
            evm = contracts[f"{_DEDICATED}.sol"][_DEDICATED]["evm"]
            codes = [bytes.fromhex(evm[kind]["object"]) for kind in ("bytecode", "deployedBytecode")]
        except (KeyError, TypeError, ValueError) as err:
            raise CompilerError(f"The compiler {self.program} produced no {_DEDICATED}.", _CURE) from err
        return Generated(*codes)


def code_hash(code: bytes) -> str:
    """keccak256 of code, as hex."""
    return "0x" + keccak256(code).hex()


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


REUSABLE_ANCHOR: Final = "success := and(success, eq(sub(instance_cptr, 0xa4), proof.length))\n"


DEDICATED_ANCHOR: Final = "let num_instances := mload(NUM_INSTANCES_MPTR)\n"


_CONTRACTS: Final = {REUSABLE_ANCHOR: "contract Halo2VerifierReusable {", DEDICATED_ANCHOR: "contract Halo2Verifier {"}


_ASSERTIONS: Final = """\
                // Added by zkinfer: what is read at fixed places must be what the ABI names.
                success := and(success, eq(proof.offset, {proof}))
                success := and(success, eq(instances.offset, add({instances}, proof.length)))
"""


def patch_reusable(source: str) -> str:
    """Patch the verifier of all circuits; raises PatchError if the source is unknown."""
    return _patch(source, REUSABLE_ANCHOR, _ASSERTIONS.format(proof="0x84", instances="0xa4"))


def patch_dedicated(source: str) -> str:
    """Patch the verifier of a single circuit; raises PatchError if the source is unknown."""
    return _patch(source, DEDICATED_ANCHOR, _ASSERTIONS.format(proof="0x64", instances="0x84"))


def _patch(source: str, anchor: str, assertions: str) -> str:
    for text in (_CONTRACTS[anchor], anchor):
        if source.count(text) != 1:
            raise PatchError(
                f"The generated source holds {text.strip()!r} {source.count(text)} times instead of once.",
                "The engine generates a verifier that this version of zkinfer cannot patch.",
            )
    return source.replace(anchor, anchor + assertions)
