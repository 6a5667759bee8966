"""Make the parts of a daemon from its configuration: feeds with their circuits, chains, keys, and the store."""

from __future__ import annotations

import ssl
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import why
from zkinfer.circuits.manifest import Circuit
from zkinfer.contracts.errors import SignerError
from zkinfer.contracts.feed_formats import Level
from zkinfer.contracts.signers import load_keystore
from zkinfer.oracle.alerts import Alerts
from zkinfer.oracle.chains import patience
from zkinfer.oracle.errors import FeedsFileError
from zkinfer.oracle.feed import Delivered, Feed
from zkinfer.oracle.hub_chain import HubChain, open_chain
from zkinfer.oracle.models import CircuitModel
from zkinfer.oracle.peers import Peers
from zkinfer.oracle.settled import SettledSource
from zkinfer.oracle.specs import FeedFile, read_feed
from zkinfer.oracle.status import WatchedFeed
from zkinfer.oracle.store import Store
from zkinfer.prover.prover import Prover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eth_account.signers.local import LocalAccount

    from zkinfer.circuits.home import Home
    from zkinfer.contracts.feed_formats import FeedSpec
    from zkinfer.oracle.configuration import FeedPart, FeedsFile
    from zkinfer.oracle.models import Source


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loops and the server of a daemon work with.

    Args:
        file: the configuration.
        feeds: that it makes.
        documents: the recipes, by digest, which are published beside the source files.
        chains: by name.
        store: what it remembers.
        peers: the other operators; None without any.
        alerts: to the operator.
    """

    file: FeedsFile
    feeds: tuple[Feed, ...]
    documents: dict[str, bytes]
    chains: dict[str, HubChain]
    store: Store
    peers: Peers | None
    alerts: Alerts


@contextmanager
def open_parts(file: FeedsFile, home: Home) -> Iterator[Parts]:
    """The parts, which are closed at the end of the block.

    Raises:
        FeedsFileError: the configuration does not fit the feeds, the circuits or the keys.
        InputError: a file cannot be read, or others can read a secret.
        CircuitError: a circuit's folder is damaged.
        StoreError: the database cannot be used.
        PeerError: the URL of a peer is not acceptable.
    """
    with ExitStack() as stack:
        key = _key(file)
        chains = {name: open_chain(name, part, file) for name, part in file.chain.items()}
        files = {name: read_feed(file.path(part.spec)) for name, part in file.feed.items()}
        prover = Prover(home=home)
        feeds = tuple(_feed(name, found, file, key=key, prover=prover, chains=chains) for name, found in files.items())
        _require_distinct(feeds)
        peers = _peers(file)
        if peers is not None:
            stack.callback(peers.close)
        store = stack.enter_context(Store.open(file.store_url))
        stack.callback(store.leases.release)
        documents = {one.recipe.digest: one.recipe.to_bytes() for one in files.values()}
        yield Parts(file, feeds, documents, chains, store, peers, _alerts(file))


def watched_feeds(file: FeedsFile) -> list[WatchedFeed]:
    """The feeds of a configuration, without their circuits; raises as `read_feed`."""
    found = []
    for name, part in file.feed.items():
        feed = read_feed(file.path(part.spec))
        spec, level = feed.spec, part.level.levels[-1]
        found.append(WatchedFeed(name, feed.id, spec.tick, spec.heartbeat, level, _chains(part, file)))
    return found


def _key(file: FeedsFile) -> LocalAccount | None:
    if file.signing is None:
        return None
    passphrase = file.secret(file.signing.passphrase_file).encode()
    try:
        return load_keystore(file.path(file.signing.keystore), passphrase)
    except SignerError as err:
        raise FeedsFileError(f"signing.keystore: {err.cause}", err.cure) from err


def _feed(
    name: str,
    found: FeedFile,
    file: FeedsFile,
    *,
    key: LocalAccount | None,
    prover: Prover,
    chains: dict[str, HubChain],
) -> Feed:
    part = file.feed[name]
    signer, delivered = _signer(name, found, key), part.level
    if not found.spec.signed:
        if delivered == Delivered.ATTESTED:
            raise FeedsFileError(f"feed.{name} has its inputs from a contract, and needs proofs.", "Change its level.")
        delivered = Delivered.PROVEN  # the hub takes no round of such a feed without its proof
    part.source.require_recipe(found.recipe)
    if (part.source.aggregator is None) != found.spec.signed:
        raise FeedsFileError(f"feed.{name} has another kind of source than its feed file says.", "Check source.")
    source = _source(name, part, file, chains, found.spec)
    return Feed(
        name=name,
        spec=found.spec,
        config=found.config,
        model=CircuitModel(found, Circuit.open(file.path(part.circuit)), source, prover),
        signer=signer,
        address="" if key is None or not found.spec.signed else key.address.lower(),
        delivered=delivered,
        deviation=part.deviation,
        chains=_chains(part, file),
    )


def _source(name: str, part: FeedPart, file: FeedsFile, chains: dict[str, HubChain], spec: FeedSpec) -> Source:
    if part.source.aggregator is None:
        return part.source.open_document(file.folder)
    names = _chains(part, file)
    if len(names) != 1:
        raise FeedsFileError(
            f"feed.{name} reads another feed, which differs between chains.", "Name its one chain in chains."
        )
    seconds = patience(spec.tick)
    return SettledSource.of(part.source.aggregator, chains[names[0]], max_age=spec.max_age, seconds=seconds)


def _signer(name: str, found: FeedFile, key: LocalAccount | None) -> LocalAccount | None:
    """This operator's key for a feed; None for a feed whose inputs a contract gives."""
    if not found.spec.signed:
        return None
    if found.config is None:
        raise FeedsFileError(f"feed.{name} has no signers.", "Choose them: zkinfer oracle create --signers")
    if key is None:
        raise FeedsFileError(f"feed.{name} needs a key to sign with.", "Give the part [signing].")
    if key.address.lower() not in found.config.signers:
        raise FeedsFileError(
            f"{key.address} is not a signer of feed.{name}.", f"Its signers are {', '.join(found.config.signers)}."
        )
    return key


def _chains(part: FeedPart, file: FeedsFile) -> tuple[str, ...]:
    return tuple(file.chain) if part.chains is None else part.chains


def _require_distinct(feeds: tuple[Feed, ...]) -> None:
    if len({feed.id for feed in feeds}) != len(feeds):
        raise FeedsFileError("Two parts of the file are the same feed.", "Give each feed once.")


def _peers(file: FeedsFile) -> Peers | None:
    if file.signing is None or not file.signing.peers:
        return None
    if file.signing.peer_ca is None:
        return Peers(file.signing.peers)
    path = file.path(file.signing.peer_ca)
    try:
        return Peers(file.signing.peers, verify=ssl.create_default_context(cafile=path))
    except ssl.SSLError as err:
        raise FeedsFileError(f"{path} holds no CA certificate.", "It must be PEM.") from err
    except OSError as err:
        raise FeedsFileError(f"{path} cannot be read: {why(err)}.", "Check signing.peer-ca.") from err


def _alerts(file: FeedsFile) -> Alerts:
    return Alerts(None if file.alerts is None else file.secret(file.alerts.url_file))


def proven_feeds(feeds: tuple[Feed, ...]) -> list[Feed]:
    """Those of which chains get proven rounds."""
    return [feed for feed in feeds if Level.PROVEN in feed.delivered.levels]
