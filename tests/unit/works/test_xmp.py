"""The data mining property in bytes: every packing of XMP, every encoding, every way to write it."""

import gzip
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from tests.unit.works.pictures import drawing

from zkinfer.works.errors import ContentError
from zkinfer.works.xmp import MAX_UNPACKED, training_in, unpacked

YES, SOME, NO = "allowed", "constrained", "notAllowed"
URI = "http://ns.useplus.org/ldf/vocab/DMI-{}"
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description plus:DataMining="' + URI + '"/>'
TEXT = XMP.format("PROHIBITED").encode()


def found(data):
    return training_in(data), training_in(unpacked(data))


def saved(kind, **options):
    out = io.BytesIO()
    drawing().save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def png(*chunks, after=False):
    """A PNG with text chunks, before or after its pixels."""
    data = saved("PNG")
    place = data.index(b"IEND") - 4 if after else data.index(b"IDAT") - 4
    return data[:place] + b"".join(chunk(*one) for one in chunks) + data[place:]


def raw_profile(text, name=b"xmp"):
    return (
        b"Raw profile type "
        + name
        + b"\0\0"
        + zlib.compress(b"\n%s\n%8d\n%s\n" % (name, len(text), text.hex().encode()))
    )


def extended(*pieces, guid=b"0" * 32):
    """JPEG segments of extended XMP, each with its offset."""
    total = sum(len(piece) for _, piece in pieces)
    segments = b""
    for offset, piece in pieces:
        body = (
            b"http://ns.adobe.com/xmp/extension/\0"
            + guid
            + total.to_bytes(4, "big")
            + offset.to_bytes(4, "big")
            + piece
        )
        segments += b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return saved("JPEG")[:2] + segments + saved("JPEG")[2:]


@pytest.mark.parametrize(
    ("word", "training"),
    [
        ("ALLOWED", YES),
        ("PROHIBITED", NO),
        ("PROHIBITED-AIMLTRAINING", NO),
        ("PROHIBITED-GENAIMLTRAINING", NO),
        ("PROHIBITED-EXCEPTSEARCHENGINEINDEXING", NO),
        ("PROHIBITED-SEECONSTRAINT", SOME),
        ("PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", SOME),
        ("UNSPECIFIED", None),
        ("NEW", NO),
        ("ALLOWED-FOR-SOME", NO),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_every_word_is_read_in_every_encoding(word, training, encoding):
    assert training_in(XMP.format(word).encode(encoding)) == training


@pytest.mark.parametrize(
    "text",
    [
        f'<rdf:Description plus:DataMining="{URI}"/>',
        f"<plus:DataMining>{URI}</plus:DataMining>",
        f"<plus:DataMining>\n  {URI}\n</plus:DataMining>",
        f'<plus:DataMining rdf:resource="{URI}"/>',
        f"<p:DataMining xmlns:p='http://ns.useplus.org/ldf/xmp/1.0/'>{URI}</p:DataMining>",
        "DMI-{}",
        "dmi-{}",
        f'"plus:DataMining": "{URI}"',
    ],
)
def test_property_is_read_as_attribute_and_as_element(text):
    assert training_in(text.format("PROHIBITED").encode()) == NO


def test_strictest_word_holds():
    assert training_in((XMP.format("ALLOWED") + XMP.format("PROHIBITED-SEECONSTRAINT")).encode()) == SOME
    assert training_in((XMP.format("PROHIBITED") + XMP.format("ALLOWED")).encode()) == NO


@pytest.mark.parametrize(
    "value", ["", "no", URI.format("&#80;ROHIBITED"), "http://ns.useplus.org/ldf/vocab/D&#77;I-PROHIBITED"]
)
def test_property_with_an_unknown_value_is_a_no(value):
    text = f'<rdf:Description xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" plus:DataMining="{value}"/>'
    assert training_in(text.encode()) == NO


@pytest.mark.parametrize("data", [b"", b"xdmi-k", b"DMI-", b"DMI-ALLOW", b"plus:DataMining", b"topic:datamining = new"])
def test_letters_by_chance_are_no_answer(data):
    assert training_in(data) is None


@pytest.mark.parametrize(
    "data",
    [
        saved("JPEG", xmp=TEXT),
        saved("WEBP", xmp=TEXT),
        saved("TIFF", tiffinfo={700: TEXT}),
        saved("TIFF", tiffinfo={700: TEXT}, compression="tiff_lzw"),
        saved("GIF", comment=TEXT),
        saved("PNG") + TEXT,
        png((b"tEXt", b"XML:com.adobe.xmp\0" + TEXT)),
    ],
    ids=["jpeg", "webp", "tiff", "tiff-lzw", "gif", "after", "png"],
)
def test_plain_xmp_is_found(data):
    assert found(data)[0] == NO


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(TEXT)),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0en\0t\0" + zlib.compress(TEXT)),
        (b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(TEXT)),
        (b"zTXt", raw_profile(TEXT)),
        (b"zTXt", raw_profile(b"http://ns.adobe.com/xap/1.0/\0" + TEXT, b"APP1")),
        (b"tEXt", b"Raw profile type xmp\0\nxmp\n%8d\n%s\n" % (len(TEXT), TEXT.hex().encode())),
    ],
    ids=["itxt", "itxt-named", "ztxt", "hex", "hex-app1", "hex-plain"],
)
def test_packed_xmp_of_png_is_found_before_and_after_the_pixels(text, after):
    assert found(png(text, after=after)) == (None, NO)


