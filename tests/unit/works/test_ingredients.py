"""What a file was made from is in its credentials, as C2PA's own reader sees it."""

import json

import c2pa
import pytest
from tests.unit.works.files import NOW, credentials, key, picture, root

from zkinfer.works.certify import Facts, Mark, certify
from zkinfer.works.content import open_content
from zkinfer.works.credentials import read_marks
from zkinfer.works.kinds import SOURCE_TYPES, Kind, Origin
from zkinfer.works.statement import Parent


def made_from(folder, *roles, origin=Origin.GENERATED):
    """A marked picture that was made from files in these roles; returns it with the files by role."""
    files = [picture(folder, f"{place}-{role}.png", seed=10 + place) for place, role in enumerate(roles)]
    contents = [open_content(path) for path in files]
    parents = tuple(Parent(role=role, sha256=one.sha256) for role, one in zip(roles, contents, strict=True))
    facts = Facts(Kind.IMAGE, origin, parents=parents, parent_files=tuple(contents))
    out = folder / "signed.png"
    certify(picture(folder), facts, key=key(), created_at=NOW, marked=Mark(out, credentials()))
    return out, contents


def ingredients_in(path):
    with path.open("rb") as stream, c2pa.Reader("image/png", stream) as reader:
        report = json.loads(reader.json())
    return report["manifests"][report["active_manifest"]].get("ingredients", [])


def relationships(path):
    return [(one["description"], one["relationship"]) for one in ingredients_in(path)]


def test_ingredient_names_the_file_and_its_digest(tmp_path):
    out, (model,) = made_from(tmp_path, "model")
    (found,) = ingredients_in(out)
    assert (found["title"], found["format"]) == (model.path.name, "image/png")
    assert found["instance_id"] == f"sha256:{model.sha256}"


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((), []),
        (("original",), ["parentOf"]),
        (("original", "original"), ["componentOf", "componentOf"]),
        (("model", "adapter", "original"), ["inputTo", "inputTo", "parentOf"]),
        (("model", "prompt"), ["inputTo", "inputTo"]),
    ],
)
def test_role_decides_on_the_relationship(tmp_path, roles, expected):
    out, _ = made_from(tmp_path, *roles)
    assert relationships(out) == list(zip(roles, expected, strict=True))


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("roles", [("model",), ("original",), ("original", "original")])
def test_credentials_stay_trusted_and_name_the_source(tmp_path, origin, roles):
    out, _ = made_from(tmp_path, *roles, origin=origin)
    found = read_marks(out, "image/png", root=root(tmp_path))
    assert (found.state, found.problems, found.source_type) == ("Trusted", (), SOURCE_TYPES.get(origin, ""))


def test_changed_ingredient_is_invalid(tmp_path):
    out, (model,) = made_from(tmp_path, "model")
    content = bytearray(out.read_bytes())
    content[content.index(model.sha256.encode())] ^= 1
    out.write_bytes(content)
    assert read_marks(out, "image/png", root=root(tmp_path)).state == "Invalid"


def test_parent_without_its_file_is_in_the_certificate_alone(tmp_path):
    facts = Facts(Kind.IMAGE, Origin.HUMAN, parents=(Parent(role="original", work="0x" + "12" * 32),))
    out = tmp_path / "signed.png"
    made = certify(picture(tmp_path), facts, key=key(), created_at=NOW, marked=Mark(out, credentials()))
    assert len(made.predicate.parents) == 1
    assert ingredients_in(out) == []


def test_file_that_is_no_parent_is_no_ingredient(tmp_path):
    facts = Facts(Kind.IMAGE, Origin.HUMAN, parent_files=(open_content(picture(tmp_path, "other.png", seed=9)),))
    out = tmp_path / "signed.png"
    certify(picture(tmp_path), facts, key=key(), created_at=NOW, marked=Mark(out, credentials()))
    assert ingredients_in(out) == []
