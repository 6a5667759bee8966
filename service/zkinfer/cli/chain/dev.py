"""The command `zkinfer chain dev`: a local development chain."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import exit_on_error, plain, print_json, print_result, require_extra, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSPHRASE = "development"  # noqa: S105 - the key that it encrypts is public
_ITERATIONS = 2


class Evm(StrEnum):
    """The EVM implementation."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    ANVIL = "anvil"


def dev_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port at 127.0.0.1; 0 for any free port.")] = 8545,
    evm: Annotated[Evm, typer.Option(help="EVM implementation; auto uses anvil if it is found.")] = Evm.AUTO,
    anvil: Annotated[Path | None, typer.Option(help="Path of anvil. Default: the one on PATH.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the keystore of a funded account and its passphrase.")] = Path(
        "dev-chain"
    ),
    as_json: AsJson = False,
) -> None:
    """Run a development chain on this machine until Ctrl-C. Its state is not kept, and its keys are public.

    The embedded EVM needs only the extra `chain-dev` but takes seconds for each proof; anvil is fast.

    Example: zkinfer chain dev --evm embedded
    """
    with exit_on_error(as_json=as_json):
        with require_extra("chain-dev"):
            from zkinfer.contracts.devchain import DevServer
        program = _program(evm, anvil)
        with _exit_on_signals():
            if program is None:
                with DevServer(port) as server:
                    _show(server.url, out, "embedded", as_json=as_json)
                    server.serve_forever(poll_interval=0.2)
            else:
                _run_anvil(program, port, out, as_json=as_json)


def _program(evm: Evm, given: Path | None) -> str | None:
    """The path of anvil, or None for the embedded EVM; raises InputError if anvil is requested but missing."""
    from zkinfer.circuits.errors import InputError

    found = shutil.which(str(given or "anvil"))
    if evm is Evm.ANVIL and found is None:
        raise InputError(f"{given or 'anvil'} was not found.", "Install it, or give its path with --anvil.")
    return None if evm is Evm.EMBEDDED else found


def _run_anvil(program: str, port: int, out: Path, *, as_json: bool) -> None:
    from zkinfer.contracts.devchain import free_port

    port = port or free_port()
    with subprocess.Popen([program, "--port", str(port), "--host", "127.0.0.1", "--silent"]) as process:
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process)
            _show(f"http://127.0.0.1:{port}", out, "anvil", as_json=as_json)
            process.wait()
        finally:
            process.terminate()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    import time

    from zkinfer.circuits.errors import InputError
    from zkinfer.contracts.rpc import connect

    web3 = connect(url)
    while not web3.is_connected():
        if process.poll() is not None:
            raise InputError("anvil exited immediately.", "The port may be in use: choose another with --port.")
        time.sleep(0.1)


def _show(url: str, out: Path, evm: str, *, as_json: bool) -> None:
    keystore, passphrase, address = _write_keys(out)
    print_result(f"[green]✓[/] {evm} chain at [bold]{url}[/]; Ctrl-C ends it and discards its state")
    keys = f"--keystore {plain(keystore)} --passphrase-file {plain(passphrase)}"
    say(f"  [dim]pay with {keys}, or --unsafe-dev-account 0[/]")
    if as_json:
        files = {"keystore": str(keystore), "passphraseFile": str(passphrase)}
        print_json({"ok": True, "rpc": url, "evm": evm, "account": address, **files})


def _write_keys(folder: Path) -> tuple[Path, Path, str]:
    from zkinfer.circuits.storage import write_atomically
    from zkinfer.contracts.signers import DEV_CHAINS, encrypt_keystore, unsafe_dev_account

    account = unsafe_dev_account(0, DEV_CHAINS[0])
    keystore, passphrase = folder / "account.json", folder / "passphrase"
    write_atomically(keystore, encrypt_keystore(account, _PASSPHRASE.encode(), iterations=_ITERATIONS), mode=0o600)
    write_atomically(passphrase, _PASSPHRASE.encode() + b"\n", mode=0o600)
    return keystore, passphrase, str(account.address)


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """End the command without an error on Ctrl-C and SIGTERM, even if a script started it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        say("the chain has ended")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
