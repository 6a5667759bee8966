"""Keys, credentials and certificates for tests."""

from datetime import UTC, datetime
from functools import cache

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
