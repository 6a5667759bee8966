"""Keys, credentials and certificates for tests."""

import json
from datetime import UTC, datetime
from functools import cache
from mimetypes import guess_type

import c2pa
from tests.unit.works.pictures import drawing

from zkinfer.verifier import SigningKey
from zkinfer.works.credentials import Credentials
from zkinfer.works.keys import issue

NOW = datetime.now(UTC).replace(microsecond=0)


@cache
def issued():
    return issue("Ann Artist")


def credentials():
    return Credentials(issued().chain, issued().key)


@cache
def key():
    return SigningKey.generate()


def root(folder):
    path = folder / "root.pem"
    path.write_bytes(issued().root)
    return path


def picture(folder, name="cat.png", seed=1, **options):
    path = folder / name
    drawing(seed).save(path, **options)
    return path


def training(use, prefix="cawg", **entries):
    """An assertion that answers all questions alike, or these ones."""
    names = ("ai_training", "ai_generative_training", "data_mining", "ai_inference")
    given = entries or dict.fromkeys(names, use)
    return {
        "label": f"{prefix}.training-mining",
        "data": {"entries": {f"{prefix}.{name}": {"use": one} for name, one in given.items()}},
    }


def signed(out, *assertions, parent=None):
    """A picture with credentials that say this; made from a parent of the same format, if there is one."""
    source = parent or picture(out.parent, f"plain-{out.name}")
    media_type = guess_type(out.name)[0]
    manifest = {"claim_generator_info": [{"name": "t"}], "format": media_type, "assertions": list(assertions)}
    with c2pa.Builder(manifest, c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})) as builder:
        if parent is None:
            builder.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CREATION)
        else:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            with parent.open("rb") as file:
                builder.add_ingredient(json.dumps({"relationship": "parentOf"}), media_type, file)
        own = credentials()
        signer = c2pa.Signer.from_callback(own.signer.sign, c2pa.C2paSigningAlg.ES256, own.chain.decode(), None)
        with source.open("rb") as plain, out.open("w+b") as copy:
            builder.sign(signer, media_type, plain, copy)
    return out
