"""The demo's on-chain chapter: a contract requests an answer, acts on the proven one, and rejects forgeries.

The chain runs in this process, with publicly known keys, and is discarded with the demo.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from rich.table import Table

from zkinfer.chain import Answer, answer_of, context_of, registration_of
from zkinfer.chain.blocks import REQUESTED, request_in
from zkinfer.chain.requests import commitment_to
from zkinfer.cli.console import plain, print_result, print_table, say
from zkinfer.contracts.abi import creation_code
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import FACTORY, Governance, Part, deploy, plan
from zkinfer.contracts.devchain import embedded_web3
from zkinfer.contracts.errors import RevertedError
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry, route_of
from zkinfer.contracts.signers import unsafe_dev_account

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from web3 import Web3

    from zkinfer.cli.demo.cases import Case
    from zkinfer.contracts import ContractName, Request
    from zkinfer.prover import Prover
    from zkinfer.verifier import Attestation


class DigitLock:
    """A contract that opens for the first picture that the model classifies as the right digit."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def create(cls, chain: Chain, ledger: str, listing: str, digit: int, margin: int) -> Self:
        """Deploy a lock for a ledger and a listing; it opens if the digit's score leads by at least `margin` units."""
        code = creation_code("DigitLock", (ledger, bytes.fromhex(listing[2:]), digit, margin))
        part = Part("DigitLock", code, bytes(32))
        chain.send(FACTORY, part.salt + part.creation)
        return cls(part.address)

    def play(self, chain: Chain, commitment: str, prover: str, value: int) -> Request:
        """Submit the commitment to a picture and pay for an answer; returns the request that the lock opens."""
        arguments = (bytes.fromhex(commitment[2:]), prover)
        receipt = chain.write("DigitLock", self.address, "play", *arguments, value=value)
        logs = receipt["logs"] if receipt is not None else []
        return next(request_in(log) for log in logs if bytes(log["topics"][0]) == REQUESTED)

    def settle(self, chain: Chain, answer: Answer) -> None:
        """Let the lock act on a recorded answer."""
        chain.write("DigitLock", self.address, "settle", *abi_arguments(answer))

    def winner(self, chain: Chain) -> str:
        """The account that opened the lock; the zero address while it is closed."""
        winner: str = chain.read("DigitLock", self.address, "winner")
        return winner


def abi_arguments(answer: Answer) -> tuple[Any, ...]:
    """An answer as the arguments of `settle` and of the ledger's `record`."""
    fields = astuple(answer.request)
    words = (bytes.fromhex(one[2:]) if isinstance(one, str) and len(one) == 66 else one for one in fields)
    return tuple(words), answer.inputs, list(answer.outputs), answer.proof


RECORDED: Final = "post: verify and record the answer"
"""The step that verifies the proof, and the transaction that the demo compares between engines."""
OWNER_FEE: Final = 10**15
PROVER_FEE: Final = 2 * 10**15
_GAS: Final = 5_000_000  # limit for a verification; gas estimation would execute it a dozen times
_ETHER: Final = 10**18


@dataclass(slots=True)
class GasMeter:
    """The gas used by every step: that of all blocks since the previous step."""

    web3: Web3
    gas: dict[str, int] = field(default_factory=dict)
    _last_block: int = 0

    def read(self, step: str) -> None:
        """Attribute the gas of all blocks since the last call to this step."""
        height = int(self.web3.eth.block_number)
        blocks = range(self._last_block + 1, height + 1)
        self.gas[step] = sum(int(self.web3.eth.get_block(number)["gasUsed"]) for number in blocks)
        self._last_block = height


@dataclass(frozen=True, slots=True)
class Contracts:
    """What one model has on the chain: the ledger, and a lock that relies on the model's listing."""

    ledger: Ledger
    lock: DigitLock
    listing: str


