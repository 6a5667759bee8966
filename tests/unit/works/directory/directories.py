"""Works on an embedded chain, and directories that follow them."""

from dataclasses import dataclass, replace
from pathlib import Path

from tests.unit.contracts.deployed import rolled_back
from tests.unit.contracts.work_scene import WorkScene, image
from tests.unit.works.files import NOW, credentials, key, picture

from zkinfer.chain.blocks import Blocks
from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.directory.files import Folder
from zkinfer.works.directory.follow import Follower, Sources
from zkinfer.works.directory.lookup import Directory
from zkinfer.works.directory.store import Store
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.terms import Terms

__all__ = ["Followed", "followed", "rolled_back", "signed_work"]


@dataclass
class Followed:
    """A directory and what it follows."""

    scene: WorkScene
    url: str
    store: Store
    folder: Path

    def follow(self, **options):
        """Follow up to the newest block."""
        blocks = Blocks(self.scene.chain._web3)
        sources = Sources(blocks, **{"confirmations": 1} | options)
        return Follower(self.store, sources, self.scene.works.address).follow()

    def read_files(self):
        return Folder(self.store, self.folder).read()

    def directory(self, **options):
        return Directory(self.url, **options)

    def register(self, number=1, account=1, **changes):
        """Register an image of an account; returns its id."""
        what = changes.pop("what", None) or image(number, **changes)
        works, _ = self.scene.as_(account)
        works.register(what, self.scene.address(account))
        return f"0x{works.id_of(self.scene.address(account), what.content):064x}"


def followed(scene, folder, url=None):
    url = url or f"sqlite:///{folder}/works.db"
    files = folder / "certificates"
    files.mkdir(exist_ok=True)
    return Followed(scene, url, Store.open(url), files)


def signed_work(found, seed=1, name="cat.jpg", origin=Origin.HUMAN, marked="", **options):
    """A certified picture and its registration, with C2PA credentials embedded or beside it if asked."""
    path = picture(found.folder, name, seed, quality=92)
    out = None
    if marked:
        out = found.folder / (f"{name}.c2pa" if marked == "sidecar" else f"signed-{name}")
    mark = None if out is None else Mark(out, credentials(), marked == "sidecar")
    facts = Facts(Kind.IMAGE, origin, Terms.preset("stock"), creator="Ann")
    certificate = certify(path, facts, key=key(), created_at=NOW, marked=mark)
    certificate.write(found.folder / f"{name}.json")
    what = image(
        content="0x" + certificate.sha256,
        origin=str(origin),
        attestation="0x" + certificate.digest.value.hex(),
        pixels=certificate.predicate.content.pixels,
    )
    if certificate.predicate.manifest is not None:
        what = replace(what, manifest="0x" + certificate.predicate.manifest)
    return (out if marked == "embedded" else path), certificate, what
