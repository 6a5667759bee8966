"""Nodes under anvil that make a block each second, and can be suspended, restarted, reorganised or made expensive.

Until `Node.pace` a node makes a block for each transaction, so that contracts are deployed in no time.
"""

from __future__ import annotations

import gzip
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from zkinfer.contracts.devchain import free_port
from zkinfer.contracts.rpc import connect, rpc_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3.types import RPCEndpoint

ROOT: Final = Path(__file__).resolve().parents[2]
SPIKE_WEI: Final = 300 * 10**9
"""A base fee above the operators' limit; it falls by an eighth with each empty block."""
BLOCK_SECONDS: Final = 1
_UNWRITTEN_SECONDS: Final = 1.5  # two blocks at most, which the operators' confirmations endure
_START_SECONDS: Final = 60.0


class Node:
    """An anvil whose state survives a restart; `start` begins it.

    Args:
        folder: for its state.
        name: of the chain.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._port = free_port()
        self._state = folder / f"{name}.json"
        self.url = f"http://127.0.0.1:{self._port}"
        self.web3 = connect(self.url)
        self._process: subprocess.Popen[bytes] | None = None
        self._paced = False

    def start(self) -> None:
        """Begin, or go on from the state at the last `stop`; nothing happens if it runs."""
        if self._process is not None:
            return
        options = ["--silent", "--hardfork", "prague", "--state", str(self._state)]
        if self._paced:
            options += ["--block-time", str(BLOCK_SECONDS)]
        self._process = subprocess.Popen([str(_program()), "--port", str(self._port), *options])
        wait_until(self.web3.is_connected, "anvil does not start", _START_SECONDS)

    def stop(self) -> None:
        """End the process, which writes its state; nothing happens if it does not run."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        self._process.wait()
        self._process = None

    def crash(self) -> None:
        """Kill the process, which loses its last blocks, as a node that had not written them to its disk."""
        if self._process is None:
            return
        self.resume()
        state = bytes.fromhex(str(self._request("anvil_dumpState", []))[2:])
        self._state.write_bytes(gzip.decompress(state))
        time.sleep(_UNWRITTEN_SECONDS)
        self._process.kill()
        self._process.wait()
        self._process = None

    def pace(self) -> None:
        """From now on, make a block each second and none in between."""
        self._paced = True
        self._request("evm_setIntervalMining", [BLOCK_SECONDS])

    def pause(self) -> None:
        """Stop answering, with connections left open; see `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self._signal(signal.SIGCONT)

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks by empty ones."""
        self._request("anvil_reorg", [depth, []])
        self._request("evm_setTime", [int(time.time())])  # a reorganisation sets the clock back by as many blocks

    def spike(self) -> None:
        """Make the next blocks too expensive for the operators."""
        self._request("anvil_setNextBlockBaseFeePerGas", [hex(SPIKE_WEI)])

    def time_of(self, block: int) -> int:
        """The time of a block, in Unix seconds."""
        with rpc_errors(self.web3):
            return int(self.web3.eth.get_block(block)["timestamp"])

    def sender_of(self, transaction: str) -> str:
        """The account that sent a transaction, in lower case."""
        with rpc_errors(self.web3):
            return str(self.web3.eth.get_transaction(cast("Any", transaction))["from"]).lower()

    def _request(self, method: str, arguments: list[Any]) -> object:
        answer = self.web3.provider.make_request(cast("RPCEndpoint", method), arguments)
        if "error" in answer:
            raise RuntimeError(f"anvil refused {method}: {answer['error']}")
        return answer["result"]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _program() -> Path:
    """The program itself: the script that npm links starts it as another process, which signals would not reach."""
    found = sorted((ROOT / "contracts/node_modules/@foundry-rs").glob("anvil-*/bin/anvil"))
    if not found:
        raise FileNotFoundError("There is no anvil: run npm install in contracts/")
    return found[0]


def wait_until(done: Callable[[], bool], what: str, seconds: float) -> None:
    """Return once `done()` is true; raise TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)