class OnChain:
    """The demo's own chain, with an account each for the models' owner, a player and the prover.

    Args:
        prover: proves the answers.
        test: make a test deployment, which accepts models under `insecure-dev`; others reject them.
    """

    def __init__(self, prover: Prover, *, test: bool) -> None:
        web3 = embedded_web3()
        chain_id = Chain(web3).id
        self._owner, self._player, self._poster = (Chain(web3, unsafe_dev_account(n, chain_id)) for n in range(3))
        self._prover = prover
        self._test = test
        self._meter = GasMeter(web3)
        self._planned = plan(Governance(self._owner.address, (self._owner.address,), test=test))
        self._refusals: dict[str, str] = {}
        self._detailed = True

    def deploy(self) -> None:
        """Deploy the contracts, which serve all models."""
        deploy(self._owner, self._planned)
        self._meter.read("deploy, once for all models")
        self._done(f"{len(self._planned.parts)} contracts deployed on a chain inside this process")
        if self._test:
            say("  [bold red]test deployment:[/] it accepts models under insecure-dev, whose proofs anyone can forge")

    def tell(self, case: Case, image: NDArray[np.generic], digit: int, other: Attestation) -> dict[str, Any]:
        """Let a contract act on an answer, step by step; returns the results as JSON.

        Args:
            case: the model.
            image: the picture that the player submits.
            digit: the digit that opens the lock.
            other: an attestation of the same picture, made for another request.

        Raises:
            RuntimeError: a forgery is accepted.
        """
        contracts = self._register(case, digit)
        request = self._request(case, contracts, image)
        answer = self._prove(case, contracts, request, image)
        self._try_forgeries(contracts, answer, other)
        self._post(contracts, answer)
        self._settle(contracts, answer)
        self._try_replays(contracts, answer)
        if self._detailed:
            print_table(gas_table(self._meter.gas))
        return self._facts(contracts, request)

    def act(self, case: Case, image: NDArray[np.generic], digit: int, other: Attestation) -> int | None:
        """The same for a further model, told in two lines; returns the gas of verifying and recording its answer.

        None if the deployment has no verifier for its engine.
        """
        router, selector = self._planned.addresses["VerifierRouter"], case.engine.evm_selector
        if selector is None or route_of(self._owner, router, selector).state != "live":
            print_result(f"  the contracts of this version do not verify proofs of {case.engine_name}")
            return None
        self._detailed, self._refusals, self._meter.gas = False, {}, {}
        gas: int = self.tell(case, image, digit, other)["gas"][RECORDED]
        print_result(f"  [green]✓[/] on the chain: recorded for {gas:,} gas; the lock acts on the answer and opens")
        print_result(f"  [bold red]✗[/] on the chain: {len(self._refusals)} forgeries and replays refused")
        return gas

    def _register(self, case: Case, digit: int) -> Contracts:
        registry = Registry(self._owner, self._planned.addresses["ModelRegistry"])
        listing = registry.register(registration_of(case.circuit, fee=OWNER_FEE))
        self._meter.read("register the model")
        ledger = self._planned.addresses["InferenceLedger"]
        margin = int(0.25 / case.circuit.manifest.program.outputs[0].number(1, 0))  # far beyond the rounding error
        lock = DigitLock.create(self._owner, ledger, listing, digit, margin)
        self._meter.read("deploy the lock")
        self._done(f"the model is registered, and a lock that opens for a {digit} is deployed")
        return Contracts(Ledger(self._poster, ledger), lock, listing)

    def _request(self, case: Case, contracts: Contracts, image: NDArray[np.generic]) -> Request:
        commitment = commitment_to(case.circuit, {"image": image}, case.engine)
        paid = OWNER_FEE + PROVER_FEE
        request = contracts.lock.play(self._player, commitment, self._poster.address, paid)
        self._meter.read("request: the lock opens a request")
        self._done(f"a player submits the digest of the first picture to the lock and pays {_ether(paid)} into escrow")
        return request

    def _prove(self, case: Case, contracts: Contracts, request: Request, image: NDArray[np.generic]) -> Answer:
        context = context_of(request, self._poster.id, contracts.ledger.address)
        attestation = self._prover.prove(case.circuit, {"image": image}, context)
        self._done("the prover proves the answer, for this request only")
        return answer_of(attestation, request)

    def _try_forgeries(self, contracts: Contracts, answer: Answer, other: Attestation) -> None:
        self._require_refused(
            "a proof of the same picture for another request", contracts, answer_of(other, answer.request)
        )
        forged = replace(answer, outputs=(12_345, *answer.outputs[1:]))
        self._require_refused("another digit made the most likely", contracts, forged)

    def _post(self, contracts: Contracts, answer: Answer) -> None:
        contracts.ledger.record(*answer.posted, gas=_GAS)
        self._meter.read(RECORDED)
        credit = contracts.ledger.credit(self._poster.address)
        self._done(f"the ledger verifies the proof and records the answer; the prover's credit is {_ether(credit)}")

    def _settle(self, contracts: Contracts, answer: Answer) -> None:
        contracts.lock.settle(self._player, answer)
        self._meter.read("settle: the lock acts on the answer")
        if contracts.lock.winner(self._player) != self._player.address:
            raise RuntimeError("The lock stayed closed after the right answer. Please report this.")
        self._done("the lock acts on the answer and opens; the player has won")

    def _try_replays(self, contracts: Contracts, answer: Answer) -> None:
        self._require_refused("the same proof posted again", contracts, answer)
        self._require_refused("the same answer sent to the lock again", contracts, answer, to_lock=True)

    def _require_refused(self, title: str, contracts: Contracts, answer: Answer, *, to_lock: bool = False) -> None:
        """Simulate the transaction and require that it reverts."""
        call: tuple[ContractName, str, str]
        call = ("InferenceLedger", contracts.ledger.address, "record")
        if to_lock:
            call = ("DigitLock", contracts.lock.address, "settle")
        try:
            self._poster.read(*call, *abi_arguments(answer))
        except RevertedError as err:
            self._refusals[title] = err.cause
            if self._detailed:
                print_result(f"  [bold red]✗[/] {title}: {plain(err.cause)}")
        else:
            raise RuntimeError(f"A forgery was accepted: {title}. Please report this.")

    def _done(self, text: str) -> None:
        if self._detailed:
            print_result(f"  [green]✓[/] {text}")

    def _facts(self, contracts: Contracts, request: Request) -> dict[str, Any]:
        return {
            "testDeployment": self._test,
            "chainId": self._poster.id,
            "ledger": contracts.ledger.address,
            "listing": contracts.listing,
            "requestId": contracts.ledger.id_of(request),
            "player": self._player.address,
            "winner": contracts.lock.winner(self._player),
            "proverCredit": contracts.ledger.credit(self._poster.address),
            "gas": self._meter.gas,
            "refusals": self._refusals,
        }


def gas_table(gas: dict[str, int]) -> Table:
    """A table of the gas used by every step."""
    table = Table(box=None, padding=(0, 2, 0, 2))
    table.add_column("step", style="dim")
    table.add_column("gas", justify="right")
    for step, used in gas.items():
        table.add_row(step, f"{used:,}")
    return table


def _ether(wei: int) -> str:
    return f"{wei / _ETHER:g} ether"
