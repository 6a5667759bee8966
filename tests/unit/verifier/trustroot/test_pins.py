import json
from datetime import timedelta

import pytest
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, YEAR, A, B, first, following, signed

from zkinfer.circuits.errors import InputError
from zkinfer.verifier.errors import RootExpiredError, RootRollbackError, RootSignatureError, TrustRootError
from zkinfer.verifier.trustroot.pins import Pins
from zkinfer.verifier.trustroot.publisher import changed

ONE = first(A)
TWO = following(ONE, A)


@pytest.fixture
def pins(tmp_path):
    return Pins(tmp_path / "trust")


def test_first_use_is_reported_and_remembered(pins):
    assert pins.accept(ONE, NOW) is True
    assert pins.accept(ONE, NOW) is False
    assert pins.find("acme.example").signed == ONE.current
    assert pins.names() == ["acme.example"]


def test_pin_is_readable_by_this_user_only(pins):
    pins.accept(ONE, NOW)
    assert (pins.folder / "acme.example.json").stat().st_mode & 0o777 == 0o600


def test_newer_version_replaces_the_pin_and_the_older_is_refused(pins):
    pins.accept(ONE, NOW)
    pins.accept(TWO, NOW)
    with pytest.raises(RootRollbackError, match="version 2 was accepted before"):
        pins.accept(ONE, NOW)


def test_refused_file_leaves_the_pin_as_it_was(pins):
    pins.accept(ONE, NOW)
    before = (pins.folder / "acme.example.json").read_bytes()
    with pytest.raises(RootSignatureError):
        pins.accept(changed(ONE, {}, now=NOW, lifetime=YEAR), NOW)
    assert (pins.folder / "acme.example.json").read_bytes() == before


def test_refused_first_file_leaves_no_pin(pins):
    with pytest.raises(RootSignatureError):
        pins.accept(following(first(A, B, threshold=2), A), NOW)
    assert pins.find("acme.example") is None


def test_expired_root_is_refused_unless_it_is_for_the_past(pins):
    with pytest.raises(RootExpiredError, match="--at"):
        pins.accept(ONE, NOW + YEAR)
    assert pins.accept(ONE, NOW + YEAR, expired_too=True) is True


def test_two_roots_do_not_disturb_each_other(pins):
    pins.accept(TWO, NOW)
    assert pins.accept(first(B, name="other.example"), NOW) is True


def test_clock_set_back_is_refused(pins):
    pins.accept(ONE, NOW + 30 * DAY)
    with pytest.raises(RootExpiredError, match=r"Set the clock.*zkinfer trust forget acme.example"):
        pins.accept(ONE, NOW + 28 * DAY)


def test_use_is_remembered_at_most_once_an_hour(pins):
    pins.accept(ONE, NOW)
    pins.accept(ONE, NOW + timedelta(minutes=30))
    assert pins.find("acme.example").used == NOW
    pins.accept(ONE, NOW + timedelta(hours=2))
    assert pins.find("acme.example").used == NOW + timedelta(hours=2)


def test_forgotten_root_is_a_first_use_again(pins):
    pins.accept(TWO, NOW)
    pins.forget("acme.example")
    assert pins.accept(first(B), NOW) is True


def test_forgetting_an_unknown_root_is_refused(pins):
    with pytest.raises(TrustRootError, match=r"No trust root 'acme\.example' was accepted"):
        pins.forget("acme.example")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format":"zkinfer-trust-pin/1"}'])
def test_damaged_pin_is_refused_and_not_replaced(pins, content):
    pins.accept(ONE, NOW)
    path = pins.folder / "acme.example.json"
    path.write_bytes(content)
    with pytest.raises(TrustRootError, match=r"is damaged.*zkinfer trust forget"):
        pins.accept(TWO, NOW)
    assert path.read_bytes() == content


def test_pin_with_another_root_inside_is_refused(pins):
    pins.accept(ONE, NOW)
    path = pins.folder / "acme.example.json"
    document = json.loads(path.read_bytes()) | {"root": "{}"}
    path.write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(TrustRootError, match="is damaged"):
        pins.accept(ONE, NOW)


def test_folder_that_others_can_write_to_is_refused(pins):
    pins.accept(ONE, NOW)
    pins.folder.chmod(0o777)
    with pytest.raises(InputError, match="Other users can write to"):
        pins.accept(ONE, NOW)


def test_pin_that_others_can_write_to_is_refused(pins):
    pins.accept(ONE, NOW)
    (pins.folder / "acme.example.json").chmod(0o666)
    with pytest.raises(InputError, match="Other users can write to"):
        pins.accept(ONE, NOW)


def test_signatures_beyond_the_threshold_do_not_change_the_pinned_root(pins):
    pins.accept(following(first(A, B), A), NOW)
    pins.accept(signed(following(first(A, B), A), B), NOW)
    assert pins.find("acme.example").signed.root.version == 2
