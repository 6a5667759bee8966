from dataclasses import replace
from types import SimpleNamespace as Fake

import pytest
from tests.unit.contracts.deployed import deployed_chain
from tests.unit.contracts.ezkl import dedicated

from zkinfer.chain import listings
from zkinfer.chain.errors import ListingError
from zkinfer.chain.listings import rebuild_circuit, verify_listing
from zkinfer.contracts import SHARED_SELECTOR, Layout, Registration, load_canary
from zkinfer.contracts.errors import CodeMismatchError, CompilerError
from zkinfer.contracts.ezkl.solc import Solc
from zkinfer.contracts.registry import EmergencyStop, Registry

ONNX = "ab" * 32
CANARY = Registration(
    onnx_digest="0x" + ONNX, key=load_canary().key, layout=Layout("public", 4, 1, 1), selector=SHARED_SELECTOR
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
    EmergencyStop(chain, book.addresses["EmergencyStop"]).stop()
    with pytest.raises(ListingError, match="whether the verifier is live is False"):
        check()


def test_insecure_dev_circuit_is_refused_before_rebuilding(check):
    check.circuit.manifest.recipe.setup.is_insecure_dev = True
    check.circuit.manifest.identity = None
    with pytest.raises(ListingError, match=r"anyone can forge its proofs.*--unsafe-accept-dev-setup"):
        rebuild_circuit(check.circuit, "model.onnx", "home")


class TestVerifierOfOneCircuit:
    """The dedicated verifier of the digits, taken from the stored vectors."""

    @pytest.fixture
    def listing(self, chain, book, registry):
        dedicated.routed(chain, book)
        return registry.register(dedicated.REGISTRATION)

    @pytest.fixture
    def rebuilt(self, tmp_path):
        return rebuilt_from(dedicated.REGISTRATION, tmp_path)

    @pytest.fixture
    def at(self, book):
        return dedicated.wanted_in(book).addresses

    @pytest.fixture(autouse=True)
    def generated(self, monkeypatch):
        """Replaces engine and compiler by their stored results."""
        monkeypatch.setattr(Solc, "find", lambda _: "solc")
        monkeypatch.setattr(listings, "generated_verifier", lambda *_: dedicated.GENERATED)

    def test_listing_passes_every_check(self, check, listing):
        assert check(listing)[-4:] == [
            "the proving system",
            "the state of its route",
            "the key of its verifier",
            "the code of its verifier",
        ]

    def test_code_not_generated_by_the_engine_is_refused(self, monkeypatch, check, listing):
        monkeypatch.setattr(listings, "generated_verifier", lambda *_: Fake(deployed=b"\1"))
        with pytest.raises(ListingError, match=r"the code of its verifier is 0x\w+; it must be 0x"):
            check(listing)

    def test_stopped_verifier_is_refused(self, chain, at, check, listing):
        EmergencyStop(chain, at["EmergencyStop"]).stop()
        with pytest.raises(ListingError, match="the state of its route is stopped; it must be live"):
            check(listing)

    @pytest.mark.parametrize(
        ("name", "found", "message"),
        [
            ("KEY_DIGEST", b"\x66" * 32, "the key of its verifier is 0x6666"),
            ("HALO2", "0x" + "66" * 20, "the code of its verifier is 0xc5d246"),  # the hash of no code
        ],
    )
    def test_contracts_that_lead_to_another_verifier_are_refused(
        self, monkeypatch, chain, check, listing, name, found, message
    ):
        read = chain.read
        monkeypatch.setattr(chain, "read", lambda *what: found if what[2] == name else read(*what))
        with pytest.raises(ListingError, match=message):
            check(listing)

    @pytest.mark.parametrize("name", ["EmergencyStop", "DedicatedHalo2Adapter"])
    def test_foreign_contract_on_the_way_is_refused(self, monkeypatch, chain, at, check, listing, name):
        code = chain.code
        monkeypatch.setattr(chain, "code", lambda address: b"\1" if address == at[name] else code(address))
        with pytest.raises(CodeMismatchError, match=f"not that of {name}"):
            check(listing)

    def test_selector_of_another_circuit_is_refused(self, monkeypatch, check, listing):
        of = Registry.listing
        monkeypatch.setattr(Registry, "listing", lambda *asked: replace(of(*asked), selector="0x01020304"))
        with pytest.raises(ListingError, match="the proving system is 0x01020304; it must be 0x"):
            check(listing)

    def test_missing_compiler_is_reported_before_rebuilding(self, monkeypatch, check, listing):
        def missing(_):
            raise CompilerError("It takes the Solidity compiler.")

        monkeypatch.setattr(Solc, "find", missing)
        monkeypatch.setattr(listings, "rebuild_circuit", None)
        with pytest.raises(CompilerError, match="takes the Solidity compiler"):
            check(listing)
