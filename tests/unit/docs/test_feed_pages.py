"""The documents that the page of feed files shows are read by the code, and have the hashes and values it states."""

import json
import re

import pytest
from tests.paths import ROOT

from zkinfer.circuits import canonical
from zkinfer.contracts.feed_formats import FeedPayload
from zkinfer.oracle.errors import RecipeError
from zkinfer.oracle.observations import replay
from zkinfer.oracle.recipes import Recipe
from zkinfer.oracle.sources.settings import SourceSettings
from zkinfer.oracle.specs import FeedFile

PAGE = (ROOT / "docs/reference/feed-files.md").read_text(encoding="utf-8")
RECIPE, SOURCE, FEED = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def recipe():
    return Recipe.from_bytes(canonical.dump(json.loads(RECIPE)))


def test_shown_recipe_has_the_stated_hash():
    assert f"`{recipe().digest}`" in PAGE


def test_shown_source_file_gives_the_stated_inputs():
    found = replay(recipe(), canonical.dump(json.loads(SOURCE)))
    assert f"`0x{found.inputs.hex()}`" in PAGE
    assert f"`{found.source_digest}`" in PAGE


def test_shown_feed_file_is_of_the_shown_recipe():
    assert FeedFile.from_bytes(FEED.encode()).recipe == recipe()


def test_edited_feed_file_is_refused():
    with pytest.raises(RecipeError, match="names the feed"):
        FeedFile.from_bytes(FEED.replace('"tick": 60', '"tick": 61').encode())


def test_shown_description_of_a_source_agrees_with_the_recipe(tmp_path):
    (tmp_path / "source.toml").write_text(re.search(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1])
    SourceSettings.from_toml(tmp_path / "source.toml").require_recipe(recipe())


def test_every_key_of_a_source_is_listed():
    table = PAGE.partition("## Source description")[2].partition("## Recipe")[0]
    listed = set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))))
    assert listed == {name.replace("_", "-") for name in SourceSettings.model_fields}


def test_every_element_of_a_payload_is_listed():
    listed = re.findall(r"^\| ([\w, ]+) \| `", PAGE.partition("## Payload")[2], re.MULTILINE)
    assert len(", ".join(listed).split(", ")) == len(
        ("context", "report", "rs", "ss", "rawVs", "sourceDigest", "inputs", "outputs", "proof")
    )
    assert hasattr(FeedPayload, "encode")
