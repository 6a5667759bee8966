"""The entries of a trust root that options name: each function returns new values of fields, by their name in JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from zkinfer.verifier.trustroot.document import TrustRoot

_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}")
_MODEL_ID = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(slots=True)
class Additions:
    """What `zkinfer trust add` adds; `label` and the period apply to its models and signers."""

    circuits: list[Path] = field(default_factory=list)
    any_circuit_of: list[Path] = field(default_factory=list)
    signers: list[Path] = field(default_factory=list)
    setups: list[str] = field(default_factory=list)
    engines: list[str] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    require_log: bool | None = None
    root_keys: list[Path] = field(default_factory=list)
    threshold: int | None = None
    label: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def changes(self, root: TrustRoot) -> dict[str, Any]:
        """The fields that change.

        Raises:
            InputError, CircuitError: a file cannot be read.
            typer.BadParameter: an option is malformed, or there is none.
        """
        found = document(root)
        longer = {
            "signers": [self._signer(path) for path in self.signers],
            "setups": self.setups,
            "engines": self.engines,
            "chains": [parse_chain(text) for text in self.chains],
            "logs": [parse_log(text) for text in self.logs],
        }
        changes = {name: found[name] + new for name, new in longer.items() if new}
        if self.circuits or self.any_circuit_of:
            changes["models"] = self._models(found["models"])
        if self.require_log is not None:
            changes["logRequired"] = self.require_log
        if self.root_keys or self.threshold is not None:
            changes["roots"] = self._roots(root)
        if not changes:
            raise typer.BadParameter("name what to add, for example --circuit FOLDER or --signer KEY.pub")
        return changes

    def _roots(self, root: TrustRoot) -> dict[str, Any]:
        from zkinfer.verifier import load_public_key
        from zkinfer.verifier.trustroot.publisher import with_root_keys

        return with_root_keys(
            root.roots, add=[load_public_key(path) for path in self.root_keys], threshold=self.threshold
        )

    def _signer(self, path: Path) -> dict[str, Any]:
        from zkinfer.verifier import load_public_key

        return {"publicKey": key_text(load_public_key(path)), **self._described()}

    def _described(self) -> dict[str, Any]:
        from zkinfer.verifier.statement import write_time

        times = {"validFrom": self.valid_from, "validUntil": self.valid_until}
        label = {"label": self.label} if self.label else {}
        return label | {name: write_time(moment) for name, moment in times.items() if moment}

    def _models(self, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The models with these circuits; a circuit of a listed model joins it."""
        from zkinfer.circuits.frontend import model_digest
        from zkinfer.circuits.manifest import Circuit
        from zkinfer.verifier import TrustRootError

        models = {entry["sha256"]: dict(entry) for entry in known}
        for folder in self.circuits:
            circuit = Circuit.open(folder)
            entry = models.setdefault(circuit.manifest.identity.model, {"circuits": []})
            if entry["circuits"] == "any":
                raise TrustRootError("The trust root accepts any circuit of this ONNX file.", "Remove the model first.")
            if circuit.model_id in entry["circuits"]:
                raise TrustRootError(f"The trust root lists the circuit {circuit.model_id} already.")
            entry |= {"circuits": [*entry["circuits"], circuit.model_id], **self._described()}
        for path in self.any_circuit_of:
            models[str(model_digest(path))] = {"circuits": "any", **self._described()}
        return [{"sha256": digest} | entry for digest, entry in models.items()]


