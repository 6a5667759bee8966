"""What files say about training: the strictest answer, wherever it stands."""

import os

import pytest
from tests.unit.works.files import NOW, credentials, key, picture, signed, training

from zkinfer.circuits.errors import EngineCrashedError, InputError
from zkinfer.circuits.sandbox.child import run
from zkinfer.works import answers, consent
from zkinfer.works.answers import Consent
from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.consent import consents
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.terms import Terms

YES, SOME, NO = "allowed", "constrained", "notAllowed"
PROHIBITED = b"http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"
STORE = b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"
BOX = b"jumdc2ma\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71"


def marked(folder, terms, out="marked.png", *, sidecar=False):
    facts = Facts(Kind.IMAGE, Origin.HUMAN, Terms.preset(terms))
    source = picture(folder, "cat.png")
    marking = Mark(folder / out, credentials(), sidecar=sidecar)
    certify(source, facts, key=key(), created_at=NOW, marked=marking)
    return source if sidecar else folder / out


def changed(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


def answer(path):
    (found,) = consents([path])
    return found


def refused(path):
    """Why a file that cannot be read is refused."""
    found = answer(path)
    assert found.training == NO
    return found.reason


def test_silent_file_has_no_answer(tmp_path):
    assert consents([picture(tmp_path), picture(tmp_path, "b.jpg")]) == [Consent(None, "none")] * 2


# --- credentials in the file


@pytest.mark.parametrize(("terms", "found"), [("all-rights", NO), ("stock", NO), ("cc-by", SOME)])
def test_own_credentials_are_asked(tmp_path, terms, found):
    assert answer(marked(tmp_path, terms)) == Consent(found, "c2pa")


@pytest.mark.parametrize("prefix", ["cawg", "c2pa"])
@pytest.mark.parametrize("use", [YES, SOME, NO])
def test_newer_and_older_assertions_are_read(tmp_path, prefix, use):
    assert answer(signed(tmp_path / "a.png", training(use, prefix))) == Consent(use, "c2pa")


@pytest.mark.parametrize("order", [(YES, SOME, NO), (NO, YES, YES), (YES, NO, SOME)])
def test_strictest_of_several_assertions_holds(tmp_path, order):
    path = signed(tmp_path / "a.png", *map(training, order), training(YES, "c2pa"))
    assert answer(path) == Consent(NO, "c2pa")


@pytest.mark.parametrize(
    "assertion",
    [
        training(NO, ai_inference=YES),
        training(NO, ai_training="Allowed"),
        training(NO, ai_training=YES, ai_generative_training=NO),
        {"label": "cawg.training-mining", "data": {"entries": []}},
        {"label": "c2pa.training-mining", "data": {}},
    ],
    ids=["silent", "unknown", "split", "list", "empty"],
)
def test_assertion_without_a_clear_yes_is_a_no(tmp_path, assertion):
    assert answer(signed(tmp_path / "a.png", assertion)) == Consent(NO, "c2pa")


def test_parents_are_asked_too(tmp_path):
    parent = signed(tmp_path / "parent.png", training(NO))
    child = signed(tmp_path / "child.png", training(YES), parent=parent)
    grandchild = signed(tmp_path / "grandchild.png", parent=child)
    assert consents([child, grandchild]) == [Consent(NO, "c2pa")] * 2


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "gif"])
def test_yes_of_parents_and_child_is_a_yes_in_every_format(tmp_path, ending):
    """A TIFF keeps the parent's whole store beside its own."""
    parent = signed(tmp_path / f"parent.{ending}", training(YES))
    assert answer(signed(tmp_path / f"child.{ending}", training(YES), parent=parent)) == Consent(YES, "c2pa")


def test_credentials_without_the_question_have_no_answer(tmp_path):
    assert answer(signed(tmp_path / "a.png")) == Consent(None, "none")


def test_broken_signature_still_says_no(tmp_path):
    path = marked(tmp_path, "stock")
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    assert answer(path) == Consent(NO, "c2pa")


