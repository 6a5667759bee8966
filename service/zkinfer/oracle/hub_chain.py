"""A chain with a hub of feeds, through a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.errors import ChainError, TransactionFailedError
from zkinfer.contracts.feed_formats import FeedPayload, Level
from zkinfer.contracts.feeds import FeedHub
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import load_keystore
from zkinfer.contracts.transactions import Limits
from zkinfer.oracle.errors import FeedsFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from web3 import Web3
    from web3.types import TxReceipt

    from zkinfer.contracts.feeds import FeedRound
    from zkinfer.contracts.signers import Signer
    from zkinfer.oracle.configuration import ChainPart, FeedsFile


class HubChain:
    """One chain of the configuration; see `zkinfer.oracle.chains.ChainAccess`.

    Reading and posting have a connection each, so that a transaction that waits does not delay the others.

    Args:
        name: in the configuration.
        web3: connects to the node.
        hub: address of the hub.
        signer: pays; None for reading only.
        limits: of fees and time.
        confirmations: after which a round is final.
        min_balance: below which the operator is alerted, in wei.

    Attributes:
        reader: the chain, for reading.
    """

    def __init__(
        self,
        name: str,
        web3: Web3,
        hub: str,
        signer: Signer | None,
        *,
        limits: Limits,
        confirmations: int,
        min_balance: int,
    ) -> None:
        self.name = name
        self.confirmations = confirmations
        self.min_balance = min_balance
        self.account = "" if signer is None else str(signer.address).lower()
        self.reader = Chain(web3)
        self._hub = FeedHub(self.reader, hub)
        self._poster = FeedHub(Chain(web3, signer, limits), hub)

    @property
    def id(self) -> int:
        """The chain id; raises RpcError the first time, if the node does not answer."""
        return self.reader.id

    @property
    def posts(self) -> bool:
        """Whether there is an account to post with."""
        return bool(self.account)

    def height(self) -> int:
        """The number of the latest block."""
        return self.reader.height()

    def time(self) -> int:
        """The time of the latest block."""
        return self.reader.time()

    def balance(self) -> int:
        """Wei of the account; 0 without one."""
        return self.reader.balance(self.account) if self.account else 0

    def round_of(self, feed: str, number: int) -> FeedRound | None:
        """A round that the hub has."""
        return self._hub.round_of(feed, number)

    def latest(self, feed: str, level: Level) -> tuple[int, FeedRound] | None:
        """The newest round of at least this level, with its number."""
        return self._hub.latest(feed, level)

    def is_contradicted(self, feed: str) -> bool:
        """Whether a proof contradicted the feed's signers."""
        return self._hub.is_contradicted(feed)

    def require_feed(self, feed: str, config_digest: str) -> None:
        """Return if the hub has the feed with these signers; raise FeedsFileError if not, or ChainError."""
        if not self._hub.exists(feed):
            raise FeedsFileError(f"The hub on {self.name} has no feed {feed}.", "Create it: zkinfer oracle create")
        found = self._hub.config_of(feed)
        if found != config_digest:
            raise FeedsFileError(
                f"On {self.name} the feed's signers are {found}; the feed file names {config_digest}.",
                "Bring the feed file up to date, or let the owner choose its signers: zkinfer oracle create",
            )

    def post(self, payload: bytes) -> str | None:
        """Give a payload to the hub, once a block includes it; see `FeedHub.verify` for what is raised."""
        self._require_account()
        return _hash_of(self._poster.verify(FeedPayload.decode(payload)))

    def post_all(self, payloads: Sequence[bytes]) -> str | None:
        """Give several payloads to the hub in one transaction; see `FeedHub.verify_all` for what is raised."""
        self._require_account()
        return _hash_of(self._poster.verify_all([FeedPayload.decode(one) for one in payloads]))

    def _require_account(self) -> None:
        if not self.posts:
            raise TransactionFailedError(f"There is no account to post with on {self.name}.", "Give a keystore.")


def _hash_of(receipt: TxReceipt | None) -> str | None:
    return None if receipt is None else "0x" + bytes(receipt["transactionHash"]).hex()


def open_chain(name: str, part: ChainPart, file: FeedsFile) -> HubChain:
    """The chain of a part of the configuration. The node is not asked yet, since it may be down at the moment.

    Raises:
        FeedsFileError: the URL of the node is not acceptable, or the keystore cannot be used.
        InputError: a file cannot be read, or others can read it.
    """
    url = part.rpc if part.rpc_file is None else file.secret(part.rpc_file)
    signer: Signer | None = None
    try:
        web3 = connect(url or "")
        if part.keystore is not None and part.passphrase_file is not None:
            signer = load_keystore(file.path(part.keystore), file.secret(part.passphrase_file).encode())
    except ChainError as err:
        raise FeedsFileError(f"chain.{name}: {err.cause}", err.cure) from err
    limits = Limits(
        max_fee=part.max_fee,
        max_tip=part.max_tip,
        timeout=part.timeout,
        resubmit_after=part.resubmit_after,
        confirmations=1,  # the rest is watched by the deliveries, which meanwhile go on
    )
    return HubChain(
        name,
        web3,
        part.hub.lower(),
        signer,
        limits=limits,
        confirmations=part.confirmations,
        min_balance=part.min_balance,
    )