@dataclass(slots=True)
class Removals:
    """What `zkinfer trust remove` removes, each named by file or identifier."""

    models: list[str] = field(default_factory=list)
    circuits: list[str] = field(default_factory=list)
    signers: list[str] = field(default_factory=list)
    setups: list[str] = field(default_factory=list)
    engines: list[str] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    root_keys: list[str] = field(default_factory=list)
    threshold: int | None = None

    def changes(self, root: TrustRoot) -> dict[str, Any]:
        """The fields that change.

        Raises:
            TrustRootError: the root does not list it.
            InputError, CircuitError: a file cannot be read.
            typer.BadParameter: there is no option.
        """
        from zkinfer.verifier.trustroot.publisher import with_root_keys

        changes: dict[str, Any] = {}
        keys = {signer.public_key: signer.fingerprint for signer in root.signers}
        plans = {
            "models": ([identifier("model", text) for text in self.models], lambda entry: entry["sha256"]),
            "signers": (
                [identifier("signer", text) for text in self.signers],
                lambda entry: keys[entry["publicKey"]],
            ),
            "setups": (self.setups, lambda entry: entry),
            "engines": (self.engines, lambda entry: entry),
            "chains": (self.chains, lambda entry: str(entry["chainId"])),
            "logs": (self.logs, lambda entry: entry["origin"]),
        }
        for name, (gone, name_of) in plans.items():
            if gone:
                changes[name] = _without(document(root)[name], gone, name_of, name)
        if self.circuits:
            models = changes.get("models", document(root)["models"])
            changes["models"] = _without_circuits(models, [identifier("circuit", text) for text in self.circuits])
        if self.root_keys or self.threshold is not None:
            gone = [identifier("signer", text) for text in self.root_keys]
            changes["roots"] = with_root_keys(root.roots, remove=gone, threshold=self.threshold)
        if not changes:
            raise typer.BadParameter("name what to remove, for example --signer KEY.pub")
        return changes


def _without(entries: list[Any], gone: list[str], name_of: Any, list_name: str) -> list[Any]:  # noqa: ANN401 - a function of an entry
    from zkinfer.verifier import TrustRootError

    if unknown := set(gone) - {name_of(entry) for entry in entries}:
        raise TrustRootError(f"The trust root does not list {min(unknown)!r} among its {list_name}.")
    return [entry for entry in entries if name_of(entry) not in gone]


def _without_circuits(models: list[dict[str, Any]], gone: list[str]) -> list[dict[str, Any]]:
    """The models without these circuits; a model without any is dropped, since an empty list would be ambiguous."""
    from zkinfer.verifier import TrustRootError

    listed = {circuit for model in models if model["circuits"] != "any" for circuit in model["circuits"]}
    if unknown := set(gone) - listed:
        raise TrustRootError(f"The trust root does not list the circuit {min(unknown)}.")
    kept = [
        model
        if model["circuits"] == "any"
        else model | {"circuits": [circuit for circuit in model["circuits"] if circuit not in gone]}
        for model in models
    ]
    return [model for model in kept if model["circuits"]]


def identifier(kind: str, text: str) -> str:
    """The identifier that a text names: itself, or that of a key file, an ONNX file, a circuit folder, an attestation.

    Raises:
        InputError, CircuitError, RefusedError: it is neither an identifier nor such a file.
    """
    from zkinfer.circuits.digest import sha256
    from zkinfer.circuits.frontend import model_digest
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.verifier import load_public_key, read_attestation

    if (_MODEL_ID if kind == "circuit" else _FINGERPRINT).fullmatch(text):
        return text
    path = Path(text)
    if kind == "circuit":
        return Circuit.open(path).model_id
    if kind == "model":
        return str(model_digest(path))
    return load_public_key(path).fingerprint if kind == "signer" else str(sha256(read_attestation(path)))


def parse_chain(text: str) -> dict[str, Any]:
    """A chain from `ID=0x<address of the ledger>`; raises typer.BadParameter."""
    number, _, ledger = text.partition("=")
    if not (number.isascii() and number.isdecimal() and len(number) < 17 and _ADDRESS.fullmatch(ledger)):
        raise typer.BadParameter(f"{text!r} is not a chain: write ID=0x<address of its ledger>")
    return {"chainId": int(number), "ledger": ledger.lower()}


def parse_log(text: str) -> dict[str, Any]:
    """A log from its published key, or from `ORIGIN=KEY.pub`; raises KeyFileError."""
    from zkinfer.verifier import load_public_key
    from zkinfer.verifier.transparency import parse_log_key

    origin, separator, path = text.partition("=")
    if separator and path.endswith(".pub"):
        return {"origin": origin, "publicKey": key_text(load_public_key(Path(path)))}
    origin, key = parse_log_key(text)
    return {"origin": origin, "publicKey": key_text(key)}


def key_text(key: Any) -> str:  # noqa: ANN401 - a PublicKey, which only a command loads
    """A public key as it is written in a trust root."""
    from zkinfer.verifier.statement import to_base64

    return to_base64(key.der)


def document(root: TrustRoot) -> dict[str, Any]:
    """The JSON form of a root."""
    return root.model_dump(mode="json", by_alias=True)
