"""The dedicated verifier of the digits' circuit and its key, from the stored vectors."""

import json

from tests.vectors.make_chain import DIGITS, layout_of

from zkinfer.contracts import Registration
from zkinfer.contracts.ezkl.dedicated import DedicatedVerifier, dedicated_selector, deploy_dedicated
from zkinfer.contracts.ezkl.solc import Generated
from zkinfer.contracts.governance import Timelock, route_addition

_STORED = json.loads(DIGITS.read_text())
_MODEL, _CREATION = _STORED["model"], bytes.fromhex(_STORED["dedicated"][2:])
# The constructor only returns the code after its final INVALID.
GENERATED = Generated(_CREATION, _CREATION[_CREATION.index(b"\xf3\xfe") + 2 :])
SELECTOR = dedicated_selector(_MODEL["keyDigest"])
REGISTRATION = Registration(
    onnx_digest=_MODEL["onnxDigest"],
    key=bytes.fromhex(_MODEL["key"][2:]),
    layout=layout_of(_MODEL["layout"]),
    selector=SELECTOR,
)


def wanted_in(book):
    return DedicatedVerifier.of(GENERATED, _MODEL["keyDigest"], book.guardian, book.salt)


def created(chain, book):
    """Deploy the verifier without a route."""
    wanted = wanted_in(book)
    deploy_dedicated(chain, wanted, GENERATED.creation)
    return wanted


def routed(chain, book):
    """Deploy the verifier and its route, in a deployment without a delay."""
    wanted = created(chain, book)
    advance(chain, book, route_addition(book.addresses["VerifierRouter"], SELECTOR, wanted.addresses["EmergencyStop"]))
    return wanted


def advance(chain, book, operation):
    timelock = Timelock(chain, book.addresses["TimelockController"])
    timelock.schedule(operation)
    timelock.execute(operation)
