import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import ceremonies, check, check_setup, file_format, identify_setup
from zkinfer.circuits.srs.bn254 import FIELD, ORDER, domain_root

MONOMIAL, LAGRANGE = 4, 4 + 8 * 64


@pytest.fixture
def written(tmp_path):
    def write(data):
        path = tmp_path / "changed"
        path.write_bytes(data)
        return path

    return write


def swapped(data, first, second):
    """Exchange two G1 points, given by their byte offsets."""
    changed = bytearray(data)
    changed[first : first + 64], changed[second : second + 64] = data[second : second + 64], data[first : first + 64]
    return bytes(changed)


def negated(data, at):
    """Replace the G1 point at a byte offset by its opposite."""
    y = FIELD - int.from_bytes(data[at + 32 : at + 64], "little")
    return data[: at + 32] + y.to_bytes(32, "little") + data[at + 64 :]


def test_check_of_a_dev_file_identifies_and_hashes_it(dev_files):
    report = check_setup(dev_files[3])
    assert (report.ceremony, report.k) == ("insecure-dev", 3)
    assert report.sha256.value == hashlib.sha256(dev_files[3].read_bytes()).digest()
    assert report.checks == check.CHECKS


def test_check_in_several_batches_passes_and_reports_progress(dev_files, monkeypatch):
    monkeypatch.setattr(file_format, "BATCH", 5)
    seen = []
    check_setup(dev_files[4], progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) == 9


@pytest.mark.parametrize(
    ("name", "ceremony", "k"),
    [("hermez-raw-11", "hermez", 11), ("perpetual-powers-of-tau-raw-1", "perpetual-powers-of-tau", 1)],
)
def test_check_real_file_passes_without_its_digest(real_file, name, ceremony, k):
    report = check_setup(real_file(name))
    assert (report.ceremony, report.k) == (ceremony, k)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_check_any_byte_changed_is_refused(dev_bytes, tmp_path_factory, data):
    at = data.draw(st.integers(0, len(dev_bytes) - 1))
    flip = data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "mangled"
    path.write_bytes(dev_bytes[:at] + bytes([dev_bytes[at] ^ flip]) + dev_bytes[at + 1 :])
    with pytest.raises(SetupError):
        check_setup(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: swapped(data, MONOMIAL, MONOMIAL + 64), "first power"),
        (lambda data: swapped(data, MONOMIAL + 64, MONOMIAL + 128), "powers of the tau"),
        (lambda data: negated(data, MONOMIAL + 7 * 64), "powers of the tau"),
        (lambda data: swapped(data, LAGRANGE, LAGRANGE + 64), "Lagrange part does not match"),
        (lambda data: negated(data, LAGRANGE + 7 * 64), "Lagrange part does not match"),
        (lambda data: swapped(data, MONOMIAL + 64, LAGRANGE), "powers of the tau"),
        (lambda data: data[: MONOMIAL + 65] + b"\0" + data[MONOMIAL + 66 :], "Point 1 of the monomial part"),
        (lambda data: data[: LAGRANGE + 65] + b"\0" + data[LAGRANGE + 66 :], "Point 1 of the Lagrange part"),
    ],
)
def test_check_forged_points_are_refused(dev_bytes, written, change, message):
    with pytest.raises(SetupError, match=message):
        check_setup(written(change(dev_bytes)))


def test_check_sound_setup_of_an_unknown_tau_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(ceremonies, "TAU", 12345)
    ceremonies.generate_insecure_dev(3, tmp_path / "file")
    with pytest.raises(SetupError, match="from an unknown ceremony"):
        check_setup(tmp_path / "file")


def test_check_points_of_another_tau_under_a_known_name_are_refused(dev_bytes, monkeypatch, tmp_path, written):
    monkeypatch.setattr(ceremonies, "TAU", 12345)
    ceremonies.generate_insecure_dev(3, tmp_path / "file")
    with pytest.raises(SetupError, match="powers of the tau"):
        check_setup(written((tmp_path / "file").read_bytes()[:-256] + dev_bytes[-256:]))


def test_check_lagrange_part_over_another_order_of_the_domain_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(ceremonies, "domain_root", lambda k: pow(domain_root(k), 3, ORDER))
    ceremonies.generate_insecure_dev(3, tmp_path / "file")
    with pytest.raises(SetupError, match="Lagrange part does not match"):
        check_setup(tmp_path / "file")


def test_identify_of_a_file_with_a_pinned_digest_needs_no_structural_check(dev_files, monkeypatch):
    monkeypatch.setattr(check, "check_setup", None)
    setup = identify_setup(dev_files[5])
    assert (setup.ceremony, setup.k, setup.path) == ("insecure-dev", 5, dev_files[5])
    assert setup.is_insecure_dev


def test_identify_of_a_file_without_a_pinned_digest_checks_it(dev_files, rehearsal):
    setup = identify_setup(dev_files[5])
    assert (setup.ceremony, setup.k, setup.is_insecure_dev) == ("rehearsal", 5, False)


def test_identify_missing_file_is_refused(tmp_path):
    with pytest.raises(SetupError, match=r"Cannot read the setup file .*No such file"):
        identify_setup(tmp_path / "missing")


def test_identity_of_two_sizes_of_one_ceremony_is_the_same(dev_files):
    small, large = identify_setup(dev_files[3]), identify_setup(dev_files[5])
    assert small.identity == large.identity
    assert small.identity["tauG2"] == f"sha256:{hashlib.sha256(small.tau_g2).hexdigest()}"


def test_peek_at_another_file_is_none(written):
    assert check.peek_setup(written(b"# Real trusted-setup files" * 99)) is None
