import hashlib

import pytest

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import bn254, ceremonies, file_format, generate_insecure_dev
from zkinfer.circuits.srs.bn254 import multiply_g2

DEV = ceremonies.by_name(ceremonies.INSECURE_DEV)


class InterruptionError(Exception):
    pass


@pytest.mark.parametrize("k", [3, 4, 5])
def test_generated_file_is_the_pinned_one(dev_files, k):
    assert hashlib.sha256(dev_files[k].read_bytes()).hexdigest() == DEV.files[k]


def test_generated_file_is_independent_of_the_batch_size(monkeypatch, tmp_path):
    monkeypatch.setattr(ceremonies, "BATCH", 3)
    generate_insecure_dev(3, tmp_path / "file")
    assert hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest() == DEV.files[3]


def test_tau_is_public_and_pinned():
    assert multiply_g2(ceremonies.TAU) == DEV.tau_g2


def test_lagrange_points_add_up_to_the_generator(dev_bytes):
    lagrange = file_format.decode_g1(dev_bytes[4 + 8 * 64 : 4 + 16 * 64], "Lagrange", 0)
    bn254.collapse(groups := [lagrange])
    assert groups == [[bn254.GENERATOR]]


def test_generate_reports_progress_up_to_one(tmp_path):
    seen = []
    generate_insecure_dev(3, tmp_path / "file", seen.append)
    assert seen == [0.5, 1.0]


@pytest.mark.parametrize("k", [0, 27])
def test_generate_k_out_of_range_is_refused(tmp_path, k):
    with pytest.raises(SetupError, match="There is no trusted setup of"):
        generate_insecure_dev(k, tmp_path / "file")


def test_generate_into_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(SetupError, match="Cannot write"):
        generate_insecure_dev(3, tmp_path / "missing" / "file")


def test_interrupted_generation_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    def interrupt(fraction):
        raise InterruptionError

    with pytest.raises(InterruptionError):
        generate_insecure_dev(3, tmp_path / "file", interrupt)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]
