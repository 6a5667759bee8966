import json
from dataclasses import replace
from hashlib import sha256

import pytest
from sqlalchemy import select
from tests.unit.contracts.work_scene import image
from tests.unit.works.directory.directories import signed_work
from tests.unit.works.files import NOW

from zkinfer.circuits.errors import InputError
from zkinfer.v1.works_pb2 import LookupWorkRequest
from zkinfer.verifier import SigningKey
from zkinfer.works.certificate import Certificate, sign_certificate
from zkinfer.works.directory.files import Folder
from zkinfer.works.directory.tables import certificates
from zkinfer.works.errors import NotIndexedError
from zkinfer.works.iscc import encode
from zkinfer.works.kinds import Kind, Origin
from zkinfer.works.manifest_store import ManifestStore
from zkinfer.works.statement import ChainClaim


@pytest.mark.parametrize("name", ["cat.jpg", "cat.png", "cat.webp"])
def test_certificate_and_embedded_store_of_a_registered_work_are_taken(found, name):
    path, certificate, what = signed_work(found, name=name, marked="embedded")
    work = found.register(what=what)
    found.follow()
    report = found.read_files()
    assert sorted(report.taken) == [f"{name}.json", path.name]
    with found.directory() as directory:
        told = directory.work(work)
        assert (told.certificate.sha256, told.certificate.name) == (certificate.sha256, path.name)
        assert told.certificate.key == certificate.verified().fingerprint
        assert told.certificate.iscc256 == certificate.predicate.content.iscc256
        store = directory.manifest(told.certificate.manifest_id)
    assert store in path.read_bytes() or name == "cat.jpg"  # which JPEG splits into segments


def test_sidecar_is_taken_without_a_certificate(found):
    _, _, what = signed_work(found, marked="sidecar")
    found.register(what=what)
    (found.folder / "cat.jpg.json").unlink()
    found.follow()
    assert found.read_files().taken == ["cat.jpg.c2pa"]
    with found.directory() as directory:
        (bound,) = directory.manifests_by_content((found.folder / "cat.jpg").read_bytes())
        assert bound.similarity == 100
        assert directory.manifest(bound.manifest_id) == (found.folder / "cat.jpg.c2pa").read_bytes()
        with pytest.raises(NotIndexedError):
            directory.manifest("urn:c2pa:other")


def test_files_that_no_work_names_are_left(found):
    signed_work(found, marked="sidecar")
    found.register(1)
    found.follow()
    report = found.read_files()
    assert report.taken == []
    assert set(report.left) == {"cat.jpg", "cat.jpg.json", "cat.jpg.c2pa"}
    assert "names C2PA credentials in it" in report.left.pop("cat.jpg")
    assert set(report.left.values()) == {"no registered work names it by its SHA-256"}


def test_picture_whose_credentials_are_known_is_left_for_that_reason(found):
    path, _, what = signed_work(found, marked="embedded")
    found.register(what=what)
    found.follow()
    assert path.name in found.read_files().taken
    assert "or they are known already" in found.read_files().left[path.name]


def test_file_that_waits_for_its_work_is_taken_later_and_once(found):
    _, _, what = signed_work(found)
    found.follow()
    folder = Folder(found.store, found.folder)
    assert folder.read().taken == []
    found.register(what=what)
    found.follow()
    assert [folder.read().taken for _ in range(2)] == [["cat.jpg.json"], []]


def test_certificate_whose_signature_is_wrong_is_left_though_a_work_names_it(found):
    _, certificate, what = signed_work(found)
    envelope = replace(certificate.envelope, signature=SigningKey.generate().sign(certificate.envelope.signed_bytes))
    forged = Certificate(envelope, certificate.statement)
    forged.write(found.folder / "cat.jpg.json")
    found.register(what=replace(what, attestation="0x" + forged.digest.value.hex()))
    found.follow()
    report = found.read_files()
    assert report.taken == []
    assert "signature" in report.left["cat.jpg.json"]


def test_named_files_that_are_neither_certificates_nor_stores_are_left(found):
    other = found.folder / "note.json"
    other.write_text(json.dumps({"a": 1}))
    store = found.folder / "note.c2pa"
    store.write_bytes(b"no store")
    digests = ("0x" + sha256(one.read_bytes()).hexdigest() for one in (other, store))
    found.register(what=image(1, attestation=next(digests), manifest=next(digests)))
    found.follow()
    report = found.read_files()
    assert report.taken == []
    assert "does not have the C2PA credentials" in report.left["note.c2pa"]
    assert "note.json" in report.left


