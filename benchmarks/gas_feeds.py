"""The gas of the hub of feeds: rows of docs/reference/gas.md.

The model is the small perceptron of the tests' vectors, under the insecure setup: what a feed costs beside the proof
does not depend on the model, but for its inputs, which are posted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
from benchmarks.gas_ashlar import GAS, used  # noqa: E402
from tests.vectors.make_feed_proofs import Maker, feed, reference, registration  # noqa: E402
from tests.vectors.make_feeds import config  # noqa: E402

from zkinfer.contracts.deploy import Governance, create_missing, deploy, plan  # noqa: E402
from zkinfer.contracts.feed_formats import Level, feed_id, proof_context  # noqa: E402
from zkinfer.contracts.feed_parts import face_of  # noqa: E402
from zkinfer.contracts.feeds import FeedHub  # noqa: E402
from zkinfer.contracts.registry import Registry  # noqa: E402

if TYPE_CHECKING:
    from zkinfer.contracts.chain import Chain
    from zkinfer.contracts.feed_formats import FeedPayload, FeedSpec

TICKS: Final = 4
INTRO = """
## Feeds

The hub of feeds, with {inputs} bytes of inputs and three of five signatures. A proven round costs {beside:,} gas more
than its proof alone, which is a call of `AshlarVerifier` itself. The gas of a contract's first read in its transaction
is in `contracts/snapshots/feeds.json`; for a proven answer the hub asks registry and router whether it still holds.

"""


def part(chain: Chain) -> str:
    """The table."""
    at = plan(Governance(chain.address, (chain.address,), delay=0, test=True))
    deploy(chain, at)
    Registry(chain, at.addresses["ModelRegistry"]).register(registration())
    spec = feed(owner=chain.address, publisher=chain.address)
    rows, payload = hub_rows(chain, at.addresses["FeedHub"], spec)
    rows["the proof alone"] = proof_alone(chain, at.addresses, spec, payload)
    return table(rows, len(payload.inputs))


def hub_rows(chain: Chain, hub: str, spec: FeedSpec) -> tuple[dict[str, int], FeedPayload]:
    """The gas of each transaction, and the last proven payload."""
    client, maker, signers = FeedHub(chain, hub), Maker(spec, reference()), config(5, 3)
    rows = {"a set of five signers": sent(chain, hub, "configure", list(signers.signers), signers.threshold)}
    rows["a feed"] = sent(chain, hub, "create", spec.fields, bytes.fromhex(signers.digest[2:]))
    create_missing(chain, [face_of(hub, feed_id(spec), Level.PROVEN)], lambda *_: None)
    rows["a face of it"] = chain.sent[-1].gas
    start = chain.time() - TICKS * spec.tick
    payloads = [maker.payload(start + place * spec.tick, proven=place > 1) for place in range(TICKS)]
    client.verify(payloads[0], gas=GAS)
    rows["an attested round"] = used(client.verify(payloads[1], gas=GAS))
    rows["its proof, later"] = used(client.verify(maker.payload(start + spec.tick, proven=True), gas=GAS))
    client.verify(payloads[2], gas=GAS)
    rows["a proven round"] = used(client.verify(payloads[3], gas=GAS))
    rows["the same again"] = sent(chain, hub, "verify", payloads[3].encode(), b"")
    return rows, payloads[3]


def proof_alone(chain: Chain, at: dict[str, str], spec: FeedSpec, payload: FeedPayload) -> int:
    """The gas of a transaction that calls the verifier with the proof of a payload."""
    program = chain.read("ModelRegistry", at["ModelRegistry"], "programOf", bytes.fromhex(spec.listing[2:]))
    context = bytes.fromhex(proof_context(payload.request_id)[2:])
    statement = (context, payload.inputs, list(payload.outputs), payload.proof)
    arguments = (program[6], program[4], program[3], *statement)
    return used(chain.write("AshlarVerifier", at["AshlarVerifier"], "verify", *arguments, gas=GAS))


def sent(chain: Chain, hub: str, name: str, *arguments: Any) -> int:  # noqa: ANN401 - any ABI value
    """The gas of a transaction to the hub."""
    return used(chain.write("FeedHub", hub, name, *arguments, gas=GAS))


def table(rows: dict[str, int], inputs: int) -> str:
    """Gas by transaction."""
    beside = rows["a proven round"] - rows["the proof alone"]
    lines = [f"| {title} | {gas:,} |" for title, gas in rows.items()]
    return INTRO.format(inputs=inputs, beside=beside) + "\n".join(
        ["| transaction | gas |", "| --- | ---: |", *lines, ""]
    )
