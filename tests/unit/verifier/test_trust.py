from dataclasses import replace

import pytest

from zkinfer.circuits.digest import sha256, sha256_file
from zkinfer.circuits.errors import InputError, SetupError
from zkinfer.circuits.recipe import SetupIdentity
from zkinfer.circuits.srs import HERMEZ, SetupStore
from zkinfer.circuits.srs.ceremonies import by_name
from zkinfer.verifier import REAL_CEREMONIES, Trusted, UnknownModelError, UntrustedEngineError, UntrustedSetupError

ZERO = "sha256:" + "0" * 64


def identity(ceremony, tau_g2=ZERO):
    return SetupIdentity(ceremony=ceremony, tau_g2=tau_g2)


def test_real_ceremonies_are_accepted_and_insecure_dev_is_not():
    assert frozenset({"perpetual-powers-of-tau", "hermez"}) <= REAL_CEREMONIES
    assert "insecure-dev" not in REAL_CEREMONIES


def test_insecure_dev_cannot_be_accepted_as_a_ceremony(parties):
    trusted = parties.trusting(parties.model, ceremonies=["hermez", "insecure-dev"])
    assert trusted.ceremonies == {"hermez"}


def test_model_is_found_by_its_digest(parties):
    trusted = parties.trusting(parties.other_model, parties.model)
    assert trusted.model(str(sha256_file(parties.model))) == parties.model


def test_unknown_model_is_refused(parties):
    with pytest.raises(UnknownModelError, match="a single changed byte makes it a different model"):
        parties.trusted.model(ZERO)


def test_missing_model_is_an_input_error(parties, tmp_path):
    with pytest.raises(InputError, match="Check the path of the ONNX file"):
        parties.trusting(tmp_path / "missing.onnx")


def test_engine_that_proves_nothing_is_refused(parties):
    trusted = parties.trusting(parties.model, unsafe_accept_fake_engine=False)
    with pytest.raises(UntrustedEngineError, match="fake/1 is not sound"):
        trusted.engine("fake/1")


@pytest.mark.parametrize("name", ["fake/2", "ezkl/23.0.5", ""])
def test_unknown_engine_is_refused(parties, name):
    with pytest.raises(UntrustedEngineError, match="this verifier has fake/1"):
        parties.trusted.engine(name)


def test_engines_default_to_those_of_production(parties, monkeypatch):
    monkeypatch.setattr("zkinfer.circuits.engines.production_engines", lambda _: {"real/1": parties.engine})
    trusted = Trusted.of([], parties.setups, parties.folder / "cache")
    assert set(trusted.engines) == {"real/1"}
    assert trusted.ceremonies == REAL_CEREMONIES


def test_unknown_ceremony_is_refused(parties):
    with pytest.raises(UntrustedSetupError, match="my-party is not accepted; accepted are hermez, perpetual"):
        parties.trusted.setup(identity("my-party"), 3)


def test_ceremony_not_chosen_by_the_auditor_is_refused(parties):
    trusted = parties.trusting(parties.model, ceremonies=["perpetual-powers-of-tau"])
    with pytest.raises(UntrustedSetupError, match="hermez is not accepted; accepted are perpetual-powers-of-tau"):
        trusted.setup(identity("hermez"), 3)


@pytest.mark.parametrize("ceremony", ["hermez", "insecure-dev"])
def test_ceremony_with_another_tau_is_refused(parties, ceremony):
    with pytest.raises(UntrustedSetupError, match=r"but its tau\*G2 differs from that ceremony's"):
        parties.trusted.setup(identity(ceremony), 3)


def test_missing_setup_is_refused_with_the_cure(tmp_path):
    trusted = Trusted.of([], SetupStore(tmp_path), tmp_path / "cache", engines={})
    tau = str(sha256(by_name(HERMEZ).tau_g2))
    with pytest.raises(SetupError, match=r"No setup of hermez with k = 3.*zkinfer setup fetch 3"):
        trusted.setup(SetupIdentity(ceremony="hermez", tau_g2=tau), 3)


def test_missing_dev_setup_is_generated(document, tmp_path):
    trusted = Trusted.of([], SetupStore(tmp_path), tmp_path / "cache", engines={})
    made = trusted.setup(SetupIdentity.model_validate(document["predicate"]["recipe"]["setup"]), 3)
    assert (made.ceremony, made.k) == ("insecure-dev", 3)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_cache_writable_by_others_is_refused(parties, tmp_path, mode):
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(InputError, match=r"Other users can write to .*cache.* chmod go-w"):
        Trusted.of([parties.model], parties.setups, cache, engines={})


def test_cache_below_a_file_is_refused(parties):
    with pytest.raises(InputError, match="cannot be used: not a directory"):
        Trusted.of([], parties.setups, parties.model / "cache", engines={})


def test_missing_dev_setup_is_generated_only_by_those_who_may(parties, tmp_path):
    dev = by_name("insecure-dev")
    claimed, setups = identity(dev.name, str(sha256(dev.tau_g2))), SetupStore(tmp_path / "setups")
    trusted = replace(parties.trusting(parties.model), setups=setups, generates_dev_setups=False)
    with pytest.raises(UntrustedSetupError, match=r"no insecure-dev setup of 2\^3 powers, and generates none"):
        trusted.setup(claimed, 3)
    assert not setups.home.exists()
    made = replace(trusted, generates_dev_setups=True).setup(claimed, 3)
    assert trusted.setup(claimed, 3) == made
