import os

import pytest
from tests.unit.oracle.series import NOW, observed, recipe

from zkinfer.oracle.errors import SourceError
from zkinfer.oracle.sources.files import FileSource


def test_series_in_a_file_is_observed(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"prices": [{"close": 9}, {"close": 1.0}, {"close": "2"}, {"close": 3}]}')
    found = FileSource(path).observe(recipe(), NOW)
    assert found.inputs == observed(["1", "2", "3"]).inputs
    assert b'"origin":"prices.json"' in found.source_file


def test_large_numbers_are_kept_exactly(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"prices": [{"close": 1.00000000000000000001}, {"close": 2}, {"close": 3}]}')
    assert b"1.00000000000000000001" in FileSource(path).observe(recipe(), NOW).source_file


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"prices": [], "prices": []}',
        '{"prices": [NaN]}',
        '{"prices": []}',
        "[" * 100,
        '{"prices": [{"close": true}]}',
    ],
)
def test_file_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "prices.json").write_text(text)
    with pytest.raises(SourceError):
        FileSource(tmp_path / "prices.json").observe(recipe(), NOW)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read: no such file"):
        FileSource(tmp_path / "none.json").observe(recipe(), NOW)


def test_recipe_of_a_source_on_a_chain_is_refused(tmp_path):
    (tmp_path / "prices.json").write_text("[]")
    with pytest.raises(SourceError, match="selects nothing"):
        FileSource(tmp_path / "prices.json").observe(recipe(select=""), NOW)


def test_file_that_nobody_writes_any_more_is_refused(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text('{"prices": [{"close": 1}, {"close": 2}, {"close": 3}]}')
    os.utime(path, (NOW - 61, NOW - 61))
    FileSource(path).observe(recipe(), NOW)
    FileSource(path, max_age=61).observe(recipe(), NOW)
    with pytest.raises(SourceError, match="was written 61 s ago; at most 60 s"):
        FileSource(path, max_age=60).observe(recipe(), NOW)


def test_missing_file_with_an_age_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        FileSource(tmp_path / "prices.json", max_age=60).observe(recipe(), NOW)
