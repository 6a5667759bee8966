"""A chain with one deployment and one record, as a node tells it, without a node."""

from __future__ import annotations

from dataclasses import replace

from zkinfer.chain import context_of
from zkinfer.chain.blocks import Header
from zkinfer.circuits.statement import Statement
from zkinfer.contracts import Request, input_commitment, load, load_canary, output_commitment
from zkinfer.contracts.deploy import EZKL_SELECTOR
from zkinfer.contracts.identifiers import STATUSES
from zkinfer.verifier import ProvenAnswer

CHAIN = 31337
LEDGER, REGISTRY, ROUTER, SOMEWHERE = ("0x" + digits * 20 for digits in ("1e", "2e", "3e", "4e"))
MODEL = "0x" + "aa" * 32
INPUTS, OUTPUTS = b"\5\6", (7, -8)
REQUEST = Request(
    listing="0x" + "bb" * 32,
    input_commitment=input_commitment(INPUTS),
    consumer="0x" + "c0" * 20,
    requester="0x" + "c0" * 20,
    expiry=2_000_000_000,
)
STATES = ["none", "open", "recorded", "refunded", "paid"]


def answer_to(request, **changes):
    context = context_of(request, CHAIN, LEDGER)
    return replace(ProvenAnswer(context, MODEL, Statement(context.hash, INPUTS, OUTPUTS)), **changes)


def answer_stating(**changes):
    answer = answer_to(REQUEST)
    return replace(answer, statement=replace(answer.statement, **changes))


class FakeBlocks:
    """A chain with one deployment and one record, `depth` blocks below the head."""

    head = 100

    def __init__(self, request=REQUEST, depth=10):
        self.request_told, self.depth, self.final = request, depth, 96
        self.codes = {LEDGER: "InferenceLedger", REGISTRY: "ModelRegistry", ROUTER: "VerifierRouter"}
        self.state, self.outputs, self.model = "recorded", OUTPUTS, MODEL
        self.id, self.registrys_router, self.deployed_at = CHAIN, ROUTER, 1
        self.status, self.live = "active", True
        self.forks, self.headers_read = False, 0
        self.fork, self.recorded_at = "0", 1_800_000_000
        self.then = {}  # the state at the settled block, where it differs

    def latest(self):
        return FakeChain(self, self.head)

    def at(self, block):
        return FakeChain(self, block)

    def settled(self, confirmations):
        return self.header(self.final if confirmations is None else self.head - confirmations + 1)

    def header(self, number):
        self.headers_read += 1
        return Header(number, f"0x{self.fork}{self.headers_read if self.forks else 0:061x}{number:02x}")

    def request(self, ledger, request_id, until):
        assert until <= self.head
        return self.request_told


class FakeChain:
    def __init__(self, blocks, block):
        self.blocks, self.block, self.id = blocks, block, blocks.id

    def state(self, name):
        """A property of the chain's state at this block."""
        now = getattr(self.blocks, name)
        return now if self.block == self.blocks.head else self.blocks.then.get(name, now)

    def code(self, address):
        name = self.state("codes").get(address) if self.block >= self.blocks.deployed_at else None
        if name == "CanaryKey":
            return b"\0" + load_canary().key
        return b"" if name is None else b"\xfe" if name == "other" else load(name).deployed

    def read(self, contract, address, name, *arguments):
        answers = {
            "HOME_CHAIN": lambda: CHAIN,
            "REGISTRY": lambda: REGISTRY,
            "ROUTER": lambda: ROUTER if contract == "InferenceLedger" else self.blocks.registrys_router,
            "modelOf": lambda listing: (bytes.fromhex(self.state("model")[2:]), listing),
            "statusOf": lambda listing: STATUSES.index(self.blocks.status),
            "programOf": lambda listing: (STATUSES.index(self.blocks.status), EZKL_SELECTOR),
            "isLive": lambda selector: selector == EZKL_SELECTOR and self.blocks.live,
            "entryOf": lambda request_id: self.entry(),
        }
        return answers[name](*arguments)

    def entry(self):
        digest = bytes.fromhex(output_commitment(self.state("outputs"))[2:])[:26]
        known = self.block >= self.blocks.head - self.blocks.depth
        return (STATES.index(self.state("state")), self.blocks.recorded_at, digest) if known else (0, 0, bytes(26))
