from pathlib import Path

import pytest
from tests.unit.oracle.series import recipe

from zkinfer.circuits.errors import InputError
from zkinfer.oracle.errors import RecipeError, SourceError
from zkinfer.oracle.sources.files import FileSource
from zkinfer.oracle.sources.http import HttpSource
from zkinfer.oracle.sources.settings import SourceSettings

COMPLETE = """\
http = "https://api.example/prices"
timeout = "1500ms"
attempts = 2
headers-file = "headers"
select = "prices[*].close"
count = 3
form = "level"
bounds = [1, 1000.0]
tolerance = "1%"
"""


def read(folder, text):
    (folder / "source.toml").write_text(text)
    return SourceSettings.from_toml(folder / "source.toml")


def test_complete_description_is_read(tmp_path):
    found = read(tmp_path, COMPLETE)
    assert (found.http, found.timeout, found.attempts) == ("https://api.example/prices", 1.5, 2)
    assert (found.select, found.count, found.form) == ("prices[*].close", 3, "level")
    assert (found.bounds, found.tolerance) == (("1", "1000"), "0.01")


def test_numbers_are_kept_exactly(tmp_path):
    found = read(tmp_path, 'file = "a"\nbounds = [0.1, 123456789.123456789012345]\ntolerance = 0.005\n')
    assert (found.bounds, found.tolerance) == (("0.1", "123456789.123456789012345"), "0.005")


def test_paths_are_relative_to_the_folder(tmp_path):
    assert read(tmp_path, 'file = "a.json"').open_document(tmp_path) == FileSource(tmp_path / "a.json")
    assert read(tmp_path, 'file = "/a.json"').open_document(tmp_path) == FileSource(Path("/a.json"))


def test_source_over_http_gets_its_options(tmp_path):
    (tmp_path / "headers").write_text("X-Key: abc\n\nAccept: a/b: c\n")
    (tmp_path / "headers").chmod(0o600)
    found = read(tmp_path, COMPLETE).open_document(tmp_path)
    headers = {"X-Key": "abc", "Accept": "a/b: c"}
    assert found == HttpSource("https://api.example/prices", timeout=1.5, attempts=2, headers=headers)


def test_headers_that_others_can_read_are_refused(tmp_path):
    (tmp_path / "headers").write_text("X-Key: abc\n")
    (tmp_path / "headers").chmod(0o644)
    with pytest.raises(InputError, match="can be read by other users"):
        read(tmp_path, COMPLETE).open_document(tmp_path)


@pytest.mark.parametrize("line", ["no header", ": value", "name:", "name: a\x07b"])
def test_malformed_header_is_refused(tmp_path, line):
    (tmp_path / "headers").write_text(line)
    (tmp_path / "headers").chmod(0o600)
    with pytest.raises(SourceError, match="Name: value"):
        read(tmp_path, COMPLETE).open_document(tmp_path)


def test_source_on_a_chain_has_no_document(tmp_path):
    with pytest.raises(RecipeError, match="on a chain"):
        read(tmp_path, f'aggregator = "0x{"11" * 20}"').open_document(tmp_path)


def test_plain_http_is_refused_unless_spelt_out(tmp_path):
    with pytest.raises(SourceError, match="not encrypted"):
        read(tmp_path, 'http = "http://example.test"').open_document(tmp_path)
    read(tmp_path, 'http = "http://example.test"\nunsafe-plain-http = true').open_document(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "one of http, file and aggregator"),
        ('file = "a"\nhttp = "b"', "one of http, file and aggregator"),
        ('file = "a"\ntimeout = "5"', "timeout"),
        ('file = "a"\ntimeout = "0s"', "timeout"),
        ('file = "a"\ntimeout = "2m"', "timeout"),
        ('file = "a"\nattempts = 0', "attempts"),
        ('file = "a"\nmax-age = "0s"', "max_age|max-age"),
        ('http = "https://a.test"\nmax-age = "10m"', "max-age is for a file"),
        ('file = "a"\nform = "sum"', "form"),
        ('file = "a"\nbounds = [1]', "bounds"),
        ('file = "a"\nbounds = ["x", "y"]', "is not a number"),
        ('file = "a"\ntolerance = "x%"', "not a number"),
        ('file = "a"\nproxy = "b"', "proxy"),
        ('aggregator = "0x1"', "aggregator"),
        ("file = ", "not TOML"),
    ],
)
def test_wrong_description_is_refused(tmp_path, text, reason):
    with pytest.raises(RecipeError, match=reason):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "line", ['select = "prices[*].close"', "count = 3", "bounds = [1, 1000]", 'tolerance = "1%"', ""]
)
def test_description_that_agrees_with_the_recipe_is_accepted(tmp_path, line):
    read(tmp_path, f'file = "a"\n{line}').require_recipe(recipe())


@pytest.mark.parametrize("line", ['select = "prices[*].open"', "count = 4", "bounds = [1, 1001]", 'tolerance = "2%"'])
def test_description_that_contradicts_the_recipe_is_refused(tmp_path, line):
    with pytest.raises(RecipeError, match="the feed's recipe says"):
        read(tmp_path, f'file = "a"\n{line}').require_recipe(recipe())


def test_age_of_a_file_is_read(tmp_path):
    assert read(tmp_path, 'file = "a"\nmax-age = "10m"').open_document(tmp_path).max_age == 600
