"""A studio on an embedded chain: the platform's painter, the writer's prompt, and a buyer."""

import json
from dataclasses import dataclass

from tests.paths import VECTORS
from tests.unit.contracts.work_scene import WorkScene, image, offer_of, scene

from zkinfer.contracts import ASHLAR_SELECTOR, Layout, Registration
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import create
from zkinfer.contracts.identifiers import VISIBILITIES
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.studio import Order, Right, Studio
from zkinfer.contracts.tills import Till
from zkinfer.contracts.work_parts import studio_of

PLATFORM, WRITER, BUYER = 0, 1, 2
FEE, PROVER_FEE = 1000, 500
PRICES = {"model": 10**15, "prompt": 10**14}
SHARES = {"model": 1500, "prompt": 500}
PAINTER = json.loads((VECTORS / "studio.json").read_text())


@dataclass
class StudioScene:
    """The scene of works, with the offers of the model and of the prompt."""

    scene: WorkScene
    studio: Studio
    listing: str
    model: int
    prompt: int
    offers: dict

    def as_(self, number):
        """The studio with another paying account."""
        return Studio(Chain(self.scene.chain._web3, self.scene.account(number)), self.studio.address)

    def order(self, **changes):
        offers = {name: Right(offer) for name, offer in self.offers.items()}
        fields = {"input_commitment": PAINTER["answers"][0]["request"]["inputCommitment"], "prover_fee": PROVER_FEE}
        return Order(**{**offers, **fields, "prover": self.scene.address(3)} | changes)


def painter_registration():
    """The listing of examples/studio/painter.onnx under Ashlar, from its vectors."""
    model = PAINTER["model"]
    form = model["layout"]
    layout = Layout(VISIBILITIES[form["visibility"]], *(form[name] for name in ("inputWidth", "inputs", "outputs")))
    return Registration(model["onnxDigest"], bytes.fromhex(model["key"][2:]), layout, ASHLAR_SELECTOR, fee=FEE)


def opened(found, registration):
    """A studio of a model that is registered in a scene of works."""
    listing = Registry(found.chain, found.book.addresses["ModelRegistry"]).register(registration)
    model = work_of(found, PLATFORM, image(1, kind="model", origin="unstated"))
    give_to_till(found, model, listing)
    prompt = work_of(found, WRITER, image(2, kind="prompt"))
    offers = {
        name: found.as_(owner)[1].offer(offer_of(work, price=PRICES[name], share_bps=SHARES[name]))
        for name, owner, work in (("model", PLATFORM, model), ("prompt", WRITER, prompt))
    }
    address = create(found.chain, studio_of(found.works.address, listing, model))
    return StudioScene(found, Studio(found.chain, address), listing, model, prompt, offers)


def studio_scene():
    return opened(scene(), painter_registration())


def work_of(found, number, what):
    works, _ = found.as_(number)
    works.register(what, found.address(number))
    return works.id_of(found.address(number), what.content)


def give_to_till(found, work, listing):
    """Let the till of the platform's work own its listing."""
    registry = Registry(found.chain, found.book.addresses["ModelRegistry"])
    found.works.open_till(work)
    till = found.works.till_of(work)
    registry.offer_ownership(listing, till)
    Till(found.chain, till).accept(registry.address, listing)
