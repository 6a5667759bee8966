"""Operators: a folder with configuration and keys each, and a daemon in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.oracle.nodes import ROOT

from zkinfer.contracts.signers import encrypt_keystore
from zkinfer.oracle.specs import write_feed
from zkinfer.oracle.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eth_account.signers.local import LocalAccount

    from zkinfer.oracle.specs import FeedFile

CONFIRMATIONS: Final = 3
"""Blocks after which operators take a round as final."""
_PASSPHRASE: Final = b"an operator of the lab"


@dataclass
class Operator:
    """One operator.

    Args:
        number: from 0.
        folder: of its files.
        port: of its report server.
        home: of zkinfer.
        ahead: seconds by which its clock is ahead.
        signer: signs its reports.
        poster: pays for its transactions.
    """

    number: int
    folder: Path
    port: int
    home: Path
    signer: LocalAccount
    poster: LocalAccount
    ahead: float = 0.0
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    crashes: list[int] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "feeds.toml"

    @property
    def log(self) -> Path:
        """The daemon's log: a JSON object for each line."""
        return self.folder / "daemon.log"

    @property
    def url(self) -> str:
        """The report server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes."""
        return {**os.environ, "ZKINFER_HOME": str(self.home), "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}

    @property
    def running(self) -> bool:
        """Whether the daemon runs."""
        return self.process is not None and self.process.poll() is None

    def command(self, *arguments: str) -> list[str]:
        """A command of `zkinfer oracle` with this configuration, under this operator's clock."""
        clock = [sys.executable, "-m", "benchmarks.oracle.wrong_clock", str(self.ahead)]
        return [*clock, "oracle", *arguments, "--config", str(self.config)]

    def start(self) -> None:
        """Start the daemon, unless it runs; one that ended by itself is remembered in `crashes`."""
        if self.running:
            return
        if self.process is not None:
            self.crashes.append(self.process.returncode)
        self.starts += 1
        with self.log.open("ab") as log:
            command = self.command("run", "--log-format", "json")
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)

    def kill(self) -> None:
        """Kill the daemon at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """End the daemon as an operator would, and return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        code, self.process = self.process.wait(60), None
        return code

    def status(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of `zkinfer oracle status`."""
        command = self.command("status", "--json", *options)
        done = subprocess.run(command, capture_output=True, env=self.environment, check=False)
        return done.returncode, json.loads(done.stdout or b"{}")

    def entries(self) -> list[dict[str, Any]]:
        """The entries of the log; what a killed process left half written is left out."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                entry = {"event": "text", "text": line}
            found.append(entry if isinstance(entry, dict) else {"event": "text", "text": line})
        return found

    def store(self) -> Store:
        """What the daemon remembers."""
        return Store.open(f"sqlite:///{self.folder}/oracle.sqlite")

    def configure(
        self,
        feeds: Mapping[str, FeedFile],
        tables: Mapping[str, str],
        chains: str,
        *,
        peers: list[str],
        webhook: str | None,
    ) -> None:
        """Write the files.

        Args:
            feeds: by name.
            tables: what the configuration says of each, after its file.
            chains: the configuration of the chains.
            peers: report servers of the others.
            webhook: for alerts.
        """
        self.folder.mkdir()
        for name, feed in feeds.items():
            write_feed(self.folder / f"{name}.json", feed)
        self._write_private("signer.json", encrypt_keystore(self.signer, _PASSPHRASE, iterations=2))
        self._write_private("poster.json", encrypt_keystore(self.poster, _PASSPHRASE, iterations=2))
        self._write_private("passphrase", _PASSPHRASE + b"\n")
        parts = [f'[feed.{name}]\nspec = "{name}.json"\n{tables[name]}' for name in feeds]
        parts.append(
            f'[signing]\nkeystore = "signer.json"\npassphrase-file = "passphrase"\npeers = {json.dumps(peers)}\n'
        )
        parts.append(f'[server]\nlisten = "127.0.0.1:{self.port}"\n{chains}')
        if webhook is not None:
            self._write_private("webhook", webhook.encode())
            parts.append('[alerts]\nurl-file = "webhook"\n')
        self.config.write_text("".join(parts))

    def _write_private(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
