"""Deploy the contracts to a chain, at deterministic addresses.

Each is created with CREATE2 through a factory, which most chains have at the same address: its address is a hash of its
code and arguments. So deploying is idempotent, and an address determines the code that can be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zkinfer.contracts.abi import creation_code
from zkinfer.contracts.artifacts import key_store_code, load, load_canary
from zkinfer.contracts.errors import DeploymentError, RevertedError
from zkinfer.contracts.identifiers import ZERO_ADDRESS, keccak256, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain

    OnPart = Callable[[str, str, bool], None]

EZKL_SELECTOR: Final = keccak256(b"ezkl-23.0.5-halo2-kzg-bn254-v1")[:4]
ASHLAR_SELECTOR: Final = keccak256(b"ashlar-1-kzg-bn254")[:4]
STOPS: Final = {EZKL_SELECTOR: "EzklStop", ASHLAR_SELECTOR: "AshlarStop"}
"""The emergency stop around the verifier of each engine, by selector: every deployment has and routes all of them."""
FACTORY: Final = "0x4e59b44847b379578588920ca78fbf26c0b4956c"
"""Arachnid's deterministic deployment proxy: calldata is a salt and creation code."""
_FACTORY_CODE_HASH: Final = "2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"
# The signature is made up and its key unknown: the same transaction creates the factory on every chain.
_FACTORY_DEPLOYER: Final = "0x3fab184622dc19b6109349b94811493bf2a45362"
_FACTORY_DEPLOYER_BALANCE: Final = 10**16
_FACTORY_TRANSACTION: Final = (
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe"
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b"
    "8082525050506014600cf31ba0" + "22" * 32 + "a0" + "22" * 32
)
# A transaction (21,000) that creates (32,000), and the storage of constructors; then per byte of code.
_CREATION_GAS, _GAS_OF_CODE, _PREPARE_GAS = 250_000, 200, 500_000
REGISTERED_KEYS: Final = 0  # the slot of the generated verifier's map of keys
CANARY_KEY: Final = "CanaryKey"
RECOVERY: Final = (
    "Compile the model for an engine with a live verifier and register that, or deploy a sound version of zkinfer."
)


@dataclass(frozen=True, slots=True)
class Governance:
    """Who may do what, on one deployment.

    Args:
        guardian: may stop each verifier for ever.
        proposers: may schedule and cancel changes of the router at the timelock, and execute them when due.
        delay: seconds that such a change waits.
        test: whether models under `insecure-dev`, whose proofs anyone can forge, may be registered.
    """

    guardian: str
    proposers: tuple[str, ...]
    delay: int = 2 * 24 * 3600
    test: bool = False


def create2_address(salt: bytes, creation_hash: bytes) -> str:
    """The address at which the factory creates the contract whose creation code, with arguments, has this hash."""
    return "0x" + keccak256(b"\xff" + bytes.fromhex(FACTORY[2:]) + salt + creation_hash)[12:].hex()


@dataclass(frozen=True, slots=True)
class Part:
    """One contract of a deployment: its code with arguments, and the address that follows.

    `contract` names the artifact; None for the canary's key, which is stored as code.
    """

    name: str
    creation: bytes
    salt: bytes
    contract: ContractName | None = None

    @property
    def address(self) -> str:
        """The address that CREATE2 gives it."""
        return create2_address(self.salt, keccak256(self.creation))

    @property
    def gas(self) -> int:
        """An upper estimate of the gas for creating it, from its size and some storage."""
        zeros = self.creation.count(0)
        calldata = 4 * zeros + 16 * (len(self.creation) - zeros)
        return _CREATION_GAS + calldata + _GAS_OF_CODE * len(self.creation)


