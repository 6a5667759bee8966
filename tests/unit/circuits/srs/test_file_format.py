import io
import re

import pytest

from zkinfer.circuits.errors import SetupError
from zkinfer.circuits.srs import ceremonies, file_format
from zkinfer.circuits.srs.bn254 import FIELD, GENERATOR


def outline(data):
    return file_format.read_outline(io.BytesIO(data), "file")


def test_outline_of_a_valid_file_has_k_and_tau(dev_bytes):
    found = outline(dev_bytes)
    assert (found.k, found.tau_g2) == (3, ceremonies.by_name("insecure-dev").tau_g2)


@pytest.mark.parametrize(("k", "size"), [(1, 516), (11, 262404), (26, 8589934852)])
def test_file_size_of_known_files_is_right(k, size):
    assert file_format.file_size(k) == size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "too few"),
        (lambda data: data[:-1], "truncated: 1 bytes are missing"),
        (lambda data: data + b"\0", "1 bytes too many"),
        (lambda data: b"\2" + data[1:], "too many for k = 2"),
        (lambda data: b"\4" + data[1:], "truncated"),
        (lambda data: b"\0" + data[1:], "k = 0, outside 1 to 26"),
        (lambda data: b"ptau" + data[4:], "not a trusted setup"),
        (lambda data: data[:-256] + data[-128:] * 2, "not the generator"),
        (lambda data: data[:-32] + b"\xff" * 32, "outside the field"),
    ],
)
def test_outline_of_a_damaged_file_is_refused(dev_bytes, change, message):
    with pytest.raises(SetupError, match=message):
        outline(change(dev_bytes))


@pytest.mark.parametrize("k", [-1, 0, 27])
def test_require_k_outside_the_range_is_refused(k):
    with pytest.raises(SetupError, match=re.escape(f"2^{k} powers")):
        file_format.require_k(k)


def test_decode_g1_of_encoded_points_returns_them():
    assert file_format.decode_g1(file_format.encode_g1([GENERATOR] * 2), "monomial", 0) == [GENERATOR] * 2


def test_decode_g1_of_infinity_is_refused():
    raw = file_format.encode_g1([GENERATOR, None])
    with pytest.raises(SetupError, match="Point 8 of the Lagrange part is not on the curve"):
        file_format.decode_g1(raw, "Lagrange", 7)


def test_decode_g1_of_a_coordinate_plus_the_modulus_is_refused():
    raw = file_format.encode_g1([GENERATOR, GENERATOR])
    x = int.from_bytes(raw[64:96], "little") + FIELD
    with pytest.raises(SetupError, match="Point 1 of the monomial part has a coordinate outside"):
        file_format.decode_g1(raw[:64] + x.to_bytes(32, "little") + raw[96:], "monomial", 0)


def test_encode_g2_of_a_decoded_point_returns_its_bytes(dev_bytes):
    assert file_format.encode_g2(file_format.decode_g2(dev_bytes[-128:])) == dev_bytes[-128:]
