import json

import pytest
from pydantic import ValidationError
from tests.unit.circuits.factories import DOCUMENT, places, with_value, without

from zkinfer.circuits.recipe import CircuitIdentity, Recipe, SetupIdentity

RECIPE, IDENTITY = DOCUMENT["recipe"], DOCUMENT["identity"]
SHA = "sha256:" + "11" * 32


def parse(document, kind=Recipe):
    return kind.model_validate_json(json.dumps(document))


def test_model_id_is_pinned():
    """Computed with an independent Keccak over the concatenation of both digests."""
    identity = CircuitIdentity(model=SHA, network=SHA, verifying_key="keccak256:" + "22" * 32)
    assert identity.model_id == "0x3e92e0db88d6afea9edc4eedf62fffa4d92bcdfc310dccbe943747fe8302e871"


@pytest.mark.parametrize(("name", "changes"), [("model", True), ("verifyingKey", True), ("network", False)])
def test_model_id_follows_from_file_and_key_alone(name, changes):
    other = IDENTITY[name].replace("1", "7").replace("3", "7").replace("4", "7")
    other = IDENTITY[name].partition(":")[0] + ":" + other.partition(":")[2]
    changed = parse(IDENTITY | {name: other}, CircuitIdentity)
    assert (changed.model_id != parse(IDENTITY, CircuitIdentity).model_id) == changes


def test_recipe_round_trips():
    assert parse(RECIPE).model_dump(mode="json", by_alias=True) == RECIPE


@pytest.mark.parametrize(
    ("ceremony", "insecure"), [("insecure-dev", True), ("hermez", False), ("insecure-dev-2", False)]
)
def test_setup_identity_recognises_insecure_dev_by_name(ceremony, insecure):
    assert SetupIdentity(ceremony=ceremony, tau_g2=SHA).is_insecure_dev is insecure


@pytest.mark.parametrize("path", [path for path in places(RECIPE) if path[-1] not in ("N", "scale")])
def test_recipe_without_a_field_is_refused(path):
    with pytest.raises(ValidationError, match="Field required"):
        parse(without(RECIPE, path))


@pytest.mark.parametrize("path", [(), ("setup",)])
def test_recipe_with_an_unknown_field_is_refused(path):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        parse(with_value(RECIPE, (*path, "comment"), "hello"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("engine",), "fake"),
        (("engine",), "Fake/1"),
        (("engine",), "fake/1/2"),
        (("engine",), "fake/1\n"),
        (("engine",), "f" * 33 + "/1"),
        (("engine",), "../fake/1"),
        (("engine",), None),
        (("normaliser",), "zkinfer-normal/one"),
        (("normaliser",), "zkinfer-normal/1234567"),
        (("normaliser",), "zkinfer-normal/1\n"),
        (("inputVisibility",), "secret"),
        (("inputVisibility",), ["public"]),
        (("dimensions",), {"N": 0}),
        (("dimensions",), {"N": -1}),
        (("dimensions",), {"N": 1.0}),
        (("dimensions",), {"N": True}),
        (("dimensions",), {"N": "1"}),
        (("dimensions",), {str(number): 1 for number in range(17)}),
        (("dimensions",), [["N", 1]]),
        (("runArguments",), {str(number): 1 for number in range(65)}),
        (("runArguments",), None),
        (("setup", "ceremony"), ""),
        (("setup", "ceremony"), "Hermez"),
        (("setup", "ceremony"), "a" * 65),
        (("setup", "ceremony"), "../hermez"),
        (("setup", "tauG2"), "sha256:" + "AB" * 32),
        (("setup", "tauG2"), SHA + "\n"),
        (("setup", "tauG2"), "keccak256:" + "11" * 32),
    ],
)
def test_recipe_with_a_malformed_field_is_refused(path, value):
    with pytest.raises(ValidationError, match=path[-1]):
        parse(with_value(RECIPE, path, value))


@pytest.mark.parametrize(
    ("name", "value"), [("model", "keccak256:" + "11" * 32), ("verifyingKey", SHA), ("network", "11" * 32)]
)
def test_identity_with_a_digest_of_the_wrong_algorithm_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        parse(IDENTITY | {name: value}, CircuitIdentity)


def test_recipe_is_immutable():
    with pytest.raises(ValidationError, match="frozen"):
        parse(RECIPE).engine = "fake/2"
