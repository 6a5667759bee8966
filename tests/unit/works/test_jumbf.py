"""The boxes of manifest stores: the active manifest alone, and refusals of everything that is no store."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.works.files import NOW, credentials, key, picture

from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.errors import CredentialsError
from zkinfer.works.jumbf import only_active
from zkinfer.works.kinds import Kind, Origin


def box(kind, content):
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def long_box(kind, content):
    return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content


DESCRIPTION = box(b"jumd", b"c2pa")
FIRST, LAST = box(b"jumb", b"first"), box(b"jumb", b"the last")


def test_last_manifest_is_the_active_one():
    store = box(b"jumb", DESCRIPTION + FIRST + LAST)
    assert only_active(store) == box(b"jumb", DESCRIPTION + LAST)


def test_boxes_with_long_sizes_are_read():
    assert only_active(long_box(b"jumb", DESCRIPTION + FIRST + LAST)) == box(b"jumb", DESCRIPTION + LAST)


def test_store_of_one_manifest_stays_as_it_is(tmp_path):
    out = tmp_path / "cat.c2pa"
    certify(
        picture(tmp_path),
        Facts(Kind.IMAGE, Origin.HUMAN),
        key=key(),
        created_at=NOW,
        marked=Mark(out, credentials(), sidecar=True),
    )
    assert only_active(out.read_bytes()) == out.read_bytes()


@pytest.mark.parametrize(
    "store",
    [
        b"",
        bytes(7),
        bytes(8),
        box(b"jumd", b""),
        box(b"jumb", b""),
        box(b"jumb", DESCRIPTION),
        box(b"jumb", FIRST + LAST),
        box(b"jumb", DESCRIPTION + box(b"free", b"")),
        box(b"jumb", DESCRIPTION + LAST) + b"more",
        box(b"jumb", DESCRIPTION + LAST)[:-1],
        long_box(b"jumb", DESCRIPTION + LAST)[:12],
    ],
)
def test_what_is_no_store_is_refused(store):
    with pytest.raises(CredentialsError, match="malformed"):
        only_active(store)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with suppress(CredentialsError):
        assert len(only_active(data)) <= len(data)
