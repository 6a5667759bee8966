import shutil
from types import SimpleNamespace

import pytest

from zkinfer.circuits import Home
from zkinfer.circuits import home as user_home
from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.prover import Prover
from zkinfer.prover.workers.worker import KeyPrefetcher

ENGINES = {FakeEngine.id: FakeEngine()}


@pytest.fixture
def machine(tiny, tmp_path):
    """A copy of the home and the repository, and the prefetcher of on them."""
    home, root, now, beats = Home(tmp_path / "home"), tmp_path / "models", [0.0], []
    shutil.copytree(tiny.home.root, home.root)
    shutil.copytree(tiny.repository, root)
    prover = Prover(home=home, engines=ENGINES)
    prefetcher = KeyPrefetcher(
        root, home, prover, engines=ENGINES, heartbeat=lambda: beats.append(1), clock=lambda: now[0]
    )
    key = home.keys / tiny.circuit.digest.hex
    return SimpleNamespace(root=root, home=home, prover=prover, prefetcher=prefetcher, now=now, beats=beats, key=key)


@pytest.fixture
def hashed(monkeypatch):
    """The names of the keys that were hashed."""
    files, hash_ = [], user_home.sha256_file
    monkeypatch.setattr(user_home, "sha256_file", lambda path, *rest: files.append(path.name) or hash_(path, *rest))
    return files


def test_key_is_hashed_once_and_ready_for_the_first_job(machine, tiny, hashed):
    assert machine.prefetcher.prefetch_next()
    assert not machine.prefetcher.prefetch_next()
    assert hashed == [machine.key.name]
    assert machine.beats
    machine.prover.prove_integers(tiny.circuit, [[0, -320, 512]])
    assert hashed == [machine.key.name]


def test_key_of_a_model_added_later_is_prefetched(machine, hashed):
    shutil.move(machine.root / "tiny", machine.root / ".tiny")
    assert not machine.prefetcher.prefetch_next()
    shutil.move(machine.root / ".tiny", machine.root / "tiny")
    assert not machine.prefetcher.prefetch_next()  # checked a moment ago
    machine.now[0] = 11.0
    assert machine.prefetcher.prefetch_next()
    assert hashed == [machine.key.name]


def test_missing_key_is_not_generated(machine):
    machine.key.unlink()
    assert not machine.prefetcher.prefetch_next()
    assert not machine.key.exists()


def test_scan_of_many_models_sends_heartbeats(machine):
    for number in range(2, 7):
        shutil.copytree(machine.root / "tiny/1", machine.root / f"tiny/{number}")
    machine.key.unlink()
    assert not machine.prefetcher.prefetch_next()
    assert len(machine.beats) == 6


def test_damaged_key_is_left_to_be_regenerated_by_a_job(machine, tiny, hashed, in_process):
    machine.key.write_bytes(b"damaged")
    assert machine.prefetcher.prefetch_next()
    assert not machine.prefetcher.prefetch_next()
    assert machine.key.read_bytes() == b"damaged"
    machine.prover.make_key(tiny.circuit)
    assert machine.key.read_bytes() != b"damaged"


def test_key_changed_after_prefetching_is_hashed_again(machine, tiny, hashed, in_process):
    assert machine.prefetcher.prefetch_next()
    machine.key.write_bytes(b"damaged")
    machine.prover.make_key(tiny.circuit)
    assert machine.key.read_bytes() != b"damaged"


def test_missing_repository_prefetches_nothing(machine):
    shutil.rmtree(machine.root)
    assert not machine.prefetcher.prefetch_next()
    machine.now[0] = 11.0
    assert not machine.prefetcher.prefetch_next()
