"""The demo's chapter on a chain: a contract asks, a proof answers, the contract acts, and forgers get nowhere.

The chain lives in this process. Its accounts' keys are known to everybody, and it ends with the demo.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from rich.table import Table

from zkinfer.chain import Answer, answer_of, context_of, registration_of
from zkinfer.chain.records import REQUESTED, request_in
from zkinfer.chain.requests import commitment_to
from zkinfer.cli.console import console, plain, say
from zkinfer.contracts.abi import constructor_data
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import FACTORY, Governance, Part, deploy, plan
from zkinfer.contracts.devchain import embedded_web3
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.signers import unsafe_dev_account

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from web3 import Web3

    from zkinfer.chain import Answer
    from zkinfer.circuits.engines.base import Engine
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts import ContractName, Request
    from zkinfer.prover import Prover
    from zkinfer.verifier import Attestation


class DigitLock:
    """A lock that opens for the first picture which a model reads as the right digit."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def create(cls, chain: Chain, ledger: str, listing: str, digit: int, margin: int) -> Self:
        """A new lock, which relies on a ledger and one listing; scores must lead by `margin` units to open it."""
        code = constructor_data("DigitLock", (ledger, bytes.fromhex(listing[2:]), digit, margin))
        part = Part("DigitLock", code, bytes(32))
        chain.send(FACTORY, part.salt + part.creation)
        return cls(part.address)

    def play(self, chain: Chain, picture: str, prover: str, value: int) -> Request:
        """Show a picture by its commitment, and pay for its reading; returns the request that the lock makes of it."""
        arguments = (bytes.fromhex(picture[2:]), prover)
        receipt = chain.write("DigitLock", self.address, "play", *arguments, value=value)
        logs = receipt["logs"] if receipt is not None else []
        return next(request_in(log) for log in logs if bytes(log["topics"][0]) == REQUESTED)

    def settle(self, chain: Chain, answer: Answer) -> None:
        """Let the lock act on an answer that is on record."""
        chain.write("DigitLock", self.address, "settle", *abi_of(answer))

    def winner(self, chain: Chain) -> str:
        """Who opened it; the zero address while it is shut."""
        winner: str = chain.read("DigitLock", self.address, "winner")
        return winner


def abi_of(answer: Answer) -> tuple[Any, ...]:
    """The arguments of `settle` and of the ledger's `record`."""
    fields = astuple(answer.request)
    words = (bytes.fromhex(one[2:]) if isinstance(one, str) and len(one) == 66 else one for one in fields)
    return tuple(words), answer.inputs, list(answer.outputs), answer.proof


OWNER_FEE: Final = 10**15
PROVER_FEE: Final = 2 * 10**15
_GAS: Final = 5_000_000  # of a verification: an estimate would run it a dozen times
_ETHER: Final = 10**18


@dataclass(slots=True)
class Meter:
    """The gas of every step, which is what the blocks since the last one have used."""

    web3: Web3
    gas: dict[str, int] = field(default_factory=dict)
    _seen: int = 0

    def read(self, step: str) -> None:
        """Book all blocks since the last reading under this step."""
        height = int(self.web3.eth.block_number)
        blocks = range(self._seen + 1, height + 1)
        self.gas[step] = sum(int(self.web3.eth.get_block(number)["gasUsed"]) for number in blocks)
        self._seen = height


@dataclass(frozen=True, slots=True)
class Scene:
    """What was put on the chain: the ledger, and a lock that relies on it."""

    ledger: Ledger
    lock: DigitLock
    listing: str


