"""A fake node, which keeps transactions and mines them when a test says so."""

from __future__ import annotations

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.providers.base import BaseProvider

from zkinfer.contracts.chain import Chain
from zkinfer.contracts.identifiers import keccak256
from zkinfer.contracts.transactions import GWEI, Limits, Sender

KEY = "0x" + "11" * 32
ACCOUNT = Account.from_key(KEY)
TO = Web3.to_checksum_address("0x" + "22" * 20)


class FakeNode(BaseProvider):
    """The node for the transactions of one account.

    `events` lists times of the fake clock in seconds, each with a function to call with this node.
    """

    def __init__(self, chain_id=31337, base=10 * GWEI, tip=GWEI):
        super().__init__()
        self.chain_id, self.base, self.tip = chain_id, base, tip
        self.balance, self.height, self.foreign = 10**18, 100, 0
        self.pool: list[tuple[bytes, dict]] = []
        self.mined: dict[bytes, int] = {}
        self.taken = 0
        self.status = 1
        self.refusal: str | None = None
        self.now = 0.0
        self.events: list[tuple[float, object]] = []
        self.code = b""
        self.sent: list[dict] = []
        self.seen: list[tuple[bytes, dict]] = []

    def make_request(self, method, params):
        try:
            return {"jsonrpc": "2.0", "id": 1, "result": getattr(self, method)(*params)}
        except RefusedError as err:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": str(err)}}

    def eth_chainId(self):  # noqa: N802 - named like the RPC methods, here and below
        return hex(self.chain_id)

    def eth_blockNumber(self):  # noqa: N802
        return hex(self.height)

    def eth_getBalance(self, *_):  # noqa: N802
        return hex(self.balance)

    def eth_getCode(self, *_):  # noqa: N802
        return "0x" + self.code.hex()

    def eth_call(self, *_):
        return "0x"

    def eth_maxPriorityFeePerGas(self):  # noqa: N802
        return hex(self.tip)

    def eth_estimateGas(self, *_):  # noqa: N802
        return hex(40_000)

    def eth_getBlockByNumber(self, *_):  # noqa: N802
        return {"number": hex(self.height), "timestamp": "0x1", "baseFeePerGas": hex(self.base)}

    def eth_getTransactionCount(self, _, block):  # noqa: N802
        waiting = {fields["nonce"] for _, fields in self.pool}
        return hex(self.taken + (len(waiting) + self.foreign if block == "pending" else 0))

    def eth_sendRawTransaction(self, raw):  # noqa: N802
        if self.refusal:
            raise RefusedError(self.refusal)
        data = bytes(HexBytes(raw))
        fields = TypedTransaction.from_bytes(HexBytes(data)).as_dict()
        known = [old for name, old in self.pool if old["nonce"] == fields["nonce"] and name != keccak256(data)]
        for old in known:
            for name in ("maxFeePerGas", "maxPriorityFeePerGas"):
                if fields[name] * 10 < old[name] * 11:
                    raise RefusedError("replacement transaction underpriced")
        self.pool = [(name, one) for name, one in self.pool if one["nonce"] != fields["nonce"]]
        self.pool.append((keccak256(data), fields))
        self.sent.append(fields)
        return "0x" + keccak256(data).hex()

    def eth_getTransactionReceipt(self, name):  # noqa: N802
        if (at := self.mined.get(bytes(HexBytes(name)))) is None:
            return None
        price = hex(self.base)
        fields = {"transactionHash": name, "blockNumber": hex(at), "gasUsed": hex(21_000), "effectiveGasPrice": price}
        return {**fields, "status": hex(self.status), "logs": []}

    def mine(self, blocks=1):
        self.height += 1
        self.mined |= dict.fromkeys([name for name, _ in self.pool], self.height)
        self.seen += self.pool
        self.taken += len(self.pool)
        self.pool, self.height = [], self.height + blocks - 1

    def reorganise(self, *, forget=False):
        """Remove the latest block; its transactions are pending again, or dropped."""
        self.taken -= len(self.mined)
        self.pool = [] if forget else [(name, fields) for name, fields in self.seen if name in self.mined]
        self.mined, self.height = {}, self.height - 1

    def sleep(self, seconds):
        self.now += seconds
        while self.events and self.events[0][0] <= self.now:
            self.events.pop(0)[1](self)


class RefusedError(Exception):
    """An error response of the node."""


def chain_of(node, limits=None, signer=ACCOUNT, **options):
    """A chain on the fake node, with the node's clock."""
    chain = Chain(Web3(node), signer, limits or Limits(), **options)
    sender = Sender(chain._web3, signer, limits or Limits(), chain.id, clock=lambda: node.now, sleep=node.sleep)
    chain._sending = sender
    return chain
