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
def base():
    chain, book = deployed_chain(delay=0)
    return chain, book, Registry(chain, book.addresses["ModelRegistry"]).register(CANARY)


@pytest.fixture
def registry(base):
    return Registry(base[0], base[1].addresses["ModelRegistry"])


def made_of(registration, folder):
    """What making a registered circuit again gives."""
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
def made(tmp_path):
    return made_of(CANARY, tmp_path)


@pytest.fixture
def check(monkeypatch, base, made):
    circuit = Fake(
        folder="canary.circuit",
        manifest=Fake(
            recipe=Fake(engine="ezkl", setup=Fake(tau_g2="sha256:" + load_canary().setup[2:], is_insecure_dev=False))
        ),
    )
    monkeypatch.setattr(listings, "rebuild_circuit", lambda *_, **__: made)

    def checked(listing=base[2]):
        passed = []
        verify_listing(base[0], base[1], listing, circuit, "model.onnx", "home", observer=passed.append)
        return [one.what for one in passed]

    checked.circuit = circuit
    return checked


def test_listing_of_the_rebuild_circuit_passes_every_check(chain, check):
    assert len(check()) == 10


def test_key_that_was_made_up_is_refused(chain, registry, check):
    """A registry accepts it: all that it reads of a key is its setup and whether the layout fits."""
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
    "change", [{"visibility": "hashed"}, {"input_width": 8}, {"inputs": 2}, {"outputs": 2}], ids=lambda one: str(*one)
)
def test_other_layout_is_refused(chain, check, made, change):
    made.program.layout = replace(made.program.layout, **change)
    with pytest.raises(ListingError, match=r"the layout of statements is Layout.*; it must be Layout"):
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
    with pytest.raises(ListingError, match="whether the verifier is live is False"):
        check()


def test_circuit_under_insecure_dev_is_refused_before_it_is_made_again(check):
    check.circuit.manifest.recipe.setup.is_insecure_dev = True
    check.circuit.manifest.identity = None
    with pytest.raises(ListingError, match=r"anyone can forge its proofs.*--unsafe-accept-dev-setup"):
        rebuild_circuit(check.circuit, "model.onnx", "home")


class TestVerifierOfOneCircuit:
    """Of the digits, whose verifier the stored vectors have."""

    @pytest.fixture
    def listing(self, chain, base, registry):
        dedicated.routed(chain, base[1])
        return registry.register(dedicated.REGISTRATION)

    @pytest.fixture
    def made(self, tmp_path):
        return made_of(dedicated.REGISTRATION, tmp_path)

    @pytest.fixture
    def at(self, base):
        return dedicated.wanted_in(base[1]).addresses

    @pytest.fixture(autouse=True)
    def generated(self, monkeypatch):
        """What the engine and the compiler make, without them."""
        monkeypatch.setattr(Solc, "find", lambda _: "solc")
        monkeypatch.setattr(listings, "generated_verifier", lambda *_: dedicated.GENERATED)

    def test_listing_passes_every_check(self, check, listing):
        assert check(listing)[-4:] == [
            "the proving system",
            "the state of its route",
            "the key of its verifier",
            "the code of its verifier",
        ]

    def test_code_that_the_engine_does_not_write_is_refused(self, monkeypatch, check, listing):
        monkeypatch.setattr(listings, "generated_verifier", lambda *_: Fake(deployed=b"\1"))
        with pytest.raises(ListingError, match=r"the code of its verifier is 0x\w+; it must be 0x"):
            check(listing)

    def test_verifier_that_was_stopped_is_refused(self, chain, at, check, listing):
        EmergencyStop(chain, at["EmergencyStop"]).stop()
        with pytest.raises(ListingError, match="the state of its route is stopped; it must be live"):
            check(listing)

    @pytest.mark.parametrize(
        ("name", "found", "told"),
        [
            ("KEY_DIGEST", b"\x66" * 32, "the key of its verifier is 0x6666"),
            ("HALO2", "0x" + "66" * 20, "the code of its verifier is 0xc5d246"),  # of nothing
        ],
    )
    def test_chain_of_contracts_that_ends_elsewhere_is_refused(
        self, monkeypatch, chain, check, listing, name, found, told
    ):
        read = chain.read
        monkeypatch.setattr(chain, "read", lambda *what: found if what[2] == name else read(*what))
        with pytest.raises(ListingError, match=told):
            check(listing)

    @pytest.mark.parametrize("name", ["EmergencyStop", "DedicatedHalo2Adapter"])
    def test_contract_on_the_way_that_is_not_ours_is_refused(self, monkeypatch, chain, at, check, listing, name):
        code = chain.code
        monkeypatch.setattr(chain, "code", lambda address: b"\1" if address == at[name] else code(address))
        with pytest.raises(CodeMismatchError, match=f"not that of {name}"):
            check(listing)

    def test_selector_of_another_circuit_is_refused(self, monkeypatch, check, listing):
        of = Registry.listing
        monkeypatch.setattr(Registry, "listing", lambda *asked: replace(of(*asked), selector="0x01020304"))
        with pytest.raises(ListingError, match="the proving system is 0x01020304; it must be 0x"):
            check(listing)

    def test_missing_compiler_is_told_before_the_circuit_is_made_again(self, monkeypatch, check, listing):
        def missing(_):
            raise CompilerError("It takes the Solidity compiler.")

        monkeypatch.setattr(Solc, "find", missing)
        monkeypatch.setattr(listings, "rebuild_circuit", None)
        with pytest.raises(CompilerError, match="takes the Solidity compiler"):
            check(listing)
