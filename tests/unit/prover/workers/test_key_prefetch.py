import shutil
from types import SimpleNamespace

import pytest

from zkinfer.circuits import Home, keycache
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import Prover
from zkinfer.prover.workers.key_prefetch import KeyPrefetcher

ENGINES = {FakeEngine.id: FakeEngine()}


@pytest.fixture
def place(shop, tmp_path):
    """A copy of the shop's home and models, and the prefetcher of its keys."""
    home, root, now, beats = Home(tmp_path / "home"), tmp_path / "models", [0.0], []
    shutil.copytree(shop.home.root, home.root)
    shutil.copytree(shop.repository, root)
    prover = Prover(home=home, engines=ENGINES)
    prefetcher = KeyPrefetcher(
        root, home, prover, engines=ENGINES, heartbeat=lambda: beats.append(1), clock=lambda: now[0]
    )
    key = home.keys / shop.circuit.digest.hex
    return SimpleNamespace(root=root, home=home, prover=prover, prefetcher=prefetcher, now=now, beats=beats, key=key)


@pytest.fixture
def hashed(monkeypatch):
    """The keys that were read in full."""
    files, hash_ = [], keycache.sha256_file
    monkeypatch.setattr(keycache, "sha256_file", lambda path, *rest: files.append(path.name) or hash_(path, *rest))
    return files


def test_key_is_read_once_and_the_first_job_finds_it_checked(place, shop, hashed):
    assert place.prefetcher.prefetch_next()
    assert not place.prefetcher.prefetch_next()
    assert hashed == [place.key.name]
    assert place.beats
    place.prover.prove_integers(shop.circuit, [[0, -320, 512]])
    assert hashed == [place.key.name]


def test_model_that_comes_later_is_warmed_then(place, hashed):
    shutil.move(place.root / "tiny", place.root / ".tiny")
    assert not place.prefetcher.prefetch_next()
    shutil.move(place.root / ".tiny", place.root / "tiny")
    assert not place.prefetcher.prefetch_next()  # looked for a moment ago
    place.now[0] = 11.0
    assert place.prefetcher.prefetch_next()
    assert hashed == [place.key.name]


def test_key_that_is_missing_is_not_made(place):
    place.key.unlink()
    assert not place.prefetcher.prefetch_next()
    assert not place.key.exists()


def test_folder_of_many_models_is_looked_at_with_signs_of_life(place):
    for number in range(2, 7):
        shutil.copytree(place.root / "tiny/1", place.root / f"tiny/{number}")
    place.key.unlink()
    assert not place.prefetcher.prefetch_next()
    assert len(place.beats) == 6


def test_key_that_is_damaged_is_left_for_the_job_which_makes_it_again(place, shop, hashed, in_process):
    place.key.write_bytes(b"damaged")
    assert place.prefetcher.prefetch_next()
    assert not place.prefetcher.prefetch_next()
    assert place.key.read_bytes() == b"damaged"
    place.prover.make_key(shop.circuit)
    assert place.key.read_bytes() != b"damaged"


def test_key_that_is_changed_after_it_was_warmed_is_read_again(place, shop, hashed, in_process):
    assert place.prefetcher.prefetch_next()
    place.key.write_bytes(b"damaged")
    place.prover.make_key(shop.circuit)
    assert place.key.read_bytes() != b"damaged"


def test_folder_of_models_that_is_gone_warms_nothing(place):
    shutil.rmtree(place.root)
    assert not place.prefetcher.prefetch_next()
    place.now[0] = 11.0
    assert not place.prefetcher.prefetch_next()