def test_code_of_a_flat_picture_is_kept_out_of_look_ups(found):
    _, certificate, what = signed_work(found)
    content = certificate.predicate.content.model_copy(update={"iscc64": encode(0, 64), "iscc256": encode(0, 256)})
    facts = {"content": content, "kind": Kind.IMAGE, "origin": Origin.HUMAN, "evidence": certificate.predicate.evidence}
    flat = sign_certificate(facts, name="flat", file=certificate.sha256, key=SigningKey.generate(), created_at=NOW)
    flat.write(found.folder / "flat.json")
    found.register(what=replace(what, attestation="0x" + flat.digest.value.hex()))
    found.follow()
    assert "flat.json" in found.read_files().taken
    with found.store.database.reading() as connection:
        kept = connection.execute(select(certificates.c.bits64, certificates.c.bits256)).one()
    assert tuple(kept) == (None, None)


def test_certificate_that_names_a_work_counts_for_no_other(found):
    _, certificate, what = signed_work(found)
    scene = found.scene
    own = f"0x{scene.works.id_of(scene.address(1), what.content):064x}"
    chain = ChainClaim(chain_id=scene.chain.id, works=scene.works.address, work=own)
    kept = ("content", "kind", "origin", "evidence")
    facts = {name: getattr(certificate.predicate, name) for name in kept} | {"chain": chain}
    named = sign_certificate(facts, name="cat", file=certificate.sha256, key=SigningKey.generate(), created_at=NOW)
    named.write(found.folder / "cat.jpg.json")
    changed = replace(what, attestation="0x" + named.digest.value.hex())
    copy = found.register(account=3, what=replace(changed, content="0x" + "ee" * 32))
    assert found.register(what=changed) == own
    found.follow()
    assert found.read_files().taken == ["cat.jpg.json"]
    with found.directory() as directory:
        assert [directory.work(work).HasField("certificate") for work in (own, copy)] == [True, False]
        answer = directory.lookup(LookupWorkRequest(iscc=certificate.predicate.content.iscc256))
        assert [one.work.work for one in answer.matches] == [own]
        assert len(directory.lookup(LookupWorkRequest(sha256=certificate.sha256)).matches) == 1


def test_links_are_not_followed_and_large_files_not_read(found, tmp_path):
    _, _, what = signed_work(found)
    found.register(what=what)
    found.follow()
    (found.folder / "cat.jpg.json").rename(tmp_path / "elsewhere.json")
    (found.folder / "link.json").symlink_to(tmp_path / "elsewhere.json")
    (found.folder / "large.json").write_bytes(b"{" * (2 << 20))
    report = found.read_files()
    assert report.taken == []
    assert "link.json" not in report.left
    assert "large.json" in report.left


def test_folder_that_is_none_is_an_error(found):
    with pytest.raises(InputError, match="no folder"):
        Folder(found.store, found.folder / "nothing").read()


@pytest.mark.parametrize("elsewhere", [{"chain_id": 1}, {"works": "0x" + "99" * 20}])
def test_certificate_for_works_elsewhere_counts_for_none_here(found, elsewhere):
    _, certificate, what = signed_work(found)
    scene = found.scene
    chain = ChainClaim(**{"chain_id": scene.chain.id, "works": scene.works.address} | elsewhere)
    kept = ("content", "kind", "origin", "evidence")
    facts = {name: getattr(certificate.predicate, name) for name in kept} | {"chain": chain}
    named = sign_certificate(facts, name="cat", file=certificate.sha256, key=SigningKey.generate(), created_at=NOW)
    named.write(found.folder / "cat.jpg.json")
    found.register(what=replace(what, attestation="0x" + named.digest.value.hex()))
    found.follow()
    report = found.read_files()
    assert report.taken == []
    assert "on chain" in report.left["cat.jpg.json"]


@pytest.mark.parametrize("name", ["urn:c2pa:" + "a" * 200, "urn:c2pa:\0", "", "urn:c2pa:a b"])
def test_store_whose_manifest_has_no_proper_id_is_left(found_anywhere, monkeypatch, name):
    found = found_anywhere
    _, _, what = signed_work(found, marked="sidecar")
    found.register(what=what)
    found.follow()
    data = (found.folder / "cat.jpg.c2pa").read_bytes()
    monkeypatch.setattr("zkinfer.works.directory.files.read_store", lambda _path: ManifestStore(name, data))
    report = found.read_files()
    assert report.taken == ["cat.jpg.json"]
    assert "id" in report.left["cat.jpg.c2pa"]
