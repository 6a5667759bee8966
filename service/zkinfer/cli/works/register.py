"""The commands `zkinfer works deploy`, `agree` and `register`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkinfer.cli.chain.options import (
    Connection,
    Payment,
    expand_options,
    open_chain,
    open_deployment,
    open_signer,
    parse_address,
    parse_word,
)
from zkinfer.cli.chain.request import read_own_request
from zkinfer.cli.console import exit_on_error, plain, print_facts, print_json, print_result
from zkinfer.cli.options import AsJson, parse_period
from zkinfer.cli.works.commit import committed
from zkinfer.cli.works.options import (
    CertificateFile,
    WorksAddress,
    clients,
    finish,
    read_registration,
    with_dates,
    work_id,
)

if TYPE_CHECKING:
    from zkinfer.contracts.works import Registration
    from zkinfer.verifier import Attestation
    from zkinfer.works.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a work was derived from, what its resale costs, and since when it counts."""

    licence: Annotated[
        list[int] | None, typer.Option(help="The creator's licence under which it was derived. Repeatable.")
    ] = None
    offer: Annotated[
        list[str] | None,
        typer.Option(parser=parse_word, metavar="ID", help="Buy this offer on the way, as a parent. Repeatable."),
    ] = None
    resale: Annotated[float, typer.Option(min=0, max=10, help="Royalty of a resale, in percent.")] = 0.0
    uri: Annotated[str, typer.Option(help="Where the certificate and the file are.")] = ""
    commitment: Annotated[
        Path | None, typer.Option(help="The creator's earlier commitment, whose time counts: see `works commit`.")
    ] = None


