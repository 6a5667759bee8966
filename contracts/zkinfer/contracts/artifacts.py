"""The compiled contracts that this version ships: what to deploy, how to call it, how to recognise it on a chain.

contracts/build.py writes the files from the sources, and CI compares them. Reading them needs neither node, nor a
compiler, nor a library for chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, get_args

from zkinfer.contracts import strict_json
from zkinfer.contracts.errors import ArtifactError, CodeMismatchError
from zkinfer.contracts.identifiers import keccak256

ContractName = Literal[
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
    "Halo2VerifierReusable",
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
]
CONTRACTS: Final[tuple[ContractName, ...]] = get_args(ContractName)
_STORE_PREFIX, _STORE_CODE = b"\x61", bytes.fromhex("80600a3d393df3")
_MAX_WORDS = 767


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    `creation` is the code to deploy, before the encoded arguments of the constructor; `deployed` is the resulting code
    on the chain, with zeros for the `immutables`: the ranges (start, length) that the constructor fills in.
    `code_hash` is the keccak256 of `deployed`. `storage` lists the position of each state variable.
    """

    name: ContractName
    abi: list[dict[str, Any]]
    creation: bytes
    deployed: bytes
    immutables: tuple[tuple[int, int], ...]
    code_hash: str
    storage: tuple[dict[str, Any], ...]

    def require_code(self, code: bytes) -> None:
        """Return if this is the code of this contract, whatever its immutables; raise CodeMismatchError if not.

        The caller must read and compare the immutables: they name the contracts that this one relies on.
        """
        if self._masked(code) != self.deployed:
            raise CodeMismatchError(
                f"The code is not that of {self.name}: {len(code)} bytes, keccak256 0x{keccak256(code).hex()}.",
                "It was deployed by another version of zkinfer, or is another contract.",
            )

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutables:
            if start + length <= len(masked):
                masked[start : start + length] = bytes(length)
        return bytes(masked)


@dataclass(frozen=True, slots=True)
class Canary:
    """The circuit of y = max(x, 0), whose output the emergency stop can compute: its ONNX file and its verifying key.

    `setup` is the SHA-256 of tau*G2 of the key's trusted setup; compiling the file with `run_arguments` rebuilds the
    key.
    """

    onnx: bytes
    run_arguments: dict[str, Any]
    key: bytes
    key_digest: str
    setup: str


@cache
def load(name: ContractName) -> Artifact:
    """The artifact of a contract; raises ArtifactError if it is damaged or missing."""
    document = _read(name)
    try:
        artifact = Artifact(
            name=name,
            abi=document["abi"],
            creation=_bytes(document["bytecode"]),
            deployed=_bytes(document["deployedBytecode"]),
            immutables=tuple((start, length) for start, length in document["immutables"]),
            code_hash=document["codeHash"],
            storage=tuple(document["storage"]),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise _damaged(name) from err
    if artifact.code_hash != "0x" + keccak256(artifact.deployed).hex():
        raise _damaged(name)
    return artifact


@cache
def load_canary() -> Canary:
    """The canary; raises ArtifactError if it is damaged or missing."""
    document = _read("canary")
    try:
        canary = Canary(
            onnx=_bytes(document["onnx"]),
            run_arguments=document["runArguments"],
            key=_bytes(document["key"]),
            key_digest=document["keyDigest"],
            setup=document["setup"],
        )
    except (KeyError, TypeError, ValueError) as err:
        raise _damaged("canary") from err
    if canary.key_digest != "0x" + keccak256(canary.key).hex():
        raise _damaged("canary")
    return canary


def key_store_code(key: bytes) -> bytes:
    """The creation code of a contract whose code is a STOP byte and the words of a verifying key, as in CodeStore.sol.

    Raises ArtifactError for anything but 1 to 767 words.
    """
    if len(key) % 32 or not 0 < len(key) <= 32 * _MAX_WORDS:
        raise ArtifactError(f"A key of {len(key)} bytes does not fit into the code of a contract.")
    return _STORE_PREFIX + (len(key) + 1).to_bytes(2, "big") + _STORE_CODE + b"\0" + key


def _read(name: str) -> dict[str, Any]:
    resource = files("zkinfer.contracts").joinpath("compiled", f"{name}.json")
    try:
        document = strict_json.loads(resource.read_bytes())
    except (OSError, ValueError) as err:
        raise _damaged(name) from err
    if not isinstance(document, dict):
        raise _damaged(name)
    return document


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _damaged(name: str) -> ArtifactError:
    return ArtifactError(f"The artifact {name[:80]!r} is missing or damaged.", "Install zkinfer again.")
