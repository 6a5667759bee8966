"""Contracts around a hub that anybody may create: readers of one feed, and doors for consumers of other oracles.

Each is created at an address that is a hash of its code and arguments, so creating it again does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from zkinfer.contracts.abi import creation_code, hex_to_bytes
from zkinfer.contracts.deploy import Part, create

if TYPE_CHECKING:
    from zkinfer.contracts.artifacts import ContractName
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.feed_formats import Level

Form = Literal["level", "return"]
FORMS: Final[tuple[Form, ...]] = ("level", "return")
"""In the order of the enum in AggregatorSource.sol."""


def face_of(hub: str, feed: str, level: Level) -> Part:
    """What shows one feed of a hub at one level as an AggregatorV3Interface."""
    return _part("FeedFace", hub, hex_to_bytes(feed), int(level))


def proxy_of(face: str, owner: str, delay: int) -> Part:
    """A stable address for faces: the owner proposes another one, and confirms it after `delay` seconds."""
    return _part("FeedProxy", face, owner, delay)


def source_of(
    aggregator: str, recipe: str, *, tick: int, max_age: int, count: int, scale: int, width: int, form: Form = "level"
) -> Part:
    """What computes a model's inputs from the answers of another aggregator.

    Args:
        aggregator: the aggregator, or a proxy of it; it must exist.
        recipe: digest of the recipe that describes the series.
        tick: seconds of a round, as in the feed.
        max_age: the most seconds from the aggregator's last answer to a round's time: its heartbeat and some slack.
        count: how many numbers the inputs have.
        scale: fractional bits of the model's inputs.
        width: bytes of each.
        form: whether a number is an answer, or the change from one answer to the next.
    """
    numbers = (tick, max_age, count, scale, width, FORMS.index(form))
    return _part("AggregatorSource", aggregator, hex_to_bytes(recipe), *numbers)


def apro_door_of(hub: str) -> Part:
    """The hub for consumers that were written for APRO."""
    return _part("AproDoor", hub)


def cre_door_of(hub: str, forwarder: str, workflow_owner: str) -> Part:
    """The hub for workflows of the Chainlink Runtime Environment, delivered by a chain's forwarder."""
    return _part("CreDoor", hub, forwarder, workflow_owner)


def deploy_face(chain: Chain, hub: str, feed: str, level: Level) -> str:
    """Create the face of a feed unless it exists; returns its address. Raises as `deploy.create`."""
    return create(chain, face_of(hub, feed, level))


def _part(contract: ContractName, *arguments: object) -> Part:
    return Part(contract, creation_code(contract, arguments), bytes(32), contract)