@expand_options
def deploy_command(
    base_uri: Annotated[str, typer.Option(help="The first part of every token's URI, such as https://HOST/v1/works/.")],
    connection: Connection,
    payment: Payment,
    print_listing: Annotated[
        str | None,
        typer.Option(parser=parse_word, metavar="ID", help="Compare fingerprints that this listing proves."),
    ] = None,
    arbiter: Annotated[
        str | None,
        typer.Option(parser=parse_address, metavar="ADDRESS", help="Decides contested flags. Default: none."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deploy works with their market, on a deployment of zkinfer. They have no administrator. Idempotent.

    Example: zkinfer works deploy --base-uri https://works.example/v1/works/ --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        deployed = open_deployment(open_chain(connection, payment), connection)
        from zkinfer.contracts.deploy import create
        from zkinfer.contracts.identifiers import ZERO_ADDRESS
        from zkinfer.contracts.work_parts import similarity_code, works_of

        chain, ledger = deployed.chain, deployed.ledger.address
        code = b""
        if print_listing is not None:
            from zkinfer.works.print_model import margin

            code = similarity_code(ledger, print_listing, margin(256), arbiter or ZERO_ADDRESS)
        part = works_of(ledger, base_uri, code)
        create(chain, part)
        facts: dict[str, Any] = {"works": part.address}
        if chain.sends:
            works, market = clients(chain, part.address)
            facts |= {"market": market.address, "similarity": works.similarity}
        finish(chain, facts, as_json=as_json)


@expand_options
def agree_command(
    certificate: CertificateFile,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    derivation: Derivation,
    out: Annotated[Path, typer.Option(help="The agreement to write, for the platform.")] = Path("agreement.json"),
    valid: Annotated[
        timedelta | None,
        typer.Option(parser=parse_period, metavar="PERIOD", help="How long it may be registered. Default: 7d."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign, as the creator, that somebody else may register your work and pay for it. Sends no transaction.

    The signature covers every field, and the contract.

    Example: zkinfer works agree work.json --works 0x... --keystore me.json
    """
    with exit_on_error(as_json=as_json):
        from zkinfer.circuits.storage import refuse_existing
        from zkinfer.works.agreement import sign_agreement

        refuse_existing(out)
        chain = open_chain(connection)
        signer = open_signer(payment, chain.id)
        what = _registration(certificate, derivation, chain.id, works, str(signer.address).lower())
        deadline = chain.time() + int((valid or timedelta(days=7)).total_seconds())
        agreement = sign_agreement(what, chain.id, works, deadline, signer)
        agreement.write(out)
        print_result(f"[green]✓[/] {plain(out)}: give it to whoever registers the work, with the certificate")
        facts = {"creator": agreement.creator, "deadline": deadline}
        print_facts(with_dates(facts))
        if as_json:
            print_json({"ok": True, "agreement": str(out), **facts})


@expand_options
def register_command(
    certificate: CertificateFile,
    works: WorksAddress,
    connection: Connection,
    payment: Payment,
    derivation: Derivation,
    agreement: Annotated[
        Path | None, typer.Option(help="Register for the creator who signed this: see `works agree`.")
    ] = None,
    request: Annotated[
        Path | None, typer.Option(help="Your request, whose recorded answer the work is: its generation is proven.")
    ] = None,
    attestation: Annotated[Path | None, typer.Option(help="The answer's attestation, with --request.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a certified work: a token, with its parents and their shares for ever. Re-running is idempotent.

    Example: zkinfer works register work.json --works 0x... --licence 3 --keystore me.json
    """
    if (request is None) != (attestation is None) or (request and agreement):
        raise typer.BadParameter("--request belongs with --attestation, and not with --agreement")
    if derivation.commitment and (request or agreement):
        raise typer.BadParameter(
            "a creator's --commitment is part of the agreement, and a recorded answer has its time"
        )
    with exit_on_error(as_json=as_json):
        chain = open_chain(connection, payment)
        contract, market = clients(chain, works)
        if agreement is not None:
            from zkinfer.works.agreement import Agreement

            signed = Agreement.read(agreement)
            what, creator = _agreed(certificate, signed, chain.id, works), signed.creator
            value = sum(market.offer_of(one).price for one in what.offers)
            contract.register_for(what, creator, signed.deadline, signed.signature_bytes, value=value)
        else:
            creator = chain.address
            what = _registration(certificate, derivation, chain.id, works, creator)
            value = sum(market.offer_of(one).price for one in what.offers)
            if request is None or attestation is None:
                contract.register(what, creator, value=value)
            else:
                deployed = open_deployment(chain, connection)
                proven = _proven(certificate, attestation)
                what = replace(what, content="0x" + proven.statement.output_digest)
                placed = read_own_request(deployed, request).request
                contract.register_proven(
                    what, placed.requester, placed, proven.predicate.statement.outputs, value=value
                )
        work = contract.id_of(creator, what.content)
        if chain.sends:
            print_result(f"[green]✓[/] work {plain(work_id(work))}")
        finish(chain, {"work": work_id(work), "creator": creator, "content": what.content}, as_json=as_json)


def _registration(path: Path, derivation: Derivation, chain_id: int, works: str, creator: str) -> Registration:
    """What a certificate and the options say, for the contract."""
    what = replace(
        read_registration(path),
        resale_bps=round(derivation.resale * 100),
        licences=tuple(derivation.licence or ()),
        offers=tuple(derivation.offer or ()),
        uri=derivation.uri,
    )
    return committed(what, derivation.commitment, chain_id, works, creator)


def _agreed(path: Path, agreement: Agreement, chain_id: int, works: str) -> Registration:
    """The registration that was signed, after a comparison with the certificate; raises CertificateError."""
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.errors import CertificateError

    certificate = Certificate.read(path)
    certificate.verified()
    agreement.require_for(chain_id, works)
    if agreement.registration.attestation != "0x" + certificate.digest.value.hex():
        raise CertificateError("The agreement is about another certificate.", "Ask the creator to sign this one.")
    return agreement.registration


def _proven(path: Path, attestation: Path) -> Attestation:
    """The attestation of the answer that a certificate names; raises CertificateError if it names another one."""
    from zkinfer.verifier import Attestation
    from zkinfer.works.certificate import Certificate
    from zkinfer.works.errors import CertificateError

    found = Attestation.read(attestation)
    if Certificate.read(path).predicate.content.outputs != found.statement.output_digest:
        raise CertificateError(
            "The certificate does not name this answer, so the token would vouch for another file.",
            "Certify the answer's file with `zkinfer works certify FILE --attestation ...`, and register that.",
        )
    return found
