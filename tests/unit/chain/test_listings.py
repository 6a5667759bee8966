from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.deployed import PERCEPTRON_UNDER_ASHLAR, deployed_chain

from zkinfer.chain import listings
from zkinfer.chain.errors import ListingError
from zkinfer.chain.listings import rebuild_circuit, verify_listing
from zkinfer.circuits.digest import sha256
from zkinfer.circuits.home import Home
from zkinfer.contracts import EZKL_SELECTOR, Layout, Registration, load_canary
from zkinfer.contracts.registry import EmergencyStop, Registry

ONNX = "ab" * 32
CANARY = Registration(
    onnx_digest="0x" + ONNX, key=load_canary().key, layout=Layout("public", 4, 1, 1), selector=EZKL_SELECTOR
)


@pytest.fixture(scope="module")
def module_deployment():
    chain, book = deployed_chain(delay=0)
    return chain, book, Registry(chain, book.addresses["ModelRegistry"]).register(CANARY)


@pytest.fixture
def registry(chain, book):
    return Registry(chain, book.addresses["ModelRegistry"])


def rebuilt_from(registration, folder):
    """The result of rebuilding a registered circuit."""
    key = registration.key
    (folder / "vka.bin").write_bytes((len(key) // 32).to_bytes(8, "little") + key)
    (folder / "key.bin").write_bytes(key)
    return Fake(
        folder=folder,
        identity=Fake(
            model=f"sha256:{registration.onnx_digest[2:]}",
            verifying_key=f"keccak256:{registration.key_digest[2:]}",
            model_id=registration.model_id,
        ),
        program=Fake(layout=registration.layout, setup_size=11),
    )


@pytest.fixture
def rebuilt(tmp_path):
    return rebuilt_from(CANARY, tmp_path)


@pytest.fixture
def check(monkeypatch, module_deployment, chain, book, rebuilt):
    circuit = Fake(
        folder="canary.circuit",
        manifest=Fake(
            recipe=Fake(engine="ezkl", setup=Fake(tau_g2="sha256:" + load_canary().setup[2:], is_insecure_dev=False))
        ),
    )
    monkeypatch.setattr(listings, "rebuild_circuit", lambda *_, **__: rebuilt)

    def checked(listing=module_deployment[2]):
        passed = []
        verify_listing(chain, book, listing, circuit, "model.onnx", "home", observer=passed.append)
        return [one.what for one in passed]

    checked.circuit = circuit
    return checked


def test_listing_of_the_rebuild_circuit_passes_every_check(chain, check):
    assert len(check()) == 10


def test_crafted_key_is_refused(chain, registry, check):
    """A registry accepts it, as it checks only the setup and the layout of a key."""
    crafted = CANARY.key[:-32] + bytes(31) + b"\7"
    listing = registry.register(replace(CANARY, key=crafted))
    with pytest.raises(ListingError, match=r"the model id is 0x\w+; it must be 0x\w+\. Do not rely on"):
        check(listing)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "sha256:" + "cd" * 32}, "SHA-256 of the ONNX file is 0xab"),
        ({"model_id": "0x" + "cd" * 32}, "the model id is 0x"),
        ({"verifying_key": "keccak256:" + "cd" * 32}, "digest of the verifying key is 0x"),
    ],
)
def test_listing_of_another_circuit_is_refused(chain, check, rebuilt, change, message):
    vars(rebuilt.identity).update(change)
    with pytest.raises(ListingError, match=message):
        check()


def test_changed_words_of_the_key_are_refused(monkeypatch, chain, check):
    code = chain.code
    monkeypatch.setattr(chain, "code", lambda address: code(address)[:-1] + b"\7")
    with pytest.raises(ListingError, match="whether the stored key is the rebuilt one is False; it must be True"):
        check()


@pytest.mark.parametrize(
    "change", [{"visibility": "hashed"}, {"input_width": 8}, {"inputs": 2}, {"outputs": 2}], ids=lambda one: str(*one)
)
def test_wrong_layout_is_refused(chain, check, rebuilt, change):
    rebuilt.program.layout = replace(rebuilt.program.layout, **change)
    with pytest.raises(ListingError, match=r"the layout of statements is Layout.*; it must be Layout"):
        check()


