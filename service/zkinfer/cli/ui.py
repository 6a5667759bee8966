"""The command `zkinfer ui`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.chain.record import ChainOptions, Confirmations, DeploymentFile, LedgerAddress, Rpc, RpcFile
from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, require_extra, say
from zkinfer.cli.options import AsJson, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zkinfer.circuits.manifest import Circuit
    from zkinfer.ui.digits import DemoModel, Forged
    from zkinfer.ui.settings import ChainAccess, ServerAccess, UiSettings
    from zkinfer.verifier import Attestation

Listen = Annotated[str, typer.Option(metavar="ADDR", help="Address of the page; port 0 takes any free one.")]
HostNames = Annotated[
    list[str] | None,
    typer.Option("--host", help="A further host name under which browsers may open the page; repeatable."),
]
MaxUpload = Annotated[
    int, typer.Option(parser=parse_size, metavar="SIZE", help="Maximum size of an upload, all files together.")
]
ServerAddress = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="A running `zkinfer serve --rest` to browse, such as http://127.0.0.1:8000.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(envvar="ZKINFER_TOKEN_FILE", help="Read the token for the server from this file.", show_default=False),
]
ServerCa = Annotated[
    Path | None, typer.Option(help="Trust these CAs for a server under https, PEM.", show_default=False)
]
NoTls = Annotated[
    bool, typer.Option("--insecure-no-tls", help="Accept connections from other machines, which are not encrypted.")
]
# Of the unseen images, the first of each digit that the model reads: that it misreads some is no fault of a proof.
_SAMPLES = (17, 16, 8, 27, 1, 24, 2, 10, 4, 0)
_MAX_TOKEN = 1 << 12
_FIELDS = ("answer", "proof", "request", "model", "date")


def ui_command(
    listen: Listen = "127.0.0.1:8642",
    host: HostNames = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the default browser.")] = False,
    max_upload: MaxUpload = "64MB",  # type: ignore[assignment] # typer parses the default
    server: ServerAddress = None,
    token_file: TokenFile = None,
    tls_ca: ServerCa = None,
    rpc: Rpc = None,
    rpc_file: RpcFile = None,
    ledger: LedgerAddress = None,
    deployment: DeploymentFile = None,
    confirmations: Confirmations = None,
    insecure_no_tls: NoTls = False,
    as_json: AsJson = False,
) -> None:
    """Serve a page on this machine: verify attestations, prove and forge digits, browse a server. Needs the extra ui.

    Prints a link that holds a key: only a browser that has opened it can use the page. Ctrl-C ends it.

    Example: zkinfer ui --open
    """
    if rpc is not None and rpc_file is not None:
        raise typer.BadParameter("--rpc and --rpc-file exclude each other")
    nodes = [] if rpc is None else [rpc], [] if rpc_file is None else [rpc_file]
    chain = ChainOptions(*nodes, ledger, deployment, None, confirmations)
    with exit_on_error(as_json=as_json):
        with require_extra("ui"):
            from zkinfer.ui.serve import serve
            from zkinfer.ui.settings import Address, UiSettings
        settings = UiSettings(
            address=Address.parse(listen),
            host_names=tuple(host or ()),
            max_upload=max_upload,
            server=_server(server, token_file, tls_ca),
            chain=_chain(chain),
            insecure_no_tls=insecure_no_tls,
        )

        def started(link: str) -> None:
            _show(link, settings, as_json=as_json)
            if open_browser:
                typer.launch(link)

        from zkinfer.circuits.home import Home
        from zkinfer.cli.evm_opinion import EvmVerifier

        serve(settings, Home.from_environment(), demo_model(), {"ezkl": EvmVerifier()}, started)
        say("[dim]stopped[/]")


def _show(link: str, settings: UiSettings, *, as_json: bool) -> None:
    print_result(f"[green]✓[/] open [bold]{plain(link)}[/]")
    say("[dim]The link holds a key: whoever has it can use the page. Ctrl-C ends it.[/]")
    if settings.insecure_no_tls:
        say("[bold red]insecure:[/] connections from other machines are not encrypted, as configured.")
    if as_json:
        print_json({"ok": True, "link": link})


def _server(url: str | None, token_file: Path | None, tls_ca: Path | None) -> ServerAccess | None:
    """The server to browse.

    Raises:
        InputError: a file cannot be read, other users can read the token, or as `ServerAccess`.
    """
    if url is None:
        if tls_ca is not None:
            raise typer.BadParameter("--tls-ca has no effect without --server")
        return None
    from zkinfer.circuits.storage import read_file, read_private_file
    from zkinfer.ui.settings import ServerAccess

    token = "" if token_file is None else read_private_file(token_file, max_bytes=_MAX_TOKEN).decode("ascii", "replace")
    certificates = None if tls_ca is None else read_file(tls_ca, max_bytes=1 << 20)
    return ServerAccess(url, token.strip(), certificates)


def _chain(options: ChainOptions) -> ChainAccess | None:
    """The ledger to compare with; None without --rpc. Raises as `LedgerRecord.connect`, or InputError."""
    if not options.is_required:
        return None
    (url,) = options.urls
    from zkinfer.ui.settings import ChainAccess

    with require_extra("chain"):
        from zkinfer.chain.records import LedgerRecord
    access = ChainAccess(url, options.deployment or str(options.ledger).lower(), options.confirmations)
    LedgerRecord.connect(access.url, access.ledger, confirmations=access.confirmations)  # refuses them early
    return access


def demo_model() -> DemoModel:
    """The digits of the demo, one sample of each digit, and its forger."""
    from zkinfer.cli.demo.cases import DIGITS
    from zkinfer.cli.demo.forgeries import forge
    from zkinfer.ui.digits import DemoModel, Forged

    def forged(honest: Attestation, circuit: Circuit) -> Iterator[Forged]:
        for forgery in forge(honest, circuit):
            yield Forged(forgery.field, forgery.data)

    images, labels = DIGITS.images(max(_SAMPLES) + 1)
    return DemoModel(
        model=DIGITS.model,
        calibration=DIGITS.calibration,
        images=images[list(_SAMPLES)],
        labels=[labels[place] for place in _SAMPLES],
        forge=forged,
        fields=_FIELDS,
    )
