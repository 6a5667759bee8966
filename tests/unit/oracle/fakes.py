"""A clock, sources, circuits and chains that tests control. They bind what they make: a proof is of one request."""

import json
import threading
from dataclasses import dataclass, field, replace
from fractions import Fraction

import httpx2

from zkinfer.circuits.errors import EngineError
from zkinfer.contracts.errors import RevertedError, RpcError
from zkinfer.contracts.feed_formats import FeedPayload, FeedSpec, Level, SignerConfig
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256
from zkinfer.contracts.rpc import Account
from zkinfer.oracle.alerts import Alerts
from zkinfer.oracle.delivery import DeliveryLoop
from zkinfer.oracle.errors import OracleError, UnknownFeedError, VoteError
from zkinfer.oracle.feed import Delivered, Feed
from zkinfer.oracle.loop import FeedLoop
from zkinfer.oracle.observations import Observation
from zkinfer.oracle.peers import Peers
from zkinfer.oracle.proofs import ProofLoop
from zkinfer.oracle.store import Store
from zkinfer.oracle.votes import Voter, VoteRequest

START = 1_800_000_000
KEYS = sorted((Account.from_key(bytes([number]) * 32) for number in (1, 2, 3)), key=lambda one: one.address.lower())
CONFIG = SignerConfig.of([one.address for one in KEYS], 2)
SPEC = FeedSpec(
    listing="0x" + "11" * 32,
    recipe="0x" + "22" * 32,
    owner="0x" + "33" * 20,
    source=ZERO_ADDRESS,
    output=0,
    scale=0,
    decimals=0,
    least=-1000,
    most=1000,
    tolerance=1,
    tick=10,
    heartbeat=60,
    max_age=60,
    description="a fake",
)


class Clock:
    """Unix seconds that tests move."""

    def __init__(self, now=START):
        self.now = float(now)

    def __call__(self):
        return self.now


class Model:
    """The answer is the observed number; two observations agree if they differ by one at most."""

    def __init__(self, clock, skew=0):
        self.clock, self.skew = clock, skew
        self.value, self.error, self.unprovable = 100, "", False
        self.proofs = []

    def observe(self, number):
        if self.error:
            raise OracleError(self.error)
        return self.observed(int(self.clock()) + self.skew, self.value)

    @staticmethod
    def observed(at, value):
        file = json.dumps({"at": at, "value": value}).encode()
        packed = value.to_bytes(4, "big", signed=True)
        return Observation(at, (Fraction(value),), packed, "0x" + keccak256(file).hex(), file)

    def reconstruct(self, source_file):
        document = json.loads(source_file)
        return self.observed(document["at"], document["value"])

    def require_agreement(self, own, other):
        if abs(self.answer(own) - self.answer(other)) > 1:
            raise OracleError("The observations differ.")

    def answer(self, observed):
        value = int.from_bytes(observed.inputs, "big", signed=True)
        return SPEC.require_bounds(value)

    def prove(self, payload):
        if self.unprovable:
            raise EngineError("The engine failed.")
        self.proofs.append(payload.round)
        return replace(payload, outputs=(payload.report.answer,), proof=keccak256(payload.request_id.encode()))


@dataclass(frozen=True)
class HubRound:
    answer: int
    observed_at: int
    level: Level