@pytest.mark.parametrize(("old", "new"), [(b"jumdc2pa", b"jumdxxxx"), (b"jumdc2ma", b"jumdxxxx")])
def test_credentials_that_do_not_parse_are_a_no_with_the_reason(tmp_path, old, new):
    path = changed(signed(tmp_path / "a.png", training(YES)), old, new)
    assert "credentials cannot be read" in refused(path)


def test_credentials_that_the_reader_overlooks_are_a_no(tmp_path):
    path = changed(signed(tmp_path / "a.png", training(YES)), b"caBX", b"caBY")
    assert "not where C2PA's reader looks" in refused(path)


def test_label_that_was_made_unknown_is_a_no(tmp_path):
    path = signed(tmp_path / "a.png", training(YES))
    at = path.read_bytes().rindex(b"cawg.training-mining\0")
    content = bytearray(path.read_bytes())
    content[at : at + 4] = b"xxxx"
    path.write_bytes(content)
    assert answer(path).training == NO


@pytest.mark.parametrize("use", [YES, SOME, NO])
def test_store_after_the_picture_is_read_too(tmp_path, use):
    one, other = signed(tmp_path / "a.png", training(YES)), signed(tmp_path / "b.png", training(use))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    assert answer(one) == Consent(use, "c2pa")


@pytest.mark.parametrize(
    "more", [b"\0\0\0\x30jumb\0\0\0\x20" + STORE, STORE, (b"\0\0\0\x30jumb\0\0\0\x20" + STORE) * 99]
)
def test_further_store_that_does_not_parse_is_a_no(tmp_path, more):
    path = signed(tmp_path / "a.png", training(YES))
    path.write_bytes(path.read_bytes() + more)
    assert "credentials cannot be read" in refused(path)


@pytest.mark.parametrize("name", ["a.bin", "a", "a.jpg", "a.txt", "a.mp4"])
def test_name_does_not_hide_credentials(tmp_path, name):
    path = signed(tmp_path / "a.png", training(NO)).rename(tmp_path / name)
    assert answer(path) == Consent(NO, "c2pa")


@pytest.mark.parametrize("content", [b"%PDF-1.7\n" + BOX, BOX, b"<svg><c2pa:manifest>AAAA</c2pa:manifest></svg>"])
def test_credentials_in_an_unknown_place_are_a_no(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    assert "credentials" in refused(tmp_path / "a.bin")


def test_credentials_in_variation_selectors_of_a_text_are_a_no(tmp_path):
    hidden = "".join(chr(0xE0100 - 16 + one) for one in b"C2PATXT") + "\ufe00\ufe01"
    (tmp_path / "a.txt").write_text(f"A story.\ufeff{hidden}", encoding="utf-8")
    assert "credentials" in refused(tmp_path / "a.txt")


def test_credentials_elsewhere_on_the_network_are_a_no(tmp_path):
    place = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="https://example.org/a.c2pa"/></rdf:RDF></x:xmpmeta>'
    )
    assert "https://example.org/a.c2pa" in refused(picture(tmp_path, "a.jpg", xmp=place.encode()))


def test_text_that_only_speaks_of_credentials_has_no_answer(tmp_path):
    (tmp_path / "a.txt").write_text("C2PA has the label c2pa.training-mining; dcterms:provenance is a property.")
    assert answer(tmp_path / "a.txt") == Consent(None, "none")


# --- sidecars


@pytest.mark.parametrize("name", ["cat.c2pa", "cat.png.c2pa", "CAT.C2PA", "cat.PNG.C2pa"])
def test_credentials_beside_a_file_are_asked(tmp_path, name):
    assert answer(marked(tmp_path, "stock", name, sidecar=True)) == Consent(NO, "c2pa")


