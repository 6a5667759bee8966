import stat
from dataclasses import replace

import pytest
from tests.unit.circuits.factories import engine_with, everything_under, rewritten

from zkinfer.circuits import Circuit
from zkinfer.circuits.digest import Digest, sha256, sha256_file
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.circuits.errors import CircuitError, InputError
from zkinfer.circuits.home import KeyRing, proving_key_for, store_proving_key


@pytest.fixture
def setup(dev_home):
    return dev_home.setups.find(3, "insecure-dev")


@pytest.fixture
def wanted(circuit):
    return Digest.parse(circuit.manifest.keys.proving_key)


def never(*_):
    pytest.fail("keys were made again")


def test_key_is_made_once_and_kept_by_the_circuits_digest(circuit, setup, wanted, tmp_path):
    cache = tmp_path / "keys"
    key = proving_key_for(circuit, FakeEngine(), setup, cache)
    assert key == cache / circuit.digest.hex
    assert sha256_file(key) == wanted
    assert proving_key_for(circuit, engine_with(make_keys=never), setup, cache) == key


def test_cache_and_key_are_private(circuit, setup, tmp_path):
    key = proving_key_for(circuit, FakeEngine(), setup, tmp_path / "keys")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert everything_under(tmp_path / "keys") == {key.name}


@pytest.mark.parametrize("damage", [b"", b"\0" * 32, b"\0" * 64])
def test_damaged_key_is_regenerated(circuit, setup, wanted, tmp_path, damage):
    (tmp_path / circuit.digest.hex).write_bytes(damage)
    assert sha256_file(proving_key_for(circuit, FakeEngine(), setup, tmp_path)) == wanted


def test_link_to_another_file_is_replaced_and_not_written_through(circuit, setup, wanted, tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / circuit.digest.hex).symlink_to("other")
    assert sha256_file(proving_key_for(circuit, FakeEngine(), setup, tmp_path)) == wanted
    assert (tmp_path / "other").read_bytes() == b"other"


FORGED = r"differs from a rebuild from its own ONNX file and recipe\. It was made with a different version, or forged"


def test_engine_that_generates_another_key_is_refused_and_nothing_kept(circuit, setup, tmp_path):
    def other(folder, setup, proving_key):
        (folder / "program.json").write_bytes(b"another version of the engine")
        return FakeEngine().make_keys(folder, setup, proving_key)

    with pytest.raises(CircuitError, match=FORGED):
        proving_key_for(circuit, engine_with(make_keys=other), setup, tmp_path / "keys")
    assert everything_under(tmp_path / "keys") == set()


def test_setup_of_another_tau_gives_another_key_and_is_refused(circuit, setup, tmp_path):
    (tmp_path / "setup").write_bytes(b"\x01" * 256)
    with pytest.raises(CircuitError, match=FORGED):
        proving_key_for(circuit, FakeEngine(), replace(setup, path=tmp_path / "setup"), tmp_path / "keys")


def test_folder_with_the_program_of_another_model_is_refused(folder, setup, tmp_path):
    """It would publish inputs that its manifest calls private: the cached key vouches for the whole folder."""
    (folder / "program.json").write_bytes(b'{"scale":3}')
    rewritten(folder, lambda document: document["files"].update({"program.json": str(sha256(b'{"scale":3}'))}))
    with pytest.raises(CircuitError, match=FORGED):
        proving_key_for(Circuit.open(folder), FakeEngine(), setup, tmp_path / "keys")


def test_larger_setup_of_the_same_tau_is_accepted(circuit, dev_home, wanted, tmp_path):
    larger = dev_home.setups.find(5, "insecure-dev")
    assert sha256_file(proving_key_for(circuit, FakeEngine(), larger, tmp_path)) == wanted


def test_circuit_naming_another_key_is_refused(folder, setup, tmp_path):
    rewritten(folder, lambda document: document["keys"].update(provingKey="sha256:" + "00" * 32))
    with pytest.raises(CircuitError, match=FORGED):
        proving_key_for(Circuit.open(folder), FakeEngine(), setup, tmp_path / "keys")


def test_key_generation_does_not_modify_the_circuit(circuit, setup, tmp_path):
    proving_key_for(circuit, FakeEngine(), setup, tmp_path / "keys")
    assert Circuit.open(circuit.folder).digest == circuit.digest


def test_keep_moves_the_key_and_replaces_an_existing_one(tmp_path):
    digest = sha256(b"key")
    (tmp_path / "made").write_bytes(b"key")
    (tmp_path / digest.hex).write_bytes(b"half a k")
    kept = store_proving_key(tmp_path / "made", digest, tmp_path)
    assert kept.read_bytes() == b"key"
    assert everything_under(tmp_path) == {digest.hex}


# --- prefetched keys


def test_prefetched_key_is_not_hashed_again(circuit, setup, tmp_path, monkeypatch):
    proving_key_for(circuit, FakeEngine(), setup, tmp_path)
    ring, beats = KeyRing(), []
    assert ring.warm(circuit, tmp_path, lambda: beats.append(1))
    assert beats == [1]
    monkeypatch.setattr("zkinfer.circuits.home.sha256_file", never)
    assert ring.key_for(circuit, engine_with(make_keys=never), setup, tmp_path) == tmp_path / circuit.digest.hex


@pytest.mark.parametrize("content", [None, b"", b"damaged"])
def test_missing_or_damaged_key_is_not_prefetched_or_generated(circuit, setup, wanted, tmp_path, content):
    ring, path = KeyRing(), tmp_path / circuit.digest.hex
    if content is not None:
        path.write_bytes(content)
    assert not ring.warm(circuit, tmp_path, lambda: None)
    assert (path.read_bytes() if path.exists() else None) == content
    assert sha256_file(ring.key_for(circuit, FakeEngine(), setup, tmp_path)) == wanted


def test_key_modified_after_prefetching_is_regenerated(circuit, setup, wanted, tmp_path):
    ring, path = KeyRing(), proving_key_for(circuit, FakeEngine(), setup, tmp_path)
    assert ring.warm(circuit, tmp_path, lambda: None)
    path.write_bytes(b"forged")
    assert sha256_file(ring.key_for(circuit, FakeEngine(), setup, tmp_path)) == wanted


def test_cache_writable_by_others_is_not_prefetched_and_refused_even_after_prefetching(circuit, setup, tmp_path):
    ring, cache = KeyRing(), tmp_path / "keys"
    proving_key_for(circuit, FakeEngine(), setup, cache)
    assert ring.warm(circuit, cache, lambda: None)
    cache.chmod(0o777)
    assert not KeyRing().warm(circuit, cache, never)
    with pytest.raises(InputError, match="keys"):
        ring.key_for(circuit, FakeEngine(), setup, cache)
