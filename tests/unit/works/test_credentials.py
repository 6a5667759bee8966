"""C2PA credentials, as c2pa-python sees them."""

import pytest
from PIL import Image
from tests.unit.works.files import NOW, credentials, issued, key, picture, root

from zkinfer.circuits.errors import InputError
from zkinfer.verifier import SigningKey
from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.content import open_content
from zkinfer.works.credentials import LABEL, Credentials, read_marks
from zkinfer.works.errors import CredentialsError
from zkinfer.works.kinds import SOURCE_TYPES, Kind, Origin
from zkinfer.works.terms import Terms


def marked(folder, name="cat.png", origin=Origin.GENERATED, sidecar=False, **options):
    path = picture(folder, name, **options)
    out = folder / ("cat.c2pa" if sidecar else f"signed-{name}")
    facts = Facts(Kind.IMAGE, origin, Terms.preset("stock"))
    certificate = certify(path, facts, key=key(), created_at=NOW, marked=Mark(out, credentials(), sidecar))
    return path, out, certificate


@pytest.mark.parametrize("name", ["cat.png", "cat.jpg", "cat.webp", "cat.gif", "cat.tif"])
def test_marked_file_is_trusted_with_our_root_and_valid_without(tmp_path, name):
    _, out, certificate = marked(tmp_path, name)
    media_type = open_content(out).media_type
    found = read_marks(out, media_type, root=root(tmp_path))
    assert (found.state, found.problems, found.issuer) == ("Trusted", (), "Ann Artist")
    assert found.iscc == certificate.predicate.content.iscc256
    assert found.assertions[LABEL] == {"evidence": "claimed"}
    assert read_marks(out, media_type).state == "Valid"


@pytest.mark.parametrize("origin", Origin)
def test_source_type_is_that_of_the_origin(tmp_path, origin):
    _, out, _ = marked(tmp_path, origin=origin)
    assert read_marks(out, "image/png").source_type == SOURCE_TYPES.get(origin, "")


def test_consent_to_training_is_in_the_file(tmp_path):
    _, out, _ = marked(tmp_path)
    entries = read_marks(out, "image/png").assertions["cawg.training-mining"]["entries"]
    assert entries["cawg.ai_training"]["use"] == "notAllowed"


@pytest.mark.parametrize("what", ["picture", "end", "source", "consent", "fingerprint", "signer"])
def test_one_changed_byte_is_invalid(tmp_path, what):
    """In the picture or in what is signed; C2PA leaves the padding of its manifest unsigned."""
    _, out, certificate = marked(tmp_path, "cat.jpg")
    content = bytearray(out.read_bytes())
    signed = {
        "source": b"trainedAlgorithmicMedia",
        "consent": b"notAllowed",
        "fingerprint": certificate.predicate.content.iscc256.encode(),
        "signer": b"Ann Artist",
    }
    places = {"picture": len(content) - 1000, "end": len(content) - 3}
    place = places[what] if what in places else content.index(signed[what])
    content[place] ^= 1
    out.write_bytes(content)
    found = read_marks(out, "image/jpeg", root=root(tmp_path))
    assert found.state == "Invalid"
    assert found.problems


def test_credentials_are_small(tmp_path):
    path, out, _ = marked(tmp_path)
    assert out.stat().st_size - path.stat().st_size < 20_000


def test_sidecar_belongs_to_its_file_alone(tmp_path):
    path, side, certificate = marked(tmp_path, sidecar=True)
    found = read_marks(path, "image/png", root=root(tmp_path), sidecar=side)
    assert (found.state, found.store) == ("Trusted", certificate.predicate.manifest)
    other = picture(tmp_path, "other.png", seed=2)
    assert read_marks(other, "image/png", root=root(tmp_path), sidecar=side).state == "Invalid"


@pytest.mark.parametrize("content", [b"", b"no certificate", "wörter".encode()])
def test_roots_that_are_no_certificates_are_refused(tmp_path, content):
    _, out, _ = marked(tmp_path)
    roots = tmp_path / "roots.pem"
    roots.write_bytes(content)
    with pytest.raises(InputError, match="no certificates in PEM"):
        read_marks(out, "image/png", root=roots)


def test_file_without_credentials_has_none(tmp_path):
    assert read_marks(picture(tmp_path), "image/png").state == "none"


def test_saved_again_the_credentials_are_gone(tmp_path):
    _, out, _ = marked(tmp_path, "cat.jpg")
    Image.open(out).save(tmp_path / "again.jpg", quality=50)
    assert read_marks(tmp_path / "again.jpg", "image/jpeg").state == "none"


def test_certificate_that_signs_itself_is_refused(tmp_path):
    path = picture(tmp_path)
    alone = issued().chain.split(b"-----END CERTIFICATE-----\n")[1] + b"-----END CERTIFICATE-----\n"
    facts = Facts(Kind.IMAGE, Origin.HUMAN)
    wrong = Mark(tmp_path / "out.png", Credentials(alone, SigningKey.generate("ecdsa-p256")))
    with pytest.raises(CredentialsError, match="refused to sign"):
        certify(path, facts, key=key(), created_at=NOW, marked=wrong)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" * 100, b"RIFF\xff\xff\xff\xffWEBP"])
def test_damaged_file_has_no_valid_credentials(tmp_path, data):
    path = tmp_path / "bad"
    path.write_bytes(data)
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        assert read_marks(path, media_type).state in ("none", "Invalid")
