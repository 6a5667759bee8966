"""The command `zkinfer works show`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.options import Connection, expand_options, open_chain, open_deployment, rpc_url
from zkinfer.cli.console import REFUSED, exit_on_error, print_facts, print_json, print_result
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zkinfer.chain.blocks import Blocks
    from zkinfer.chain.deployment import Deployed
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.findings import Evidence, Finding, Records


@expand_options
def show_command(
    path: Annotated[Path, typer.Argument(metavar="FILE|work.json", help="A file, or its certificate.")],
    connection: Connection,
    certificate: Annotated[
        Path | None, typer.Option(help="The file's certificate. Default: work.json beside it, if it is of this file.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The certified file, if a certificate was given first.")] = None,
    attestation: Annotated[Path | None, typer.Option(help="Attestation of the inference that made it.")] = None,
    root: Annotated[Path | None, typer.Option(help="Certificates in PEM, whose C2PA signers are trusted.")] = None,
    sidecar: Annotated[Path | None, typer.Option(help="C2PA credentials that are not in the file.")] = None,
    signer: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="KEY.pub", help="Require that these keys signed the certificate and the attestation; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is proven, attested and claimed about a work, and what is not proven. Exits with 1 if it does not hold.

    A certificate is not needed: C2PA credentials, and an attestation of a picture with its record (--rpc), stand alone.

    Example: zkinfer works show cat.png --certificate work.json --signer ann.key.pub --root ann-keys/root.pem
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.works.inspection import inspect

        read, looked_at = _certificate(path, certificate)
        content = path if looked_at else file
        wanted = attestation is not None if read is None else read.predicate.evidence.record is not None
        evidence = _evidence(content, attestation, root, sidecar, _records(connection) if wanted else None)
        found = inspect(read, replace(evidence, signers=_fingerprints(signer or [])))
        _print(found)
        if as_json:
            print_json(found.document)
    if not found.holds:
        raise typer.Exit(REFUSED)


def _fingerprints(keys: list[Path]) -> frozenset[str]:
    from zkinfer.verifier import load_public_key

    return frozenset(load_public_key(path).fingerprint for path in keys)


def _certificate(path: Path, given: Path | None) -> tuple[Certificate | None, bool]:
    """The certificate, and whether the path is the file itself."""
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.content import open_content
    from zkinfer.works.errors import CertificateError

    if given is not None:
        return Certificate.read(given), True
    if path.suffix == ".json":
        return Certificate.read(path), False
    beside = path.with_name("work.json")
    if not beside.is_file():
        return None, True
    try:
        found = Certificate.read(beside)
        found.require_file(open_content(path).sha256)
    except CertificateError:
        return None, True
    return found, True


def _evidence(
    path: Path | None, attestation: Path | None, root: Path | None, sidecar: Path | None, records: Records | None
) -> Evidence:
    from zkinfer.verifier.attestation import Attestation
    from zkinfer.works.content import decode, open_content
    from zkinfer.works.findings import Evidence

    given = None
    if attestation is not None:
        given = (Attestation.read(attestation), open_content(attestation).sha256)
    if path is None:
        return Evidence(attestation=given, records=records)
    from zkinfer.cli.works.options import require_works

    require_works()
    from zkinfer.works.credentials import read_marks
    from zkinfer.works.iscc import Fingerprint
    from zkinfer.works.pixels import normalise

    content = open_content(path)
    pixels = decode(path) if content.is_picture else None
    prints = None if pixels is None else Fingerprint(normalise(pixels))
    marks = read_marks(path, content.media_type, root=root, sidecar=sidecar)
    return Evidence(content, pixels, prints, marks, given, records)


class _LedgerRecords:
    """The records of a deployment's ledger."""

    def __init__(self, deployed: Deployed, blocks: Blocks) -> None:
        self._deployed = deployed
        self._blocks = blocks

    def require_recorded(self, record: str, model_id: str | None, outputs: Sequence[int]) -> str:
        """Where this model's answer is on record; raises CertificateError if it is not, or cannot be relied on."""
        from zkinfer.contracts import output_commitment
        from zkinfer.works.errors import CertificateError
        from zkinfer.works.records import conditions, sound_listing

        ledger, registry = self._deployed.ledger, self._deployed.registry
        listing = sound_listing(self._deployed, self._blocks, record)
        if not output_commitment(outputs).startswith(ledger.entry(record).output_digest):
            raise CertificateError("The ledger has other outputs under this record.", "The certificate is false.")
        if registry.model_id(listing) != model_id:
            raise CertificateError("The record is of another model than the certificate names.", "It is false.")
        return f"The ledger {ledger.address} has its proven answer {record}. {conditions(self._deployed)}"


def _records(connection: Connection) -> Records | None:
    """The ledger of the named node's deployment; None if no node is named."""
    if connection.rpc is None and connection.rpc_file is None:
        return None
    chain = open_chain(connection)
    from zkinfer.chain.blocks import Blocks
    from zkinfer.contracts.rpc import connect

    return _LedgerRecords(open_deployment(chain, connection), Blocks(connect(rpc_url(connection))))


def _print(found: Finding) -> None:
    from zkinfer.works.evidence import UNPROVEN

    for one in found.statements:
        print_facts({str(one.level): one.text})
    for text in found.unchecked:
        print_facts({"unchecked": text})
    for text in found.problems:
        print_facts({"wrong": text})
    print_facts({"unproven": "; ".join(UNPROVEN)})
    if found.problems:
        print_result("[bold red]✗[/] the work is not what is said of it")
