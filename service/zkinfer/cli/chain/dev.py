"""zkinfer chain dev: a chain of one's own, for trials."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkinfer.cli.console import answer, failing_politely, needing, plain, say
from zkinfer.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSPHRASE = "development"  # noqa: S105 - everybody knows the key it encrypts
_ITERATIONS = 2


class Evm(StrEnum):
    """What runs the chain."""

    AUTO = "auto"
    EMBEDDED = "embedded"
    ANVIL = "anvil"


def dev_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port at 127.0.0.1; 0 takes a free one.")] = 8545,
    evm: Annotated[Evm, typer.Option(help="What runs it; auto takes anvil where it is found.")] = Evm.AUTO,
    anvil: Annotated[Path | None, typer.Option(help="Where anvil is. Default: wherever PATH finds it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the keystore of a funded account and its passphrase.")] = Path(
        "dev-chain"
    ),
    as_json: AsJson = False,
) -> None:
    """Run a chain on this machine until Ctrl-C. It forgets everything, and everybody knows its keys.

    The embedded EVM needs nothing but the extra `chain-dev`, and seconds for each proof; anvil is fast.

    Example: zkinfer chain dev --evm embedded
    """
    with failing_politely(as_json=as_json):
        with needing("chain-dev"):
            from zkinfer.contracts.devchain import DevServer
        program = _program(evm, anvil)
        with _ended_by_signals():
            if program is None:
                with DevServer(port) as server:
                    _show(server.url, out, "embedded", as_json=as_json)
                    server.serve_forever(poll_interval=0.2)
            else:
                _run_anvil(program, port, out, as_json=as_json)


def _program(evm: Evm, given: Path | None) -> str | None:
    """The program to run, or None for the embedded chain; raises InputError where anvil is asked for and not there."""
    from zkinfer.circuits.errors import InputError

    found = shutil.which(str(given or "anvil"))
    if evm is Evm.ANVIL and found is None:
        raise InputError(f"There is no {given or 'anvil'} here.", "Install it, or name it with --anvil.")
    return None if evm is Evm.EMBEDDED else found


def _run_anvil(program: str, port: int, out: Path, *, as_json: bool) -> None:
    from zkinfer.contracts.devchain import free_port

    port = port or free_port()
    with subprocess.Popen([program, "--port", str(port), "--host", "127.0.0.1", "--silent"]) as process:
        try:
            _await(f"http://127.0.0.1:{port}", process)
            _show(f"http://127.0.0.1:{port}", out, "anvil", as_json=as_json)
            process.wait()
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    import time

    from zkinfer.circuits.errors import InputError
    from zkinfer.contracts.rpc import connect

    web3 = connect(url)
    while not web3.is_connected():
        if process.poll() is not None:
            raise InputError("anvil ended at once.", "Is the port taken? Choose another with --port.")
        time.sleep(0.1)


def _show(url: str, out: Path, evm: str, *, as_json: bool) -> None:
    keystore, passphrase, address = _write_keys(out)
    say(f"[green]✓[/] {evm} chain at [bold]{url}[/]; Ctrl-C ends it and forgets everything")
    keys = f"--keystore {plain(keystore)} --passphrase-file {plain(passphrase)}"
    say(f"  [dim]pay with {keys}, or --unsafe-dev-account 0[/]")
    if as_json:
        files = {"keystore": str(keystore), "passphraseFile": str(passphrase)}
        answer({"ok": True, "rpc": url, "evm": evm, "account": address, **files})


def _write_keys(folder: Path) -> tuple[Path, Path, str]:
    from zkinfer.circuits.storage import write_atomically
    from zkinfer.contracts.signers import DEV_CHAINS, encrypted, unsafe_dev_account

    account = unsafe_dev_account(0, DEV_CHAINS[0])
    keystore, passphrase = folder / "account.json", folder / "passphrase"
    write_atomically(keystore, encrypted(account, _PASSPHRASE.encode(), iterations=_ITERATIONS), mode=0o600)
    write_atomically(passphrase, _PASSPHRASE.encode() + b"\n", mode=0o600)
    return keystore, passphrase, str(account.address)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the command in good order, with nothing to report; also where a script started it."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        say("the chain has ended")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
