from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.fakenode import unchanged

from zkinfer.chain import listings
from zkinfer.chain.errors import ListingError
from zkinfer.chain.listings import rebuilt_circuit, verify_listing
from zkinfer.contracts import AddressBook, Governance, Registration, load_canary
from zkinfer.contracts.client import EmergencyStop, Registry
from zkinfer.contracts.deploying import deploy
from zkinfer.contracts.embedded import embedded_chain
from zkinfer.contracts.hashing import keccak256

ONNX = "ab" * 32
CANARY = Registration(onnx_digest="0x" + ONNX, key=load_canary().key, visibility="public", inputs=1, outputs=1)


@pytest.fixture(scope="module")
def base():
    chain = embedded_chain()
    book = AddressBook(chain.id, Governance(chain.address, ("0x" + "b0" * 20,), delay=60))
    deploy(chain, book.plan)
    return chain, book, Registry(chain, book.addresses["ModelRegistry"]).register(CANARY)


@pytest.fixture
def chain(base):
    with unchanged(base[0]):
        yield base[0]


@pytest.fixture
def registry(base):
    return Registry(base[0], base[1].addresses["ModelRegistry"])


@pytest.fixture
def made(tmp_path):
    """What making the circuit of the canary again gives."""
    key = CANARY.key
    (tmp_path / "vka.bin").write_bytes((len(key) // 32).to_bytes(8, "little") + key)
    slots = [Fake(role="context", count=5), Fake(role="input", count=1), Fake(role="output", count=1)]
    return Fake(
        folder=tmp_path,
        identity=Fake(
            model=f"sha256:{ONNX}",
            verifying_key=f"keccak256:{keccak256(key).hex()}",
            model_id=CANARY.model_id,
        ),
        program=Fake(slots=slots, inputs=[Fake(visibility="public")], log_rows=11),
    )


@pytest.fixture
def check(monkeypatch, base, made):
    circuit = Fake(
        folder="canary.circuit",
        manifest=Fake(recipe=Fake(setup=Fake(tau_g2="sha256:" + load_canary().setup[2:], is_insecure_dev=False))),
    )
    monkeypatch.setattr(listings, "rebuilt_circuit", lambda *_, **__: made)

    def checked(listing=base[2]):
        passed = []
        verify_listing(base[0], base[1], listing, circuit, "model.onnx", "home", observer=passed.append)
        return [one.what for one in passed]

    checked.circuit = circuit
    return checked


def test_listing_of_the_rebuilt_circuit_passes_every_check(chain, check):
    assert len(check()) == 12


def test_key_that_was_made_up_is_refused(chain, registry, check):
    """A registry takes it: all that it reads of a key is its setup and how many public values there are."""
    crafted = CANARY.key[:-32] + bytes(31) + b"\7"
    listing = registry.register(replace(CANARY, key=crafted))
    with pytest.raises(ListingError, match=r"the model id is 0x\w+; it must be 0x\w+\. Do not rely on"):
        check(listing)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "sha256:" + "cd" * 32}, "SHA-256 of the ONNX file is 0xab"),
        ({"model_id": "0x" + "cd" * 32}, "the model id is 0x"),
        ({"verifying_key": "keccak256:" + "cd" * 32}, "digest of the verifying key is 0x"),
    ],
)
def test_listing_of_another_circuit_is_refused(chain, check, made, change, told):
    vars(made.identity).update(change)
    with pytest.raises(ListingError, match=told):
        check()


def test_other_words_of_the_key_are_refused(monkeypatch, chain, check):
    code = chain.code
    monkeypatch.setattr(chain, "code", lambda address: code(address)[:-1] + b"\7")
    with pytest.raises(ListingError, match="whether the stored key is the rebuilt one is False; it must be True"):
        check()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda made: setattr(made.program.inputs[0], "visibility", "hashed"), "visibility of the inputs is public"),
        (lambda made: setattr(made.program.slots[1], "count", 2), "public input values is 1; it must be 2"),
        (lambda made: setattr(made.program.slots[2], "count", 2), "public output values is 1; it must be 2"),
    ],
)
def test_other_layout_is_refused(chain, check, made, change, told):
    change(made)
    with pytest.raises(ListingError, match=told):
        check()


def test_other_setup_is_refused(chain, check):
    check.circuit.manifest.recipe.setup.tau_g2 = "sha256:" + "cd" * 32
    with pytest.raises(ListingError, match="the trusted setup is 0x"):
        check()


@pytest.mark.parametrize("status", ["deprecated", "revoked"])
def test_listing_that_is_not_active_is_refused(base, chain, registry, check, status):
    {"deprecated": registry.deprecate, "revoked": registry.revoke}[status](base[2])
    with pytest.raises(ListingError, match=f"the status is {status}; it must be active"):
        check()


def test_listing_that_is_not_there_is_refused(chain, check):
    with pytest.raises(ListingError, match="the status is unknown"):
        check("0x" + "00" * 32)


def test_listing_whose_verifier_was_stopped_is_refused(base, chain, check):
    EmergencyStop(chain, base[1].addresses["EmergencyStop"]).stop()
    with pytest.raises(ListingError, match="whether the verifier runs is False"):
        check()


def test_circuit_under_insecure_dev_is_refused_before_it_is_made_again(check):
    check.circuit.manifest.recipe.setup.is_insecure_dev = True
    check.circuit.manifest.identity = None
    with pytest.raises(ListingError, match=r"anybody can forge its proofs.*--unsafe-accept-dev-setup"):
        rebuilt_circuit(check.circuit, "model.onnx", "home")
