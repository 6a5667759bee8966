"""Data sets: what is in them follows from the files and the table, and nothing else."""

import json

import pytest
from tests.unit.works.files import picture

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.tills import leaf_of
from zkinfer.works.dataset import Dataset, Proofs, asset_leaf, build
from zkinfer.works.errors import ConsentError, DatasetError
from zkinfer.works.merkle import root_of

ANN, BOB = "0x" + "aa" * 20, "0x" + "bb" * 20


def table(folder, text):
    path = folder / "photos.csv"
    path.write_text(text)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture(folder, f"{number}.png", seed=number)
    return folder


@pytest.fixture
def built(photos):
    rows = f"file,account,weight\n0.png,{ANN},\n1.png,{BOB},5\n2.png,{ANN.upper().replace('0X', '0x')},2\n"
    return build(photos, table(photos, rows))


def test_weights_are_the_sums_of_the_assets(built):
    assert {one.account: one.weight for one in built.contributors} == {ANN: 3, BOB: 5}
    assert (built.total_weight, len(built.assets)) == (8, 3)
    assert {(one.consent, one.source) for one in built.assets} == {("unstated", "none")}


def test_file_is_read_as_it_was_written(built, tmp_path):
    path = tmp_path / "dataset.json"
    path.write_bytes(built.to_bytes())
    assert Dataset.read(path) == built


def test_proofs_lead_to_the_roots(built):
    proofs = Proofs(built)
    weight, proof = proofs.of_contributor(BOB)
    assert "0x" + root_of(leaf_of(BOB, weight), proof).hex() == built.contributors_root
    ((asset, path),) = proofs.of_asset(built.assets[1].sha256)
    assert "0x" + root_of(asset_leaf(asset), path).hex() == built.assets_root
    assert proofs.of_asset("00" * 32) == []


def test_stranger_has_no_proof(built):
    with pytest.raises(DatasetError, match="has contributed nothing"):
        Proofs(built).of_contributor("0x" + "cc" * 20)


@pytest.mark.parametrize(
    "change",
    [
        {"contributorsRoot": "0x" + "00" * 32},
        {"assetsRoot": "0x" + "00" * 32},
        {"contributors": [{"account": ANN, "weight": 8}]},
        {"assets": []},
        {"unknown": 1},
        {"type": "urn:zkinfer:dataset:v2"},
    ],
)
def test_changed_file_is_refused(built, change):
    document = json.loads(built.to_bytes()) | change
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(DatasetError):
        Dataset.from_bytes(data)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"a":1, "b":2}', b"\xff"])
def test_other_data_are_refused(data):
    with pytest.raises(DatasetError):
        Dataset.from_bytes(data)


def test_files_that_say_no_are_refused_by_name(photos):
    (photos / "1.png.terms.toml").write_text('training = "notAllowed"')
    rows = "".join(f"{number}.png,{ANN}\n" for number in range(3))
    with pytest.raises(ConsentError, match=r"on 1 of 3 files: 1\.png \(terms\)\."):
        build(photos, table(photos, f"file,account\n{rows}"))


def test_sidecar_that_cannot_be_read_is_named_with_the_reason(photos):
    (photos / "1.xmp").mkdir()
    with pytest.raises(ConsentError, match=r"1\.png \(xmp: 1\.xmp: cannot be read: is a directory\)\."):
        build(photos, table(photos, f"file,account\n1.png,{ANN}\n"))


def test_constrained_file_needs_a_licence(photos):
    (photos / "1.png.terms.toml").write_text('training = "constrained"')
    with pytest.raises(ConsentError, match="needs a licence"):
        build(photos, table(photos, f"file,account,licence\n1.png,{ANN},\n"))
    (asset,) = build(photos, table(photos, f"file,account,licence\n1.png,{ANN},7\n")).assets
    assert (asset.consent, asset.licence) == ("constrained", 7)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "columns"),
        ("file\n0.png\n", "columns"),
        ("file,account,more\n0.png,0x,1\n", "columns"),
        ("file,account\n", "names 0 files"),
        (f"file,account\n9.png,{ANN}\n", "no file in"),
        (f"file,account\n../photos.csv,{ANN}\n", "no file in"),
        (f"file,account\n/etc/passwd,{ANN}\n", "no file in"),
        ("file,account\n0.png,somebody\n", "malformed"),
        ("file,account\n0.png\n", "malformed"),
        (f"file,account,weight\n0.png,{ANN},-1\n", "malformed"),
        (f"file,account,weight\n0.png,{ANN},many\n", "malformed"),
    ],
)
def test_malformed_table_is_refused_with_the_cause(photos, text, cause):
    with pytest.raises(DatasetError, match=cause):
        build(photos, table(photos, text))


def test_file_named_twice_is_refused(photos):
    with pytest.raises(InputError, match="occurs twice"):
        build(photos, table(photos, f"file,account\n0.png,{ANN}\n0.png,{ANN}\n"))
