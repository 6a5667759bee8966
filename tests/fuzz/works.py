"""Parsers of works' files as targets, see `tests.fuzz.targets`.

Pictures and their metadata are read here as the child of `zkinfer.works` reads them: there, what is found here would
end a child alone.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from PIL import Image
from tests.unit.works.files import NOW, key, picture, signed, training
from tests.unit.works.pictures import drawing

from zkinfer.contracts.signers import unsafe_dev_account
from zkinfer.contracts.works import Registration
from zkinfer.works import answers
from zkinfer.works import picture as pictures
from zkinfer.works.agreement import Agreement, sign_agreement
from zkinfer.works.certificate import Certificate
from zkinfer.works.certify import Facts, certify
from zkinfer.works.commitment import Commitment
from zkinfer.works.dataset import Asset, Dataset
from zkinfer.works.errors import CredentialsError
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.manifest_store import embedded_store
from zkinfer.works.statement import Rights
from zkinfer.works.terms import PRESETS, Terms
from zkinfer.works.vocabularies import to_cawg, to_content_usage, to_erc7517, to_pil, to_plus, to_tdmrep

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PIXELS = 1 << 20
_WORD, _ADDRESS = "0x" + "5a" * 32, "0x" + "5a" * 20
_WORK = Registration(_WORD, "image", "human", pixels=_WORD, licences=(7,), offers=(_WORD,), uri="https://w.example/1")
_TERMS = """
preset = "cc-by"
training = "notAllowed"
policy = "https://example.org/terms"

[[offer]]
uses = ["commercial", "attribution"]
text = "Use it."
uri = "https://example.org/licence"
price = "0.01ether"
share = 10.5
days = 365
"""


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def read_certificate(data: bytes) -> object:
    """The form and the signature."""
    return Certificate.from_bytes(data).verified()


def certificates() -> list[bytes]:
    """Of a picture, with and without terms."""
    with tempfile.TemporaryDirectory() as folder:
        path = picture(Path(folder))
        facts = [Facts(Kind.IMAGE, Origin.HUMAN, Terms.preset("stock")), Facts(Kind.OTHER, Origin.UNSTATED)]
        return [certify(path, one, key=key(), created_at=NOW).to_bytes() for one in facts]


def read_terms(data: bytes) -> object:
    """The terms, and what certificates and other vocabularies say of them."""
    found = Terms.from_bytes(data)
    rights = Rights.model_validate_json(found.rights.model_dump_json())
    others = to_cawg(rights), to_content_usage(rights), to_erc7517(rights), to_plus(rights), to_tdmrep(rights)
    return others, [(one.claim, to_pil(one)) for one in found.offers]


def terms() -> list[bytes]:
    """Of every preset, and some that a person wrote."""
    return [_TERMS.encode(), *(f'preset = "{name}"'.encode() for name in PRESETS)]


def datasets() -> list[bytes]:
    """With one asset, and with several of two contributors."""
    assets = [
        Asset(
            name=f"{number}.png",
            sha256=f"{number:064x}",
            media_type="image/png",
            contributor=f"0x{number % 2:040x}",
            weight=number + 1,
            consent="constrained" if number == 3 else "unstated",
            source="c2pa" if number == 3 else "none",
            licence=9 if number == 3 else None,
        )
        for number in range(5)
    ]
    return [Dataset.of(assets[:count]).to_bytes() for count in (1, 5)]


def read_agreement(data: bytes) -> object:
    """A creator's signed registration, and what of it is sent to the contract."""
    with _file(data) as path:
        found = Agreement.read(path)
    digest = found.registration.digest(found.chain_id, found.works, found.creator, found.deadline)
    return found.registration.fields, found.signature_bytes, digest


def agreements() -> list[bytes]:
    """One signed by an account."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "agreement")
        sign_agreement(_WORK, 31337, _ADDRESS, 2_000_000_000, unsafe_dev_account(0, 31337)).write(path)
        return [path.read_bytes()]


def read_commitment(data: bytes) -> object:
    """A commitment with its salt, and what of it is sent to the contract."""
    with _file(data) as path:
        return Commitment.read(path).digest


def commitments() -> list[bytes]:
    """One with a fixed salt."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "commitment")
        Commitment(1, _ADDRESS, _ADDRESS, _WORD, _WORD, "0x" + "11" * 32).write(path)
        return [path.read_bytes()]


def read_picture(data: bytes) -> object:
    """The pixels, up to a megapixel: larger ones would take most of the time."""
    with (
        _file(data) as path,
        _file(b"") as out,
        mock.patch.object(pictures, "MAX_PIXELS", _MAX_PIXELS),
        mock.patch.object(Image, "MAX_IMAGE_PIXELS", None),
    ):
        return pictures.decode(str(path), str(out))


def small_pictures() -> list[bytes]:
    """One in each format, one with a palette and one with alpha."""
    small = drawing().resize((16, 16))
    kinds = [(small, kind) for kind in pictures.FORMATS]
    return [_saved(*one) for one in (*kinds, (small.convert("P"), "PNG"), (small.convert("RGBA"), "WEBP"))]


def _saved(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def read_consent(data: bytes) -> object:
    """The bytes as a file, and as each kind of sidecar beside it."""
    with _file(data) as path:
        return answers.read_here([(str(path), [(kind, str(path)) for kind in ("c2pa", "xmp", "terms")])])


def statements() -> list[bytes]:
    """Credentials, XMP and terms that answer the question."""
    with tempfile.TemporaryDirectory() as folder:
        credentials = signed(Path(folder, "a.png"), training("allowed"), training("notAllowed", "c2pa")).read_bytes()
    store = credentials[credentials.index(b"caBX") + 4 : credentials.index(b"IDAT")]
    plus = b'<rdf:Description plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/>'
    out = io.BytesIO()
    drawing().resize((16, 16)).save(out, "JPEG", xmp=plus)
    return [credentials, store, plus, plus.decode().encode("utf-16"), out.getvalue(), _TERMS.encode()]


def read_store(data: bytes) -> object:
    """The manifest store in a picture, which can have no byte that the picture has not."""
    found = embedded_store(data)
    if len(found) > len(data):
        raise AssertionError("a store is larger than its file")
    if not found:
        raise CredentialsError("There is no store.")
    return found


def stores() -> list[bytes]:
    """Pictures with a manifest store's place in them."""
    png = b"\x89PNG\r\n\x1a\n\0\0\0\4caBXjumb\0\0\0\0"
    jpeg = b"\xff\xd8\xff\xeb\0\x16JP\0\1\0\0\0\1\0\0\0\x0cjumbbody\xff\xd9"
    return [png, jpeg, b"RIFF\x14\0\0\0WEBPC2PA\4\0\0\0jumb"]
