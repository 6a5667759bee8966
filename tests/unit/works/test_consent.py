"""What files say about training: the strictest answer, wherever it stands."""

import pytest
from PIL import Image, PngImagePlugin
from tests.unit.works.files import NOW, credentials, key, picture
from tests.unit.works.pictures import drawing

from zkinfer.circuits.errors import InputError
from zkinfer.works import consent
from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.consent import Consent, consents
from zkinfer.works.errors import TermsError
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.terms import Terms

YES, SOME, NO = "allowed", "constrained", "notAllowed"
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-{}"/>'


def marked(folder, terms):
    out = folder / f"{terms}.png"
    facts = Facts(Kind.IMAGE, Origin.HUMAN, Terms.preset(terms))
    certify(picture(folder, f"plain-{terms}.png"), facts, key=key(), created_at=NOW, marked=Mark(out, credentials()))
    return out


def with_xmp(path, word):
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.format(word), zip=True)
        drawing().save(path, pnginfo=info)
    elif path.suffix == ".tif":
        drawing().save(path, tiffinfo={700: XMP.format(word).encode()})
    else:
        drawing().save(path, xmp=XMP.format(word).encode())
    return path


def test_silent_file_has_no_answer(tmp_path):
    assert consents([picture(tmp_path), picture(tmp_path, "b.jpg")]) == [Consent(None, "none")] * 2


@pytest.mark.parametrize(("terms", "training"), [("all-rights", NO), ("stock", NO), ("cc-by", SOME)])
def test_credentials_are_asked(tmp_path, terms, training):
    assert consents([marked(tmp_path, terms)]) == [Consent(training, "c2pa")]


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tif", "a.png"])
@pytest.mark.parametrize(
    ("word", "training"),
    [
        ("PROHIBITED", NO),
        ("PROHIBITED-GENAIMLTRAINING", NO),
        ("PROHIBITED-SEECONSTRAINT", SOME),
        ("ALLOWED", YES),
        ("NEW", NO),
    ],
)
def test_metadata_are_asked_even_compressed(tmp_path, name, word, training):
    assert consents([with_xmp(tmp_path / name, word)]) == [Consent(training, "xmp")]


def test_terms_beside_a_file_are_asked(tmp_path):
    path = picture(tmp_path)
    path.with_name("cat.png.terms.toml").write_text('training = "notAllowed"')
    assert consents([path]) == [Consent(NO, "terms")]


def test_strictest_answer_holds(tmp_path):
    path = with_xmp(tmp_path / "a.jpg", "PROHIBITED")
    path.with_name("a.jpg.terms.toml").write_text('training = "allowed"')
    assert consents([path]) == [Consent(NO, "xmp")]


def test_broken_credentials_still_say_no(tmp_path):
    path = marked(tmp_path, "stock")
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    assert consents([path]) == [Consent(NO, "c2pa")]


def test_malformed_terms_are_refused(tmp_path):
    path = picture(tmp_path)
    path.with_name("cat.png.terms.toml").write_text("training = 1")
    with pytest.raises(TermsError):
        consents([path])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png"):
        consents([tmp_path / "gone.png"])


def test_files_are_read_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(consent, "BATCH", 2)
    paths = [with_xmp(tmp_path / f"{number}.jpg", "PROHIBITED" if number == 3 else "ALLOWED") for number in range(5)]
    assert [one.training for one in consents(paths)] == [YES, YES, YES, NO, YES]


def test_text_is_read_too(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("plus:DataMining http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING")
    assert consents([path]) == [Consent(NO, "xmp")]
    assert Image.MAX_IMAGE_PIXELS  # nothing was decoded here
