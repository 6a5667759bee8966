"""Parsers of bytes from outside, as targets of a fuzzer, each with good inputs to begin with.

A target takes any bytes. It returns, or raises an error of zkinfer; every other exception is a fault.
"""

from __future__ import annotations

import io
import json
import tempfile
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tests.ashlar import cases
from tests.fuzz import works
from tests.paths import ROOT
from tests.unit.circuits import factories

from zkinfer.circuits import canonical, tensor_files
from zkinfer.circuits.engines.ashlar.recipe import AshlarRecipe
from zkinfer.circuits.engines.ezkl import artifacts
from zkinfer.circuits.engines.ezkl import program as ezkl_program
from zkinfer.circuits.errors import ZkinferError
from zkinfer.circuits.frontend import load as onnx_files
from zkinfer.circuits.manifest import parse_manifest
from zkinfer.circuits.srs import file_format
from zkinfer.circuits.srs.ceremonies import generate_insecure_dev
from zkinfer.circuits.tensors import TensorSpec
from zkinfer.verifier import Attestation
from zkinfer.verifier import ashlar as python_verifier
from zkinfer.verifier.ashlar.group import Bn254
from zkinfer.verifier.ashlar.program import WORD
from zkinfer.verifier.ashlar.verify import read_key
from zkinfer.verifier.policy_file import load_policy
from zkinfer.verifier.signing import PublicKey
from zkinfer.works.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

_SPECS = (
    TensorSpec(name="x", dtype="float32", shape=(1, 3)),
    TensorSpec(name="i", dtype="int64", shape=(2,)),
)


