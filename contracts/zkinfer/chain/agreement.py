"""Step 12 with several nodes: each must give the same record, read at one block that all of them hold settled.

A single node could make up a chain. Nodes of different operators would have to make up the same one: the same hash of
the block, the same code, the same record. Each must pass all checks of `zkinfer.chain.records`, and none is outvoted.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Self
from urllib.parse import urlsplit

from zkinfer.chain.errors import LedgerError, NodeError, NodesDifferError
from zkinfer.chain.records import LedgerRecord
from zkinfer.circuits.errors import ZkinferError
from zkinfer.verifier import RecordedAnswer, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from zkinfer.contracts import Request
    from zkinfer.verifier import ProvenAnswer

_NAMES: Final = {
    "listing": "listing",
    "recorded_at": "time of the record",
    "block_hash": "hash of the block",
    "code": "code of the contracts",
}


class NamedRecord(NamedTuple):
    """The records as one node tells them; the name is for messages, and must not hold a secret."""

    name: str
    record: LedgerRecord


class AgreeingNodes:
    """The records of one ledger, which all nodes must tell alike; for `Verifier.verify`.

    Args:
        nodes: at least two, of different operators; ValueError for fewer.
    """

    def __init__(self, nodes: Sequence[NamedRecord]) -> None:
        if len(nodes) < 2:
            raise ValueError("AgreeingNodes needs at least two nodes.")
        self._nodes = tuple(nodes)

    @classmethod
    def connect(
        cls,
        urls: Iterable[str],
        ledger: str | Path,
        *,
        confirmations: int | None = None,
        request: Request | None = None,
    ) -> Self:
        """The records of a ledger from the URLs of several nodes; the other arguments are as in `LedgerRecord.connect`.

        Sends nothing to the nodes yet. Messages name a node by its number and its host.

        Raises:
            NodeError: a URL is invalid, or two of them are of the same host and port.
            LedgerError: the file is missing, altered or of another version.
        """
        nodes: dict[tuple[str | None, int], NamedRecord] = {}
        for number, url in enumerate(urls, 1):
            record = LedgerRecord.connect(url, ledger, confirmations=confirmations, request=request)
            place = _place(url)
            node = NamedRecord(f"node {number} ({place[0]})", record)
            if first := nodes.get(place):
                raise NodeError(
                    f"{_capital(first.name)} and {node.name} are the same, so they cannot confirm each other.",
                    "Name nodes of different operators.",
                )
            nodes[place] = node
        return cls(list(nodes.values()))

    def agree(self, answer: ProvenAnswer) -> RecordedAnswer:
        """Return where and when this answer was recorded, as all nodes say.

        Raises:
            NodesDifferError: two nodes tell different records, blocks or code.
            RefusedError, LedgerError: all nodes say the same, and the answer is not on record; as `LedgerRecord.agree`.
            NodeError: a node failed; the message names it.
        """
        block = min(_settled(node) for node in self._nodes)
        first, *others = [(node, _told(node, answer, block)) for node in self._nodes]
        for other in others:
            _require_same(first, other)
        found = first[1]
        if isinstance(found, ZkinferError):
            raise found
        return replace(found, nodes=len(self._nodes))


def _place(url: str) -> tuple[str | None, int]:
    """Host and port; path, user and query may hold a key."""
    parts = urlsplit(url)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


_Told = RecordedAnswer | RefusedError | LedgerError


def _settled(node: NamedRecord) -> int:
    try:
        return node.record.settled()
    except NodeError as err:
        raise _of(node, err) from err


def _told(node: NamedRecord, answer: ProvenAnswer, block: int) -> _Told:
    """The node's record, or why it has none; both are compared with what the other nodes say."""
    try:
        return node.record.agree(answer, at=block)
    except (RefusedError, LedgerError) as err:
        return err
    except NodeError as err:
        raise _of(node, err) from err


def _of(node: NamedRecord, err: NodeError) -> NodeError:
    return NodeError(f"{_capital(node.name)}: {err.cause}", err.cure)


def _require_same(one: tuple[NamedRecord, _Told], other: tuple[NamedRecord, _Told]) -> None:
    (node, first), (second_node, second) = one, other
    if isinstance(first, RecordedAnswer) and isinstance(second, RecordedAnswer):
        differing = [part.name for part in fields(first) if getattr(first, part.name) != getattr(second, part.name)]
        if differing:
            what = _NAMES.get(differing[0], differing[0])
            _refuse(f"{_capital(node.name)} and {second_node.name} differ in the {what} (block {first.block}).")
    elif _in_words(first) != _in_words(second):
        _refuse(
            f"{_capital(node.name)} and {second_node.name} differ. The former says: {_in_words(first)} "
            f"The latter says: {_in_words(second)}"
        )


def _refuse(cause: str) -> NoReturn:
    raise NodesDifferError(
        cause, "One of them lags or lies: do not rely on the answer until they agree, or a third node shows which."
    )


def _in_words(told: _Told) -> str:
    return "The answer is on record." if isinstance(told, RecordedAnswer) else told.cause


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
