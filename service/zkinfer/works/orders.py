"""Orders of a studio: which studio it is, what an order consists of, and what became of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.studio import Order, Right, Studio
from zkinfer.contracts.work_parts import require_studio_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zkinfer.chain import PlacedRequest
    from zkinfer.chain.deployment import Deployed
    from zkinfer.circuits.manifest import Circuit
    from zkinfer.contracts.ledger import Ended
    from zkinfer.contracts.studio_events import Commission

State = Literal["open", "delivered"]


def open_studio(deployed: Deployed, address: str) -> Studio:
    """The studio at an address, after a comparison of its code and of its works' code.

    Raises:
        InputError: its answers are recorded on another ledger than this deployment's.
        DeploymentError: there is no contract.
        CodeMismatchError: it is another contract.
    """
    require_studio_at(deployed.chain, address)
    studio = Studio(deployed.chain, address)
    if studio.ledger != deployed.ledger.address:
        raise InputError(
            f"The studio's ledger is {studio.ledger}; this deployment's is {deployed.ledger.address}.",
            "Give the address book of that deployment with --deployment.",
        )
    return studio


def order_of(
    deployed: Deployed,
    studio: Studio,
    circuit: Circuit,
    inputs: Mapping[str, NDArray[np.generic]],
    rights: Sequence[tuple[int, Right]],
    *,
    prover: str,
    prover_fee: int,
) -> Order:
    """An order of the picture that a circuit paints from these inputs.

    Args:
        deployed: where the studio's model is registered.
        studio: where it is ordered.
        circuit: the studio's model.
        inputs: arrays by name.
        rights: one to derive from the model and one from a prompt, in any order, as `rights_of` gives them.
        prover: is paid for the proof.
        prover_fee: in wei.

    Raises:
        InputError: the circuit is not the studio's model, a right is missing, or an input is outside its range.
        DataError: an input is missing or malformed.
        DeploymentError: proofs of the model are not accepted now.
    """
    from zkinfer.chain.requests import commitment_to  # noqa: PLC0415 - reading orders needs no model

    painted_by = deployed.registry.model_id(studio.listing)
    if painted_by != circuit.model_id:
        raise InputError(
            f"The studio's model is {painted_by}, and {circuit.folder} is of {circuit.model_id}.",
            "Give the circuit that the studio's model was registered with.",
        )
    deployed.require_live_listings([studio.listing])
    model, prompt = _sorted(rights, studio.model)
    return Order(model, prompt, commitment_to(circuit, inputs), prover, prover_fee)


def rights_of(studio: Studio, offers: Sequence[str], licences: Sequence[int]) -> list[tuple[int, Right]]:
    """Offers and licences as rights, each with its work; the work is 0 if the market does not know it."""
    market = studio.market
    return [
        *((market.offer_of(one).work, Right(offer=one)) for one in offers),
        *((market.licence(one).work, Right(licence=one)) for one in licences),
    ]


def _sorted(rights: Sequence[tuple[int, Right]], model: int) -> tuple[Right, Right]:
    models = [right for work, right in rights if work == model]
    prompts = [right for work, right in rights if work not in (0, model)]
    unknown = len(rights) - len(models) - len(prompts)
    if (len(models), len(prompts), unknown) != (1, 1, 0):
        raise InputError(
            f"An order takes one offer or licence of the model 0x{model:064x}, and one of a prompt; there are "
            f"{len(models)} of the model, {len(prompts)} of other works, and {unknown} that the market does not know.",
            "Give each with --offer ID or --licence N.",
        )
    return models[0], prompts[0]


def placed(deployed: Deployed, made: Commission) -> PlacedRequest:
    """The request of an order, for the prover's file."""
    from zkinfer.chain import PlacedRequest  # noqa: PLC0415 - as above

    return PlacedRequest(made.request, deployed.chain.id, deployed.ledger.address)


def state_of(deployed: Deployed, made: Commission) -> State | Ended:
    """What became of an order; `recorded` if its proof was posted without the picture, which can still be delivered."""
    if made.work is not None:
        return "delivered"
    return deployed.ledger.ended(made.request) or "open"


def why_unregistered(studio: Studio, work: int, record: str) -> str:
    """Why a delivery did not make a work; empty if it did.

    Args:
        studio: that delivered.
        work: the picture.
        record: the id of the request that was answered.
    """
    if not studio.works.exists(work):
        return "the creator no longer lets the studio register, so the proof is recorded alone"
    if studio.works.work(work).record != record:
        return "the creator had this picture already, so the proof is recorded and nothing was registered"
    return ""


def facts_of(deployed: Deployed, made: Commission) -> dict[str, Any]:
    """An order in JSON."""
    return {
        "request": made.id,
        "state": state_of(deployed, made),
        "creator": made.creator,
        "prompt": f"0x{made.prompt:064x}",
        "inputCommitment": made.request.input_commitment,
        "prover": made.request.prover,
        "proverFee": str(made.request.prover_fee),
        "expiry": made.request.expiry,
        "work": None if made.work is None else f"0x{made.work:064x}",
    }
