"""Find the node that makes the engine fail, since the engine's own errors do not name it.

A binary search over the number of leading nodes; each attempt has its own child process, since some nodes make the
engine panic.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zkinfer.circuits.engines.ezkl.instances import LIMBS
from zkinfer.circuits.engines.ezkl.tune.trials import Scales, integers_of, wide_arguments
from zkinfer.circuits.errors import EngineCrashedError, EngineError, UnsupportedModelError
from zkinfer.circuits.storage import private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zkinfer.circuits.engines.base import TuneRequest
    from zkinfer.circuits.engines.ezkl.client import EzklProcess

_SCALES = Scales(7, 7, 3)


@contextmanager
def naming_nodes(process: EzklProcess, request: TuneRequest, *, computing: bool) -> Iterator[None]:
    """Convert an engine error inside the block into one that names the node that causes it, and the engine's reason.

    Args:
        process: for the engine's calls.
        request: the request that the engine works on in the block.
        computing: whether it computes samples; otherwise it only reads the network.

    Raises:
        UnsupportedModelError: the engine fails at a node.
        EngineError: the block's own, if no node causes it; or the engine runs out of memory or time.
    """
    try:
        yield
    except EngineError as err:
        if type(err) not in (EngineError, EngineCrashedError):  # the others have causes of their own
            raise
        with private_directory() as folder:
            found = _Probe(process, request, _sample(request) if computing else None, folder).rejected()
        if found is None:
            raise
        raise found from err


class _Probe:
    """Attempts to run the engine on the first nodes of a network."""

    def __init__(
        self, process: EzklProcess, request: TuneRequest, sample: list[list[int]] | None, folder: Path
    ) -> None:
        self._process, self._names, self._network = process, request.names, str(request.network.resolve())
        self._arguments = wide_arguments(_SCALES, request).to_run_arguments()
        self._sample, self._folder = sample, str(folder.resolve())

    def rejected(self) -> UnsupportedModelError | None:
        """The error for the first node with which the engine fails; None if it accepts all nodes."""
        nodes: list[list[str]] = self._process.call("nodes_of", network=self._network)
        accepted, rejected = 0, len(nodes)
        reason = self._failure(rejected)
        if reason is None:
            return None
        while rejected - accepted > 1:
            middle = (accepted + rejected) // 2
            found = self._failure(middle)
            if found is None:
                accepted = middle
            else:
                rejected, reason = middle, found
        operator, value = nodes[rejected - 1]
        return UnsupportedModelError(
            f"The engine rejects {operator} {self._names.get(value, value)[:80]!r}: {reason}",
            f"Replace this {operator} by other operators (see docs/reference/operators.md), or report the model.",
        )

    def _failure(self, nodes: int) -> str | None:
        try:
            failure: str | None = self._process.call(
                "failure_of",
                network=self._network,
                nodes=nodes,
                arguments=self._arguments,
                sample=self._sample,
                folder=self._folder,
            )
        except EngineCrashedError as err:
            return err.cause
        return failure


def _sample(request: TuneRequest) -> list[list[int]]:
    """The first calibration sample, with an empty context."""
    return [[0] * LIMBS, *integers_of(request, _SCALES)[0]]
