"""Verify uploaded files against what the auditor requires, and keep the report in all of its forms."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from zkinfer.circuits.digest import sha256
from zkinfer.circuits.errors import InputError
from zkinfer.circuits.manifest import parse_manifest
from zkinfer.circuits.storage import private_directory
from zkinfer.circuits.tensor_files import read_inputs
from zkinfer.verifier import Trusted, Verifier, audit_policy, load_policy, load_public_key
from zkinfer.verifier.report import make_report
from zkinfer.verifier.report.files import SUFFIXES
from zkinfer.verifier.summary import Question
from zkinfer.verifier.verdict import verdict_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.circuits.home import Home
    from zkinfer.circuits.manifest import Manifest
    from zkinfer.ui.forms import File
    from zkinfer.verifier import Attestation, ChainRecord, Policy
    from zkinfer.verifier.errors import Step
    from zkinfer.verifier.opinions import IndependentVerifier
    from zkinfer.verifier.report import Report
    from zkinfer.verifier.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What an auditor uploads and requires; what is empty is not required.

    Args:
        attestation: to verify.
        model: the auditor's own ONNX file.
        manifest: of the only circuit to accept, `manifest.json` of its folder.
        policy: further rules.
        expected_input: the input that the answer must be for.
        signer: the public key of the only signer to accept.
        request_id: the only request to accept, `0x` and 64 hex digits in lower case.
        accept_engines: names of experimental engines whose proofs are accepted too.
        unsafe_accept_dev_setup: accept proofs that anyone can forge.
        second_opinion: verify with two implementations.
        chain: require that the chain has recorded the answer.
    """

    attestation: File
    model: File
    manifest: File | None = None
    policy: File | None = None
    expected_input: File | None = None
    signer: File | None = None
    request_id: str = ""
    accept_engines: tuple[str, ...] = ()
    unsafe_accept_dev_setup: bool = False
    second_opinion: bool = False
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """The result: the verdict and its report."""

    verdict: Verdict
    report: Report

    @property
    def forms(self) -> tuple[str, ...]:
        """The suffixes of the report's forms; a PDF only if its library is there."""
        return tuple(suffix for suffix in SUFFIXES if suffix != ".pdf" or find_spec("reportlab") is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """What every verification of this page trusts.

    Args:
        home: the user's own trusted setups, and the cache of rebuilt circuits.
        independent: further implementations for second opinions, by the engine's name.
        record: makes the chain's record to compare with; None if no chain is configured.
        trust: makes the trust root from the ONNX files; by default all engines and all real ceremonies.
    """

    home: Home
    independent: Mapping[str, IndependentVerifier]
    record: Callable[[], ChainRecord] | None = None
    trust: Callable[[list[Path]], Trusted] | None = None

    def check(self, required: Requirements, observer: Callable[[Step], None]) -> Checked:
        """Verify, and write the report; a refusal is a result.

        The files exist in a private folder for as long as this takes.

        Raises:
            InputError: a file is no policy, key, manifest or input; or a chain's record is required without a chain.
            ZkinferError: there is no verdict, as for `Verifier.verify`.
        """
        manifest = None if required.manifest is None else parse_manifest(required.manifest.data)
        with private_directory() as folder:
            model, key = _stored(folder, "model.onnx", required.model), _stored(folder, "signer.pub", required.signer)
            expected = _stored(folder, f"input{_suffix(required.expected_input)}", required.expected_input)
            trusted = (self.trust or self._trusted)([path for path in (model,) if path is not None])
            verdict = verdict_on(
                self._verifier(trusted, required),
                required.attestation.data,
                _policy(trusted, required, manifest, key),
                expected_inputs=_reader(expected),
                record=self._record(required),
                observer=observer,
            )
        return _checked(verdict, required, manifest)

    def _verifier(self, trusted: Trusted, required: Requirements) -> Verifier:
        return Verifier(trusted=trusted, second_opinion=required.second_opinion, independent=self.independent)

    def _trusted(self, models: list[Path]) -> Trusted:
        return Trusted.of(models, self.home.setups, self.home.rebuilt)

    def _record(self, required: Requirements) -> ChainRecord | None:
        if not required.chain:
            return None
        if self.record is None:
            raise InputError("No chain is configured.", "Start the page with --rpc and --ledger.")
        return self.record()


def _stored(folder: Path, name: str, file: File | None) -> Path | None:
    """The file under a name that the uploader has no say in; None if there is none."""
    if file is None:
        return None
    path = folder / name
    path.write_bytes(file.data)
    return path


def _suffix(file: File | None) -> str:
    """The suffix that says what format an input has; one that is unknown is refused by its reader."""
    name = "" if file is None else file.name.lower()
    return next((suffix for suffix in _INPUT_SUFFIXES if name.endswith(suffix)), ".unknown")


_INPUT_SUFFIXES = (".json", ".npz", ".csv")


def _reader(path: Path | None) -> Callable[[Attestation], Mapping[str, NDArray[np.generic]]] | None:
    """Reads the expected input in the shapes that an attestation claims."""
    if path is None:
        return None
    return lambda claim: dict(read_inputs(path, claim.predicate.inputs))


def _policy(trusted: Trusted, required: Requirements, manifest: Manifest | None, key: Path | None) -> Policy:
    """All requirements as one policy; see `audit_policy`."""
    return audit_policy(
        trusted.models,
        circuit=None if manifest is None else manifest.identity.model_id,
        signers=[] if key is None else [load_public_key(key).fingerprint],
        request_id=required.request_id or None,
        accept_engines=required.accept_engines,
        unsafe_accept_dev_setup=required.unsafe_accept_dev_setup,
        further=[] if required.policy is None else [load_policy(required.policy.data)],
    )


def _checked(verdict: Verdict, required: Requirements, manifest: Manifest | None) -> Checked:
    return Checked(verdict, make_report(verdict, _question(required), command=_command(required), manifest=manifest))


def _question(required: Requirements) -> Question:
    return Question(
        attestation=required.attestation.name,
        model=required.model.name,
        model_digest=str(sha256(required.model.data)),
        circuit=_name(required.manifest),
        policy=_name(required.policy),
        input_=_name(required.expected_input),
        input_digest="" if required.expected_input is None else str(sha256(required.expected_input.data)),
        signers=() if required.signer is None else (required.signer.name,),
        request_id=required.request_id,
        chain=required.chain,
        second_opinion=required.second_opinion,
    )


def _name(file: File | None) -> str:
    return "" if file is None else file.name


def _command(required: Requirements) -> list[str]:
    """The words of the command that repeats the verification, without the URL of a node, which may hold a secret."""
    files = {
        "--model": required.model,
        "--circuit": required.manifest,
        "--policy": required.policy,
        "--input": required.expected_input,
        "--signer": required.signer,
    }
    words = [word for option, file in files.items() if file is not None for word in (option, _path(file))]
    words += ["--request-id", required.request_id] * bool(required.request_id)
    words += [word for engine in required.accept_engines for word in ("--accept-engine", engine)]
    words += ["--unsafe-accept-dev-setup"] * required.unsafe_accept_dev_setup
    words += ["--second-opinion"] * required.second_opinion
    words += ["--rpc", "URL", "--ledger", "ADDRESS"] * required.chain
    return ["zkinfer", "verify", _path(required.attestation), *words]


def _path(file: File) -> str:
    """The name as a path that is not taken for an option."""
    return f"./{file.name}" if file.name.startswith("-") else file.name