class Target(NamedTuple):
    """What reads the bytes, and good inputs."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]

    def try_on(self, data: bytes) -> bool:
        """Whether the bytes are accepted; raises what is no error of zkinfer."""
        try:
            self.read(data)
        except ZkinferError:
            return False
        return True


# --- attestations, policies, manifests, recipes


def _policy() -> list[bytes]:
    word, digest = "0x" + "5a" * 32, "sha256:" + "5a" * 32
    rules = [
        {"modelIs": word},
        {"modelFileIs": digest},
        {"signedBy": [digest]},
        {"notOlderThanSeconds": 60},
        {"notExpired": True},
        {"contextIs": {"chainId": 1, "requestId": word}},
        {"setupIs": "hermez"},
        {"engineIs": ["ezkl"]},
    ]
    return [canonical.dump({"version": 1, "allOf": rules}), b'{"version":1,"allOf":[{"notExpired":true}]}']


def _read_recipe(data: bytes) -> object:
    document = canonical.load(data, max_bytes=1 << 20, what="recipe")
    return isinstance(document, dict) and AshlarRecipe.parse(document)


def _recipe() -> list[bytes]:
    recipe = {
        "semantics": 1,
        "profile": "plain",
        "chunkBits": 10,
        "input": {"scale": 4, "bits": 8, "signed": True},
        "activations": {"a": [4, 8], "b": [3, 6, 2]},
        "weights": {"w": 5},
        "saturate": {"a": 2},
        "tiles": {"w": ["in"]},
    }
    return [canonical.dump(recipe)]


# --- files with numbers


def _read_tensors(data: bytes) -> object:
    """The first byte says which format the others have."""
    suffix = (".npz", ".json", ".csv")[data[0] % 3] if data else ".csv"
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data[1:])
        file.flush()
        return tensor_files.read_samples(Path(file.name), _SPECS)


def _tensors() -> list[bytes]:
    archive = io.BytesIO()
    np.savez(archive, x=np.zeros((2, 1, 3), np.float32), i=np.arange(4).reshape(2, 2))
    named = {"x": [[[0.5, 1, 2]], [[3, 4, 5]]], "i": [[1, 2], [3, 4]]}
    table = "x[0],x[1],x[2],i[0],i[1]\n0.5,1,2,3,4\n1,2,3,4,5\n"
    return [
        b"\0" + archive.getvalue(),
        b"\1" + json.dumps(named).encode(),
        b"\1" + json.dumps({"input_data": [[0.5, 1, 2], [3, 4]]}).encode(),
        b"\2" + table.encode(),
        b"\2" + b"1,2,3,4,5\n",
    ]


# --- models and setups


def _models() -> list[bytes]:
    models = sorted((ROOT / "tests/assets/zoo").glob("*.onnx"), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in models[:6]]


def _read_setup(data: bytes) -> object:
    outline = file_format.read_outline(io.BytesIO(data), "setup")
    points = data[file_format.HEADER_BYTES : -2 * file_format.G2_BYTES]
    return outline, file_format.decode_g1(points, "G1", 0)


def _setups() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "setup")
        generate_insecure_dev(1, path)
        return [path.read_bytes()]


# --- engines' own files


def _read_settings(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, artifacts.SETTINGS).write_bytes(data)
        return artifacts.read_settings(Path(folder))


def _settings() -> list[bytes]:
    return [
        json.dumps({"run_args": {"input_scale": 7, "logrows": 12}, "num_rows": 10, "total_assignments": 3}).encode()
    ]


def _vka() -> list[bytes]:
    words = [0, 0, 0, 10, 1, 0, 1] + [0] * 40
    return [len(words).to_bytes(8, "little") + b"".join(word.to_bytes(32, "big") for word in words)]


def _read_compiled(data: bytes) -> object:
    """Programs that are not understood are left to the engine, so their error is no refusal."""
    try:
        return ezkl_program.read_compiled(data)
    except ezkl_program.UnknownProgramError:
        return None


# --- Ashlar


@cache
def _core() -> object:
    import zkinfer_ashlar  # noqa: PLC0415 - an optional package

    return zkinfer_ashlar


class _Patient(Bn254):
    """The group, which checks the same point of G2 once."""

    require_tau = lru_cache(16)(Bn254.require_tau)


_GROUP = _Patient()


def _require_same(python: object, core: object) -> None:
    """Two verdicts have to agree; which of several broken rules of a key is named is left to the reader."""
    if python != core and not (isinstance(python, str) and isinstance(core, str)):
        raise AssertionError(f"Two readers differ: {python!r:.80} in Python, {core!r:.80} in the core.")


def _read_ashlar_key(data: bytes) -> object:
    """Both readers of keys, which have to agree; and what the core makes of the program of a good one."""
    core = _core()
    try:
        core.verify(data, bytes(32), b"", [], b"")
    except core.MalformedKeyError as err:
        rule = err.rule
    except core.ProofRejectedError:
        rule = None
    try:
        key = read_key(data, _GROUP)
    except python_verifier.MalformedKeyError as err:
        _require_same(err.rule, rule)
        raise
    _require_same(None, rule)
    code = data[:WORD] + data[len(data) - WORD * key.header.words :]
    core.memory(code)
    try:
        core.Network(code, bytes(8))
    except core.AshlarPanicError:
        raise
    except core.AshlarError:  # this number of weights fits few programs
        return None
    return key


def _keys() -> list[bytes]:
    return [cases.load(name)[0].key for name in cases.GOOD]


_PROVEN = cases.load("cell_private_1")[0]


def _read_ashlar_proof(data: bytes) -> object:
    """A proof for a fixed key by both verifiers, over the group whose tau is known: the pairing takes too long."""
    core, case = _core(), _PROVEN.changed("", proof=data)
    try:
        core.verify(case.key, case.context, case.inputs, list(case.outputs), data)
    except core.ProofRejectedError as err:
        step = err.step
    else:
        step = None
    try:
        replay = case.check()
    except python_verifier.AshlarRejectedError as err:
        _require_same(err.step, step)
        raise
    _require_same(None, step)
    _require_same(data, _PROVEN.proof)
    return replay


TARGETS = {
    "attestation": Target(
        Attestation.from_bytes, lambda: [(ROOT / "tests/assets/refusals/accepted.json").read_bytes()]
    ),
    "public_key": Target(PublicKey, lambda: [bytes.fromhex("302a300506032b6570032100" + "11" * 32)]),
    "policy": Target(load_policy, _policy),
    "manifest": Target(parse_manifest, lambda: [canonical.dump(factories.DOCUMENT)]),
    "recipe": Target(_read_recipe, _recipe),
    "tensors": Target(_read_tensors, _tensors),
    "onnx": Target(onnx_files.parse, _models),
    "setup": Target(_read_setup, _setups),
    "settings": Target(_read_settings, _settings),
    "vka": Target(artifacts.read_vka, _vka),
    "compiled": Target(_read_compiled, lambda: [bytes(24)]),
    "ashlar_key": Target(_read_ashlar_key, _keys),
    "ashlar_proof": Target(_read_ashlar_proof, lambda: [_PROVEN.proof]),
    "certificate": Target(works.read_certificate, works.certificates),
    "terms": Target(works.read_terms, works.terms),
    "dataset": Target(Dataset.from_bytes, works.datasets),
    "agreement": Target(works.read_agreement, works.agreements),
    "commitment": Target(works.read_commitment, works.commitments),
    "picture": Target(works.read_picture, works.small_pictures),
    "consent": Target(works.read_consent, works.statements),
    "store": Target(works.read_store, works.stores),
}


def _read_faultily(data: bytes) -> object:
    """Divide by 0 for bytes that begin otherwise than the seed."""
    return 1 // (data[:1] == b"y")


FAULTY = Target(_read_faultily, lambda: [b"yes"])
"""To test the fuzzer itself."""
