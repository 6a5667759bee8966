import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
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


def test_pin_of_another_name_in_the_file_is_refused(pins):
    pins.accept(first(B, name="other.example"), NOW)
    (pins.folder / "other.example.json").rename(pins.folder / "acme.example.json")
    with pytest.raises(TrustRootError, match=r"is damaged\. It is that of the trust root other\.example"):
        pins.accept(ONE, NOW)


def test_pin_that_is_a_broken_link_is_no_first_use(pins, tmp_path):
    pins.accept(TWO, NOW)
    pin = pins.folder / "acme.example.json"
    pin.unlink()
    pin.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        pins.accept(ONE, NOW)


def test_pin_that_is_a_loop_of_links_is_no_first_use(pins):
    pins.accept(TWO, NOW)
    pin = pins.folder / "acme.example.json"
    pin.unlink()
    pin.symlink_to(pin)
    with pytest.raises(InputError, match="loop"):
        pins.accept(ONE, NOW)


def test_link_to_a_pin_still_holds_and_is_replaced_by_a_file(pins, tmp_path):
    pins.accept(TWO, NOW)
    pin, moved = pins.folder / "acme.example.json", tmp_path / "moved"
    pin.rename(moved)
    pin.symlink_to(moved)
    with pytest.raises(RootRollbackError):
        pins.accept(ONE, NOW)
    pins.accept(TWO, NOW + DAY)
    assert not pin.is_symlink()


def test_folder_that_is_a_link_is_refused(pins, tmp_path):
    pins.accept(TWO, NOW)
    pins.folder.rename(tmp_path / "elsewhere")
    pins.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        pins.accept(TWO, NOW)


@pytest.mark.parametrize("name", ["../important", "/etc/x", "", ".", "..", "A", "a/b", "a\n", "a" * 64])
def test_text_that_is_no_name_reaches_no_file(pins, tmp_path, name):
    (tmp_path / "important.json").write_text("{}")
    for call in (pins.forget, pins.find):
        with pytest.raises(TrustRootError, match="is not the name of a trust root"):
            call(name)
    assert (tmp_path / "important.json").exists()


@given(st.integers(0, 4000))
def test_truncated_pin_is_never_a_first_use(tmp_path_factory, length):
    pins = Pins(tmp_path_factory.mktemp("home") / "trust")
    pins.accept(TWO, NOW)
    path = pins.folder / "acme.example.json"
    path.write_bytes(path.read_bytes()[: min(length, path.stat().st_size - 1)])
    with pytest.raises(TrustRootError, match="is damaged"):
        pins.accept(ONE, NOW)


def test_concurrent_acceptances_end_with_the_newest_version(pins):
    three = following(TWO, A)

    def accept(file):
        try:
            return pins.accept(file, NOW)
        except RootRollbackError:
            return False

    with ThreadPoolExecutor(8) as threads:
        first_uses = sum(threads.map(accept, [ONE, TWO, three] * 8))
    assert first_uses == 1
    assert pins.find("acme.example").signed.root.version == 3
    assert [path.name for path in pins.folder.iterdir() if not path.name.startswith(".")] == ["acme.example.json"]


def test_deleted_pin_makes_a_first_use_that_the_fingerprint_still_guards(pins):
    pins.accept(ONE, NOW)
    expected = ONE.current.root.fingerprint
    (pins.folder / "acme.example.json").unlink()
    with pytest.raises(RootSignatureError, match="have the fingerprint"):
        pins.accept(first(B), NOW, fingerprint=expected)
    assert pins.find("acme.example") is None
    assert pins.accept(ONE, NOW, fingerprint=expected) is True


def test_fingerprint_is_required_after_the_first_use_too(pins):
    pins.accept(ONE, NOW)
    with pytest.raises(RootSignatureError, match="have the fingerprint"):
        pins.accept(ONE, NOW, fingerprint=first(B).current.root.fingerprint)