@pytest.mark.parametrize("name", ["cat.xmp", "cat.png.xmp", "cat.XMP", "Cat.Png.Xmp"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be"])
def test_xmp_beside_a_file_is_asked(tmp_path, name, encoding):
    path = picture(tmp_path)
    (tmp_path / name).write_bytes(f'plus:DataMining="{PROHIBITED.decode()}"'.encode(encoding))
    assert answer(path) == Consent(NO, "xmp")


@pytest.mark.parametrize("name", ["cat.png.terms.toml", "cat.terms.toml", "cat.png.TERMS.toml", "CAT.Terms.TOML"])
def test_terms_beside_a_file_are_asked(tmp_path, name):
    path = picture(tmp_path)
    (tmp_path / name).write_text('training = "notAllowed"')
    assert answer(path) == Consent(NO, "terms")


def test_strictest_of_file_and_sidecars_holds(tmp_path):
    path = marked(tmp_path, "cc-by")
    assert answer(path) == Consent(SOME, "c2pa")
    (tmp_path / "marked.png.terms.toml").write_text('training = "allowed"')
    assert answer(path) == Consent(SOME, "c2pa")
    (tmp_path / "marked.xmp").write_bytes(PROHIBITED)
    assert answer(path) == Consent(NO, "xmp")


def test_yes_beside_a_silent_file_is_a_yes(tmp_path):
    path = picture(tmp_path)
    (tmp_path / "cat.png.terms.toml").write_text('training = "allowed"')
    assert answer(path) == Consent(YES, "terms")


@pytest.mark.parametrize("name", ["cat.c2pa", "cat.xmp", "cat.png.terms.toml"])
@pytest.mark.parametrize("make", ["folder", "pipe", "dangling", "large"])
def test_sidecar_that_cannot_be_read_is_a_no_by_name(tmp_path, name, make):
    path, side = picture(tmp_path), tmp_path / name
    if make == "folder":
        side.mkdir()
    elif make == "pipe":
        os.mkfifo(side)
    elif make == "dangling":
        side.symlink_to("nowhere")
    else:
        with side.open("wb") as file:
            file.truncate(answers.MAX_SIDECAR_BYTES + 1)
    assert name in refused(path)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0\0\0\x10jumb"])
def test_sidecar_without_credentials_is_a_no(tmp_path, content):
    path = picture(tmp_path)
    (tmp_path / "cat.c2pa").write_bytes(content)
    assert "credentials cannot be read" in refused(path)


@pytest.mark.parametrize("content", [b"training = 1", b"training =", b"\xff\xfe", b'training = "no"'])
def test_malformed_terms_are_a_no_with_the_reason(tmp_path, content):
    path = picture(tmp_path)
    (tmp_path / "cat.png.terms.toml").write_bytes(content)
    assert "cat.png.terms.toml" in refused(path)


def test_linked_file_has_the_sidecars_of_both_names(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "a.png").symlink_to(picture(kept, "b.png"))
    assert answer(tmp_path / "a.png") == Consent(None, "none")
    (kept / "b.png.terms.toml").write_text('training = "constrained"')
    assert answer(tmp_path / "a.png") == Consent(SOME, "terms")
    (tmp_path / "a.xmp").symlink_to(tmp_path / "said")
    (tmp_path / "said").write_bytes(PROHIBITED)
    assert answer(tmp_path / "a.png") == Consent(NO, "xmp")


# --- many files


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png"):
        consents([tmp_path / "gone.png"])


def test_files_are_read_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(consent, "BATCH", 2)
    paths = [tmp_path / f"{number}.txt" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(PROHIBITED if number == 3 else b"DMI-ALLOWED")
    assert [one.training for one in consents(paths)] == [YES, YES, YES, NO, YES]


def test_file_that_breaks_the_reader_is_a_no_and_the_others_are_read(tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.txt" for number in range(5)]
    for path in paths:
        path.write_bytes(b"DMI-ALLOWED")

    def broken_by_the_third(function, arguments, **options):
        if str(paths[2]) in str(arguments):
            raise EngineCrashedError("The child died.")
        return run(function, arguments, **options)

    monkeypatch.setattr(consent, "run", broken_by_the_third)
    found = consents(paths)
    assert [one.training for one in found] == [YES, YES, NO, YES, YES]
    assert found[2].reason == "it could not be read safely: The child died."


def test_limits_of_the_child_end_a_file_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(consent, "_MEMORY", 100_000_000)
    assert "could not be read safely" in refused(picture(tmp_path))