def test_compressed_xmp_as_a_library_writes_it_is_found():
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", TEXT.decode(), zip=True)
    assert found(saved("PNG", pnginfo=info)) == (None, NO)
    assert Image.MAX_IMAGE_PIXELS  # nothing was decoded here


def test_packed_xmp_of_a_damaged_picture_is_found():
    data = png((b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(TEXT)))
    assert found(b"\0" + data[9:-40]) == (None, NO)


@pytest.mark.parametrize("cut", range(len(XMP) - 10, len(XMP), 3))
@pytest.mark.parametrize("order", [1, -1])
def test_extended_xmp_of_jpeg_is_joined_in_order(cut, order):
    cut = TEXT.index(b"DMI") + cut % 7 + 1
    pieces = [(0, TEXT[:cut]), (cut, TEXT[cut:])]
    assert found(extended(*pieces[::order]))[1] == NO


def test_compressed_metadata_of_pdf_are_found():
    packed = zlib.compress(TEXT)
    head = b"%PDF-1.7\n1 0 obj\n<< /Type /Metadata /Subtype /XML /Filter /FlateDecode /Length 99 >>\nstream\r\n"
    assert found(head + packed + b"\nendstream") == (None, NO)


@pytest.mark.parametrize(
    "body",
    [
        b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(MAX_UNPACKED + 1)),
        b"XML:com.adobe.xmp\0\0" + zlib.compress(TEXT)[:-9],
        b"XML:com.adobe.xmp\0\0nothing",
        b"Raw profile type xmp\0\0" + zlib.compress(b"\nxmp\n 3\nxyz"),
        b"Raw profile type xmp\0\0" + zlib.compress(b"\nxmp"),
    ],
    ids=["large", "cut", "other", "digits", "short"],
)
def test_xmp_that_cannot_be_unpacked_is_refused(body):
    with pytest.raises(ContentError):
        unpacked(png((b"zTXt", body)))


def test_many_packets_share_one_limit():
    body = b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(MAX_UNPACKED // 2 + 1))
    with pytest.raises(ContentError):
        unpacked(png((b"zTXt", body), (b"zTXt", body)))


def test_archives_are_not_opened():
    assert found(gzip.compress(TEXT)) == (None, None)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    """As they are, and in every place where something is unpacked."""
    for one in (data, png((b"iTXt", b"XML:com.adobe.xmp\0" + data)), png((b"zTXt", b"Raw profile type xmp\0" + data))):
        training_in(one)
        try:
            unpacked(one)
        except ContentError:
            continue