@dataclass(frozen=True, slots=True)
class Plan:
    """All contracts of a deployment, in the order in which they are created."""

    governance: Governance
    parts: tuple[Part, ...]

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by name."""
        return {part.name: part.address for part in self.parts}


def plan(governance: Governance, salt: bytes = bytes(32)) -> Plan:
    """The contracts of a deployment under this governance; the same on every chain."""
    parts: dict[str, Part] = {}

    def add(contract: ContractName, *arguments: object, name: str = "") -> str:
        part = Part(name or contract, creation_code(contract, arguments), salt, contract)
        parts[part.name] = part
        return part.address

    canary = load_canary()
    parts[CANARY_KEY] = Part(CANARY_KEY, key_store_code(canary.key), salt)
    digest = bytes.fromhex(canary.key_digest[2:])
    ezkl = add("ReusableHalo2Adapter", add("Halo2VerifierReusable"), parts[CANARY_KEY].address, digest)
    verifiers = {EZKL_SELECTOR: ezkl, ASHLAR_SELECTOR: add("AshlarVerifier")}
    stops = [add("EmergencyStop", verifiers[one], governance.guardian, name=stop) for one, stop in STOPS.items()]
    proposers = list(governance.proposers)
    timelock = add("TimelockController", governance.delay, proposers, proposers, ZERO_ADDRESS)
    router = add("VerifierRouter", timelock, stops)
    registry = add("ModelRegistry", router, governance.test)
    add("InferenceLedger", registry, router)
    add("ERC7992Adapter", registry, router)
    add("FeedHub", registry, router)
    return Plan(governance, tuple(parts.values()))


def deploy(chain: Chain, wanted: Plan, on_part: OnPart = lambda *_: None) -> list[str]:
    """Create the missing contracts, and return their names.

    `on_part` is called for each part with its name, its address, and whether it is created now.

    A rehearsal quotes missing contracts from the size of their code: the node cannot estimate a constructor that calls
    contracts which do not exist yet.

    The governance of existing contracts is not checked; see `verify_deployment`.

    Raises:
        DeploymentError: the factory is another contract, a created contract has other code, or contracts are missing
            and an existing verifier was stopped: then nothing is created.
        ChainError: the chain refused; deploying again continues after the contracts created so far.
    """
    _require_not_stopped(chain, wanted)
    _ensure_factory(chain)
    made = create_missing(chain, wanted.parts, on_part)
    _prepare_canary(chain, wanted.addresses)
    if made and chain.sends:
        verify_running(chain, wanted)
    elif chain.sends:
        verify_code(chain, wanted)
    return made


def verify_running(chain: Chain, wanted: Plan) -> None:
    """Return if every part is on the chain as planned, and every verifier can accept proofs; raise if not.

    An address is a hash of code and arguments, so the address also proves the constructor's arguments. The current
    governance is checked by `verify_deployment`: it may change by rule, without effect on answers.

    Raises DeploymentError, which names the part, or CodeMismatchError.
    """
    verify_code(chain, wanted)
    require_running(chain, wanted)


def require_running(chain: Chain, wanted: Plan, selectors: Iterable[bytes] = STOPS) -> None:
    """Return if these verifiers of a deployment are routed, live and ready; raise DeploymentError if one is not.

    The caller has compared the code.
    """
    require_home(chain, wanted)
    for selector in selectors:
        for what, planned, found, cure in _expected(chain, wanted.addresses, selector):
            if found != planned:
                raise DeploymentError(f"On chain {chain.id} {what} is {found!r} instead of {planned!r}.", cure)


def _expected(chain: Chain, at: dict[str, str], selector: bytes) -> Iterator[tuple[str, object, object, str]]:
    """What is read, the planned and the found value, and a cure."""
    name, stop = f"0x{selector.hex()}", at[STOPS[selector]]
    yield f"the route of {name}", stop, _route(chain, at["VerifierRouter"], selector), ""
    yield f"whether the verifier {name} is live", True, chain.read("EmergencyStop", stop, "live"), RECOVERY
    if selector == EZKL_SELECTOR:
        registered = _registered(chain, at["Halo2VerifierReusable"], load_canary().key_digest)
        yield "the canary's key", 1, registered, "Deploy again."


def require_home(chain: Chain, wanted: Plan) -> None:
    """Return if the ledger was deployed on this chain, not on one that it split from; raise DeploymentError if not."""
    home = chain.read("InferenceLedger", wanted.addresses["InferenceLedger"], "HOME_CHAIN")
    if home != chain.id:
        raise DeploymentError(f"On chain {chain.id} the ledger's chain is {home!r} instead of {chain.id!r}.")


def verify_code(chain: Chain, wanted: Plan) -> None:
    """Return if the code of every part is on the chain as planned; raise as `verify_running`."""
    for part in wanted.parts:
        _require_part(chain, part)


def _require_not_stopped(chain: Chain, wanted: Plan) -> None:
    """A stop's address depends on verifier, guardian and salt only, so another deployment may share it.

    A complete deployment goes on with its other verifiers.
    """
    at = wanted.addresses
    stopped = [
        stop
        for stop in (at[name] for name in STOPS.values())
        if chain.code(stop) and not chain.read("EmergencyStop", stop, "live")
    ]
    if stopped and not all(chain.code(address) for address in at.values()):
        raise DeploymentError(
            f"The verifier at {stopped[0]} on chain {chain.id} was stopped, for ever; nothing new is deployed with it.",
            "Deploy a version of zkinfer that fixes the fault; another --salt creates the same faulty code.",
        )


def _route(chain: Chain, router: str, selector: bytes) -> str:
    try:
        return str(chain.read("VerifierRouter", router, "verifierOf", selector))
    except RevertedError as err:  # the constructor added the route
        raise DeploymentError(
            f"On chain {chain.id} the route of 0x{selector.hex()} was removed, for ever.", RECOVERY
        ) from err


def require_code_at(chain: Chain, name: str, address: str) -> bytes:
    """The code at an address; raises DeploymentError if there is none."""
    code = chain.code(address)
    if not code:
        raise DeploymentError(f"There is no {name} at {address} on chain {chain.id}.", "Deploy first.")
    return code


def _require_part(chain: Chain, part: Part) -> None:
    code = require_code_at(chain, part.name, part.address)
    if part.contract is not None:
        load(part.contract).require_code(code)
    elif code != b"\0" + load_canary().key:
        raise DeploymentError(f"The code at {part.address} is not the canary's key.")


def create_missing(chain: Chain, parts: Iterable[Part], on_part: OnPart) -> list[str]:
    """Create the missing parts in order, and return their names; see `deploy`."""
    made = []
    for part in parts:
        missing = not chain.code(part.address)
        on_part(part.name, part.address, missing)
        if missing:
            _create(chain, part)
            made.append(part.name)
    return made


def create(chain: Chain, part: Part) -> str:
    """Create a contract unless it exists; returns its address.

    Raises ChainError if its constructor refuses, for example because a contract that it names does not exist, or if the
    chain has no deployment of zkinfer.
    """
    create_missing(chain, [part], lambda *_: None)
    return part.address


def _create(chain: Chain, part: Part) -> None:
    gas = None if chain.sends else part.gas
    chain.ensure(
        lambda: bool(chain.code(part.address)), lambda: chain.send(FACTORY, part.salt + part.creation, gas=gas)
    )


def _prepare_canary(chain: Chain, at: dict[str, str]) -> None:
    gas = None if chain.sends else _PREPARE_GAS
    digest = load_canary().key_digest
    chain.ensure(
        lambda: bool(_registered(chain, at["Halo2VerifierReusable"], digest)),
        lambda: chain.write("ReusableHalo2Adapter", at["ReusableHalo2Adapter"], "prepare", at[CANARY_KEY], gas=gas),
    )


def _registered(chain: Chain, verifier: str, digest: str) -> int:
    return chain.storage(verifier, int.from_bytes(keccak256(words([digest, REGISTERED_KEYS])), "big"))


def _ensure_factory(chain: Chain) -> None:
    if not chain.code(FACTORY):
        chain.ensure(
            lambda: chain.balance(_FACTORY_DEPLOYER) >= _FACTORY_DEPLOYER_BALANCE,
            lambda: chain.send(_FACTORY_DEPLOYER, value=_FACTORY_DEPLOYER_BALANCE),
        )
        if not chain.sends:
            return
        chain.publish(bytes.fromhex(_FACTORY_TRANSACTION))
    if keccak256(chain.code(FACTORY)).hex() != _FACTORY_CODE_HASH:
        raise DeploymentError(
            f"There is no deployment factory at {FACTORY} on chain {chain.id}.",
            "On chains that accept only transactions with a chain id, their operator must deploy it.",
        )
