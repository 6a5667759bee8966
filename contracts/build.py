"""Compile the contracts, and write the artifacts that Python ships: ABI, byte code, code hashes, storage layouts.

python contracts/build.py           write contracts/zkinfer/contracts/compiled/
python contracts/build.py --check   rebuild everything; exit 1 if a file differs

It needs node, the packages that `npm install` installs, and the engine: the reusable verifier is generated, patched and
compiled here, and its code hash is pinned in src/verifiers/ezkl/EzklVerifierCodeHash.sol. The source that the engine
generates is kept in build/, not in the repository.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import canary
from compiler import GENERATED_SETTINGS, CompilerError, Solc, patch
from zkinfer.circuits.digest import keccak256

HERE = Path(__file__).resolve().parent
ARTIFACTS = HERE / "zkinfer/contracts/compiled"
PINNED = HERE / "src/verifiers/ezkl/EzklVerifierCodeHash.sol"
TIMELOCK = "@openzeppelin/contracts/governance/TimelockController.sol"
SHIPPED = (
    "AggregatorSource",
    "AproDoor",
    "AshlarVerifier",
    "ContributorFund",
    "CreDoor",
    "DigitLock",
    "ERC7992Adapter",
    "ERC8004Validator",
    "EmergencyStop",
    "FeedFace",
    "FeedHub",
    "FeedProxy",
    "InferenceLedger",
    "LedgerResolver",
    "Market",
    "ModelRegistry",
    "ReusableHalo2Adapter",
    "Similarity",
    "Studio",
    "Till",
    "TimelockController",
    "VerifierRouter",
    "Works",
)
GENERATED = "Halo2VerifierReusable"
COMPILER = HERE / "solc.js"
_AST_ID = re.compile(r"(?<=\))\d+(?=_storage)")


def main() -> None:
    """Build everything; write it, or compare it."""
    if shutil.which("node") is None or not (HERE / "node_modules/solc").is_dir():
        sys.exit("node and its packages are missing: install node, then run npm install in contracts/")
    built = canary.build()
    files = {ARTIFACTS / "canary.json": built.document}
    source = patch(built.verifier)
    (HERE / "build").mkdir(exist_ok=True)
    (HERE / f"build/{GENERATED}.sol").write_text(source)
    verifier = compile_generated(source)
    files[ARTIFACTS / f"{GENERATED}.json"] = dump(verifier)
    files[PINNED] = pin_hash(PINNED.read_text(), verifier["codeHash"])
    if not write_or_compare({PINNED: files[PINNED]}):  # before the compiler reads it
        sys.exit("out of date: the pinned code hash; run python contracts/build.py")
    files |= {ARTIFACTS / f"{name}.json": dump(artifact) for name, artifact in compile_project().items()}
    if not write_or_compare(files):
        sys.exit("run python contracts/build.py")


def write_or_compare(files: dict[Path, str]) -> bool:
    """Write the files that differ, or with --check only list them; False if --check found any."""
    checking = "--check" in sys.argv[1:]
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        print("out of date:" if checking else "wrote", path.relative_to(HERE))
        if not checking:
            path.write_text(files[path])
    return not (stale and checking)


def compile_generated(source: str) -> dict[str, Any]:
    """The artifact of the generated verifier for all circuits."""
    contracts = run_compiler({f"{GENERATED}.sol": source}, GENERATED_SETTINGS)
    return artifact_of(GENERATED, contracts[f"{GENERATED}.sol"][GENERATED])


def compile_project() -> dict[str, dict[str, Any]]:
    """The artifacts of all shipped contracts, compiled with the settings of foundry.toml."""
    profile = tomllib.loads((HERE / "foundry.toml").read_text())["profile"]["default"]
    rest = {*(HERE / "src").rglob("*.sol"), HERE / "node_modules" / TIMELOCK}
    found: dict[str, Any] = {}
    for restriction in profile["compilation_restrictions"]:
        own = rest & set(HERE.glob(restriction["paths"]))
        found |= compile_files(own, profile | restriction) if own else {}  # some are for tests
        rest -= own
    found |= compile_files(rest, profile)
    return {name: artifact_of(name, found[name]) for name in SHIPPED}


def compile_files(paths: set[Path], profile: dict[str, Any]) -> dict[str, Any]:
    """The compiled contracts of some sources by name, with the settings of a profile."""
    settings = {
        "evmVersion": profile["evm_version"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "remappings": profile["remappings"],
        "viaIR": profile["via_ir"],
    }
    contracts = run_compiler({str(path.relative_to(HERE)): path.read_text() for path in sorted(paths)}, settings)
    return {name: one for unit in contracts.values() for name, one in unit.items()}


def run_compiler(sources: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Run the compiler; exit with its message if it fails."""
    try:
        return Solc.find(COMPILER).compile(sources, settings)
    except CompilerError as err:
        sys.exit(str(err))


def artifact_of(name: str, compiled: dict[str, Any]) -> dict[str, Any]:
    """The artifact of a compiled contract.

    `immutables` are the ranges (start, length) of the deployed code that the constructor fills in; they are zero in
    `deployedBytecode`, of which `codeHash` is the keccak256.
    """
    deployed = compiled["evm"]["deployedBytecode"]
    ranges = {(one["start"], one["length"]) for each in deployed["immutableReferences"].values() for one in each}
    return {
        "contract": name,
        "abi": sorted(compiled["abi"], key=lambda item: json.dumps(item, sort_keys=True)),
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutables": [list(one) for one in sorted(ranges)],
        "codeHash": "0x" + keccak256(bytes.fromhex(deployed["object"])).hex,
        "storage": storage_of(compiled["storageLayout"]),
    }


def storage_of(layout: dict[str, Any]) -> list[dict[str, Any]]:
    """The position of every state variable, then of every member of a struct, relative to the struct."""
    types: dict[str, Any] = layout["types"] or {}
    found = [variable(one, types) for one in layout["storage"]]
    for kind in sorted(types, key=lambda name: _AST_ID.sub("", name)):
        members = types[kind].get("members", [])
        found.extend({"in": types[kind]["label"], **variable(member, types)} for member in members)
    return found


def variable(one: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """A variable's name, position and type."""
    kind = types[one["type"]]
    return {"name": one["label"], "slot": int(one["slot"]), "offset": one["offset"], "type": kind["label"]}


def pin_hash(source: str, code_hash: str) -> str:
    """The Solidity file that pins the generated verifier, with the hash replaced."""
    text, count = re.subn(r"(CODE_HASH =\s+)0x[0-9a-f]+;", rf"\g<1>{code_hash};", source)
    if count != 1:
        sys.exit(f"{PINNED.name} does not contain exactly one code hash")
    return text


def dump(document: dict[str, Any]) -> str:
    """Compact, deterministic JSON."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    main()
