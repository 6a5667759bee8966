"""A chain whose ledger has an answer of the digits on record: anvil if npm installed it, else an embedded EVM."""

import shutil
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from benchmarks.gas import KEY, anvil_node
from eth_account import Account
from tests.paths import ANVIL

from zkinfer.chain import answer_of, context_of, registration_of, request_for
from zkinfer.contracts.chain import Chain
from zkinfer.contracts.deploy import Governance, deploy, plan
from zkinfer.contracts.devchain import DevServer
from zkinfer.contracts.ledger import Ledger
from zkinfer.contracts.registry import Registry
from zkinfer.contracts.rpc import connect
from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.prover import Prover

CONSUMER = "0x" + "cc" * 20
GAS = 8_000_000  # an estimate would run the pairing a dozen times


@contextmanager
def node():
    """A chain with an account that pays."""
    if ANVIL.exists() and shutil.which("node"):
        with anvil_node() as web3:
            yield Chain(web3, Account.from_key(KEY))
        return
    with DevServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        web3 = connect(server.url)
        yield Chain(web3, unsafe_dev_account(0, Chain(web3).id))
        server.shutdown()


@contextmanager
def recorded(proven):
    """The node's URL, the ledger, the requests with and without an answer, and the attestation of the first."""
    with node() as chain:
        parts = plan(Governance(chain.address, (chain.address,), delay=60, test=True))
        deploy(chain, parts)
        ledger = Ledger(chain, parts.addresses["InferenceLedger"])
        registry = Registry(chain, parts.addresses["ModelRegistry"])
        listing = registry.register(registration_of(proven.circuit))

        def asked(seconds):
            request = request_for(
                proven.circuit,
                {"image": proven.image},
                listing=listing,
                consumer=CONSUMER,
                requester=chain.address,
                expiry=chain.time() + seconds,
            )
            return request, ledger.request(request)

        request, request_id = asked(10_000)
        context = context_of(request, chain.id, ledger.address)
        attestation = Prover(home=proven.home).prove(proven.circuit, {"image": proven.image}, context)
        ledger.record(*answer_of(attestation, request).posted, gas=GAS)
        path = proven.folder / "recorded.json"
        path.write_bytes(attestation.to_bytes())
        yield SimpleNamespace(
            url=chain._web3.provider.endpoint_uri,
            ledger=ledger.address,
            answered=request_id,
            open=asked(20_000)[1],
            attestation=path,
            model_id=proven.circuit.model_id,
            block=chain._web3.eth.block_number,
        )
