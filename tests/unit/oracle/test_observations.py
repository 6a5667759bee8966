from dataclasses import replace

import pytest
from tests.unit.oracle.series import NOW, fractions, observed, recipe, returns

from zkinfer.circuits.digest import keccak256
from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.observations import SourceFile, digest_of, observation_of, replay, require_agreement


def test_observation_holds_the_last_numbers():
    found = observed(["5", "1", "2.50", "3e0"])
    assert found.numbers == tuple(fractions("1", "2.5", "3"))
    assert found.inputs.hex() == "001000280030"
    assert found.observed_at == NOW


def test_observation_of_returns_holds_one_more():
    assert observed(["9", "100", "101", "100", "100"], returns()).inputs.hex() == "000afff50000"


def test_source_file_gives_the_observation_again():
    found = observed(["1", "2", "3"])
    assert replay(recipe(), found.source_file) == found


def test_source_file_is_named_by_its_hash():
    found = observed(["1", "2", "3"])
    assert found.source_digest == digest_of(found.source_file) == "0x" + keccak256(found.source_file).hex


def test_numbers_written_in_another_way_give_the_same_file():
    assert observed(["1.0", "20e-1", "003"]) == observed(["1", "2", "3"])


@pytest.mark.parametrize("texts", [[], ["1", "2"], ["1", "2", "x"], ["1", "2", "2000"]])
def test_series_that_the_recipe_excludes_is_refused(texts):
    with pytest.raises(SourceError):
        observed(texts)


def test_source_file_of_another_recipe_is_refused():
    with pytest.raises(SourceError, match="for the recipe"):
        replay(returns(), observed(["1", "2", "3"]).source_file)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"2"', b'"2.0"'),
        lambda data: data.replace(b'"2"', b'"2e0"'),
        lambda data: data.replace(b'"2"', b"2"),
        lambda data: data.replace(b'"2"', b'"-0"'),
        lambda data: data.replace(b"source/1", b"source/2"),
        lambda data: data + b" ",
        lambda data: data.replace(b"1800000123", b"-1"),
        lambda data: data.replace(b"1800000123", b"4294967296"),
        lambda data: b"{}",
        lambda data: bytes(1 << 20),
    ],
)
def test_source_file_in_another_form_is_refused(change):
    with pytest.raises(SourceError, match="source file"):
        replay(recipe(), change(observed(["1", "2", "3"]).source_file))


def test_changed_number_changes_name_and_inputs():
    found = observed(["1", "2", "3"])
    other = replay(recipe(), found.source_file.replace(b'"2"', b'"2.5"'))
    assert (other.source_digest, other.inputs) != (found.source_digest, found.inputs)


def test_origin_is_cut_to_its_limit():
    found = observation_of(recipe(), ["1", "2", "3"], observed_at=NOW, origin="x" * 300)
    assert SourceFile.from_bytes(found.source_file).origin == "x" * 256


def test_observations_within_the_tolerance_agree():
    require_agreement(recipe(), observed(["100", "100", "100"]), observed(["101", "99", "100"]))


def test_first_number_beyond_the_tolerance_is_named():
    mine, other = observed(["100", "100", "100"]), observed(["101", "98", "90"])
    with pytest.raises(SourceError, match=r"Number 1 of the other observation is 98; here it is 100"):
        require_agreement(recipe(), mine, other)


def test_shorter_observation_does_not_agree():
    mine = observed(["100", "100", "100"])
    with pytest.raises(SourceError, match="tolerance"):
        require_agreement(recipe(), mine, replace(mine, numbers=mine.numbers[:2]))
