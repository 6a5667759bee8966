"""The command `zkinfer works lookup`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zkinfer.cli.chain.options import expand_options
from zkinfer.cli.connections import ServerConnection
from zkinfer.cli.console import REFUSED, exit_on_error, print_facts, print_json, print_result, require_extra
from zkinfer.cli.options import AsJson
from zkinfer.cli.works.options import in_ethers, require_works

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 10


@expand_options
def lookup_command(
    what: Annotated[str, typer.Argument(metavar="FILE|ISCC|SHA256", help="What is looked up.", show_default=False)],
    connection: ServerConnection,
    index: Annotated[
        str | None, typer.Option(metavar="DB", help="The directory of `works index`: a file, or its URL.")
    ] = None,
    subject: Annotated[
        str, typer.Option(metavar="SUBJECT", help="Who wants to use it: dns:acme.example, or an account.")
    ] = "",
    uses: Annotated[str, typer.Option(metavar="USES", help="For what, with commas: commercial, training...")] = "",
    distance: Annotated[
        int | None, typer.Option(min=0, help="Most bits in which fingerprints may differ. Default: the limit.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Certificates in PEM, whose C2PA signers are trusted, with --index.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=100, help="Most matches.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find the registered works of a file, even if it was saved again without its metadata, and what is known of them.

    Exits with 1 if nothing is found, or if a subject is named that has no licence for the uses.

    Example: zkinfer works lookup found.jpg --index works.db --subject dns:acme.example --uses commercial
    """
    if (index is None) == (connection.server is None):
        raise typer.BadParameter("give one of --index and --server")
    if root is not None and index is None:
        raise typer.BadParameter("--root needs --index: a server has its own")
    with exit_on_error(as_json=as_json):
        connection.refuse_unused()
        with require_extra("client"):
            from zkinfer.works.directory.messages import lookup_request
        kind, value = _question(what)
        named = [word.strip() for word in uses.split(",") if word.strip()]
        options: dict[str, Any] = {"distance": distance, "max_results": most, "subject": subject, "uses": named}
        found = _answer(lookup_request(kind, value, **options), index, root, connection)
        _print(found, asked=bool(subject))
        if as_json:
            print_json({"ok": bool(found["matches"]), **found})
    if not found["matches"] or (subject and found["authorised"] != "yes"):
        raise typer.Exit(REFUSED)


def _question(text: str) -> tuple[Literal["sha256", "iscc", "content"], str | bytes]:
    """What is looked up; a file before a digest of that name."""
    from zkinfer.circuits.storage import read_file

    path = Path(text)
    if not path.exists():
        if text.upper().startswith("ISCC:"):
            return "iscc", text
        if re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
            return "sha256", text
    return "content", read_file(path, max_bytes=_MAX_BYTES)


_MAX_BYTES = 16 << 20


def _answer(
    query: Any,  # noqa: ANN401 - a message, whose type commands do not know
    index: str | None,
    root: Path | None,
    connection: ServerConnection,
) -> dict[str, Any]:
    from zkinfer.service.documents import document_of

    if connection.server is not None:
        with require_extra("client"):
            from zkinfer.client.works import WorksClient
        with WorksClient(connection.server, **connection.options) as client:
            found = client.lookup(query)
    else:
        require_works()
        with require_extra("works"):
            from zkinfer.works.directory.lookup import Directory
            from zkinfer.works.directory.store import database_url
        with Directory(database_url(str(index), exists=True), roots=root) as directory:
            found = directory.lookup(query)
    document: dict[str, Any] = document_of(found)
    return document


def _print(found: Mapping[str, Any], *, asked: bool) -> None:
    label = found["label"]
    block = found["as_of"]
    facts = {
        "AI generated": f"{label['ai_generated']}{', ' + label['level'] if label['level'] else ''}",
        "basis": label["text"],
        "as of": f"block {block['block']} of chain {block['chain_id']}, {block['time']}",
        "not proven": "; ".join(found["not_proven"]),
    }
    if not found["matches"]:
        print_result("[bold red]✗[/] no registered work was found")
        print_facts(facts)
        return
    count = len(found["matches"])
    how = "this very file" if found["certified"] else "a fingerprint like this"
    print_result(f"[green]✓[/] {count} registered work{'s' * (count > 1)} with {how}")
    for one in found["matches"][:_SHOWN]:
        print_facts(_match_facts(one))
    facts = {"standing": found["standing"], **({"authorised": found["authorised"]} if asked else {}), **facts}
    print_facts(facts)
    for one in found["offers"][:_SHOWN]:
        print_facts(_offer_facts(one))


def _match_facts(match: Mapping[str, Any]) -> dict[str, str]:
    work = match["work"]
    how = "the same SHA-256"
    if "distance" in match:
        what = "a proven fingerprint" if match["by"] == "print" else "a certificate's fingerprint"
        how = f"{match['distance']} of {match['compared']} bits differ from {what}"
    name = work["certificate"]["name"] if "certificate" in work else ""
    return {
        "work": work["work"],
        **({"name": name} if name else {}),
        "creator": work["creator"],
        "since": work["since"],
        "matched by": how,
    }


def _offer_facts(offer: Mapping[str, Any]) -> dict[str, str]:
    days = f" for {offer['duration'] / 86400:g} days" if offer["duration"] else ""
    price = in_ethers({"price": int(offer["price"])})["price"]
    return {"offer": offer["offer"], "terms": f"{', '.join(offer['uses'])}{days}: {price}"}