def test_wrong_setup_is_refused(chain, check):
    check.circuit.manifest.recipe.setup.tau_g2 = "sha256:" + "cd" * 32
    with pytest.raises(ListingError, match="the trusted setup is 0x"):
        check()


@pytest.mark.parametrize("status", ["deprecated", "revoked"])
def test_inactive_listing_is_refused(module_deployment, chain, registry, check, status):
    {"deprecated": registry.deprecate, "revoked": registry.revoke}[status](module_deployment[2])
    with pytest.raises(ListingError, match=f"the status is {status}; it must be active"):
        check()


def test_missing_listing_is_refused(chain, check):
    with pytest.raises(ListingError, match="the status is unknown"):
        check("0x" + "00" * 32)


def test_listing_of_a_stopped_verifier_is_refused(chain, book, check):
    EmergencyStop(chain, book.addresses["EzklStop"]).stop()
    with pytest.raises(ListingError, match="whether the verifier is live is False"):
        check()


def test_insecure_dev_circuit_is_refused_before_rebuilding(check):
    check.circuit.manifest.recipe.setup.is_insecure_dev = True
    check.circuit.manifest.identity = None
    with pytest.raises(ListingError, match=r"anyone can forge its proofs.*--unsafe-accept-dev-setup"):
        rebuild_circuit(check.circuit, "model.onnx", "home")


@pytest.mark.parametrize("accepted", [(), ("ezkl",)])
def test_circuit_of_an_experimental_engine_is_refused_before_rebuilding(check, tmp_path, accepted):
    check.circuit.manifest.recipe.engine = "ashlar/0.1.0"
    check.circuit.manifest.identity = None
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with pytest.raises(ListingError, match=r"an experimental engine\..*--accept-engine ashlar\."):
        rebuild_circuit(check.circuit, tmp_path / "model.onnx", Home(tmp_path), accept_engines=accepted)


def test_other_onnx_file_is_named_before_rebuilding(monkeypatch, check, tmp_path):
    monkeypatch.setattr(listings, "rebuild", None)
    check.circuit.manifest.recipe.engine = "ashlar/0.1.0"
    check.circuit.manifest.identity = Fake(model=f"sha256:{ONNX}")
    (tmp_path / "other.onnx").write_bytes(b"onnx")
    with pytest.raises(ListingError, match=rf"other\.onnx is not the ONNX file of canary.circuit: .*{ONNX}") as refused:
        rebuild_circuit(check.circuit, tmp_path / "other.onnx", Home(tmp_path), accept_engines=("ashlar",))
    assert "from which the circuit was compiled" in refused.value.cure


class TestUnderAshlar:
    """A circuit of another engine, in a deployment for tests, as its vectors are under insecure-dev."""

    @pytest.fixture(scope="class")
    @classmethod
    def module_deployment(cls):
        chain, book = deployed_chain(delay=0, test=True)
        return chain, book, Registry(chain, book.addresses["ModelRegistry"]).register(PERCEPTRON_UNDER_ASHLAR)

    @pytest.fixture
    def rebuilt(self, tmp_path):
        return rebuilt_from(PERCEPTRON_UNDER_ASHLAR, tmp_path)

    @pytest.fixture(autouse=True)
    def ashlar(self, check):
        check.circuit.manifest.recipe.engine = "ashlar"
        check.circuit.manifest.recipe.setup.tau_g2 = f"sha256:{sha256(PERCEPTRON_UNDER_ASHLAR.key[32:160]).hex}"

    def test_listing_passes_every_check(self, check):
        assert check()[-2:] == ["the verifier of its proofs", "whether the verifier is live"]

    def test_stop_of_the_other_engine_does_not_matter(self, chain, book, check):
        EmergencyStop(chain, book.addresses["EzklStop"]).stop()
        check()

    def test_stopped_verifier_is_refused(self, chain, book, check):
        EmergencyStop(chain, book.addresses["AshlarStop"]).stop()
        with pytest.raises(ListingError, match="whether the verifier is live is False"):
            check()

    def test_selector_of_another_engine_is_refused(self, monkeypatch, check):
        of = Registry.listing
        monkeypatch.setattr(
            Registry, "listing", lambda *asked: replace(of(*asked), selector="0x" + EZKL_SELECTOR.hex())
        )
        with pytest.raises(ListingError, match=f"the proving system is 0x{EZKL_SELECTOR.hex()}; it must be 0x"):
            check()