@dataclass
class FakeChain:
    """A hub whose blocks tests mine; `reorganise` undoes the last ones."""

    name: str = "base"
    id: int = 31337
    account: str = "0x" + "aa" * 20
    posts: bool = True
    confirmations: int = 3
    min_balance: int = 5
    blocks: list = field(default_factory=lambda: [{}])
    wealth: int = 100
    down: bool = False
    refuses: str = ""
    sent: list = field(default_factory=list)
    batches: list = field(default_factory=list)
    contradicted: bool = False
    block_time: int = START * 2
    config: SignerConfig = CONFIG

    def _require_up(self):
        if self.down:
            raise RpcError("The node is silent.")

    @property
    def state(self):
        return self.blocks[-1]

    def mine(self, count=1):
        for _ in range(count):
            self.blocks.append(dict(self.state))

    def reorganise(self, depth):
        kept = self.blocks[: max(len(self.blocks) - depth, 1)]
        self.blocks = kept + [dict(kept[-1]) for _ in range(depth + 1)]

    def height(self):
        self._require_up()
        return len(self.blocks) - 1

    def time(self):
        self._require_up()
        return self.block_time

    def balance(self):
        self._require_up()
        return self.wealth

    def round_of(self, feed, number):
        self._require_up()
        return self.state.get((feed, number))

    def latest(self, feed, level):
        self._require_up()
        found = [(number, one) for (name, number), one in self.state.items() if name == feed and one.level >= level]
        return max(found, default=None, key=lambda pair: pair[0])

    def is_contradicted(self, feed):
        self._require_up()
        return self.contradicted

    def post(self, data):
        self._require_up()
        payload = FeedPayload.decode(data)
        self.config.require(payload.signing_hash, payload.signatures)
        if self.refuses:
            raise RevertedError(self.refuses)
        report = payload.report
        new = dict(self.state)
        known = new.get((report.feed_id, payload.round))
        if known is None or known.level < payload.level:
            answer = report.answer if known is None else known.answer
            new[(report.feed_id, payload.round)] = HubRound(answer, report.observed_at, payload.level)
        self.blocks.append(new)
        self.sent.append((payload.round, payload.level))
        return f"0x{len(self.sent):064x}"

    def post_all(self, payloads):
        """One block for all, or for none."""
        before, sent = [*self.blocks], [*self.sent]
        try:
            for one in payloads:
                self.post(one)
        except RevertedError:
            self.blocks, self.sent = before, sent
            raise
        self.blocks = [*before, self.state]
        self.batches.append(len(payloads))
        return f"0x{len(self.sent):064x}"


class Operator:
    """One operator: its store, its loops, and what its peers reach."""

    def __init__(self, number, folder, clock, chains, delivered=Delivered.BOTH, deviation=Fraction(0), config=CONFIG):
        self.key, self.clock, self.chains = KEYS[number], clock, chains
        self.url = f"sqlite:///{folder}/{number}/oracle.db"
        self.host = f"op{number}"
        self.model = Model(clock)
        self.alive = True
        self.feed = Feed(
            name="fake",
            spec=SPEC,
            config=config,
            model=self.model,
            signer=self.key,
            address=self.key.address.lower(),
            delivered=delivered,
            deviation=deviation,
            chains=tuple(one.name for one in chains),
        )
        self.others = {}
        self.lock = threading.Lock()
        self.start()

    def start(self):
        self.store = Store.open(self.url)
        self.alerts = Alerts()
        feeds, chains = {self.feed.id: self.feed}, {one.name: one for one in self.chains}
        self.voter = Voter(feeds, self.store, self.clock)
        urls = [f"https://op{number}" for number in range(3) if f"op{number}" != self.host]
        self.peers = Peers(urls, transport=httpx2.MockTransport(self._network))
        self.loop = FeedLoop(self.feed, self.store, chains, self.peers, self.alerts, self.clock)
        self.proofs = ProofLoop(self.feed, self.store, chains, self.alerts, self.clock)
        self.deliveries = [DeliveryLoop(one, feeds, self.store, self.alerts, self.clock) for one in self.chains]
        self.alive = True

    def stop(self):
        self.alive = False
        self.peers.close()
        self.store.leases.release()  # as the lease of a killed process is free
        self.store.close()

    def step(self):
        """Everything once, as the daemon's threads do it."""
        if not self.alive:
            return
        self.loop.step()
        self.proofs.step()
        for delivery in self.deliveries:
            if not delivery.chain.down:
                delivery.step()

    def _network(self, request):
        peer = self.others.get(request.url.host)
        if peer is None or not peer.alive:
            raise httpx2.ConnectError("unreachable")
        try:
            with peer.lock:
                answer = peer.voter.vote(VoteRequest.from_bytes(request.content))
        except (VoteError, UnknownFeedError) as err:
            return httpx2.Response(409, json={"detail": str(err)})
        return httpx2.Response(200, json=answer.model_dump(mode="json"))


def operators(folder, clock, chains, count=3, **options):
    """Operators that reach each other."""
    found = [Operator(number, folder, clock, chains, **options) for number in range(count)]
    for one in found:
        one.others = {other.host: other for other in found if other is not one}
    return found