class OnChain:
    """One circuit on a chain of its own, where its owner, a player and a prover have an account each.

    Args:
        circuit: the model; under `insecure-dev` the deployment is one for tests, since others refuse it.
        prover: proves.
        engine: the circuit's.
    """

    def __init__(self, circuit: Circuit, prover: Prover, engine: Engine) -> None:
        web3 = embedded_web3()
        chain_id = Chain(web3).id
        self._owner, self._player, self._poster = (Chain(web3, unsafe_dev_account(n, chain_id)) for n in range(3))
        self._circuit = circuit
        self._prover = prover
        self._engine = engine
        self._test = circuit.manifest.recipe.setup.is_insecure_dev
        self._meter = Meter(web3)
        self._refusals: dict[str, str] = {}

    def tell(self, image: NDArray[np.generic], digit: int, other: Attestation) -> dict[str, Any]:
        """The whole chapter; returns its facts as JSON. Raises RuntimeError if a forgery were accepted.

        Args:
            image: the picture that the player shows.
            digit: what opens the lock.
            other: an attestation about the same picture, made for another request.
        """
        scene = self._build(digit)
        request = self._ask(scene, image)
        answer = self._answer(scene, request, image)
        self._forge(scene, answer, other)
        self._post(scene, answer)
        self._act(scene, answer)
        self._replay(scene, answer)
        console.print(gas_table(self._meter.gas))
        return self._facts(scene, request)

    def _build(self, digit: int) -> Scene:
        parts = plan(Governance(self._owner.address, (self._owner.address,), test=self._test))
        deploy(self._owner, parts)
        self._meter.read("deploy, once for all models")
        _done(f"{len(parts.parts)} contracts deployed on a chain inside this process")
        if self._test:
            say("  [bold red]a test deployment:[/] it takes models under insecure-dev, whose proofs anyone can forge")
        listing = Registry(self._owner, parts.addresses["ModelRegistry"]).register(
            registration_of(self._circuit, fee=OWNER_FEE)
        )
        self._meter.read("register the model")
        ledger = parts.addresses["InferenceLedger"]
        quarter = 1 << self._circuit.manifest.program.outputs[0].scale >> 2  # far beyond what rounding can move
        lock = DigitLock.create(self._owner, ledger, listing, digit, quarter)
        self._meter.read("deploy the lock")
        _done(f"the model is registered; a lock that opens for a {digit} relies on it")
        return Scene(Ledger(self._poster, ledger), lock, listing)

    def _ask(self, scene: Scene, image: NDArray[np.generic]) -> Request:
        picture = commitment_to(self._circuit, {"image": image}, self._engine)
        paid = OWNER_FEE + PROVER_FEE
        request = scene.lock.play(self._player, picture, self._poster.address, paid)
        self._meter.read("ask: the lock opens a request")
        _done(f"a player shows the lock the first picture, by its digest, and pays {_ether(paid)} into escrow")
        return request

    def _answer(self, scene: Scene, request: Request, image: NDArray[np.generic]) -> Answer:
        context = context_of(request, self._poster.id, scene.ledger.address)
        attestation = self._prover.prove(self._circuit, {"image": image}, context)
        _done("the prover proves the answer, for this request and no other")
        return answer_of(attestation, request)

    def _forge(self, scene: Scene, answer: Answer, other: Attestation) -> None:
        self._refused("a proof of the same picture for another request", scene, answer_of(other, answer.request))
        forged = replace(answer, outputs=(12_345, *answer.outputs[1:]))
        self._refused("another digit made the likeliest", scene, forged)

    def _post(self, scene: Scene, answer: Answer) -> None:
        scene.ledger.record(*answer.posted, gas=_GAS)
        self._meter.read("post: verify and record the answer")
        credit = scene.ledger.credit(self._poster.address)
        _done(f"the ledger verifies the proof and records the answer; the prover's credit is {_ether(credit)}")

    def _act(self, scene: Scene, answer: Answer) -> None:
        scene.lock.settle(self._player, answer)
        self._meter.read("act: the lock takes the answer")
        if scene.lock.winner(self._player) != self._player.address:
            raise RuntimeError("The lock stayed shut after the right answer. Please report this.")
        _done("the lock reads the answer and opens; the player has won")

    def _replay(self, scene: Scene, answer: Answer) -> None:
        self._refused("the same proof posted again", scene, answer)
        self._refused("the same answer brought to the lock again", scene, answer, to_lock=True)

    def _refused(self, title: str, scene: Scene, answer: Answer, *, to_lock: bool = False) -> None:
        """Try it as a call, which ends as the transaction would."""
        call: tuple[ContractName, str, str]
        call = ("InferenceLedger", scene.ledger.address, "record")
        if to_lock:
            call = ("DigitLock", scene.lock.address, "settle")
        try:
            self._poster.read(*call, *abi_of(answer))
        except RevertedError as err:
            self._refusals[title] = err.cause
            say(f"  [bold red]✗[/] {title}: {plain(shortened(err.cause))}")
        else:
            raise RuntimeError(f"A forgery was accepted: {title}. Please report this.")

    def _facts(self, scene: Scene, request: Request) -> dict[str, Any]:
        return {
            "testDeployment": self._test,
            "chainId": self._poster.id,
            "ledger": scene.ledger.address,
            "listing": scene.listing,
            "requestId": scene.ledger.id_of(request),
            "player": self._player.address,
            "winner": scene.lock.winner(self._player),
            "proverCredit": scene.ledger.credit(self._poster.address),
            "gas": self._meter.gas,
            "refusals": self._refusals,
        }


def gas_table(gas: dict[str, int]) -> Table:
    """What every step used."""
    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("step", style="dim")
    table.add_column("gas", justify="right")
    for step, used in gas.items():
        table.add_row(step, f"{used:,}")
    return table


def _done(text: str) -> None:
    say(f"  [green]✓[/] {text}")


def _ether(wei: int) -> str:
    return f"{wei / _ETHER:g} ether"


def shortened(cause: str) -> str:
    """A contract's reason without most digits of its hashes."""
    return " ".join(
        f"{word[:10]}…{word[66:]}" if word.startswith("0x") and len(word) > 42 else word for word in cause.split()
    )
