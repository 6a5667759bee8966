import json
from dataclasses import replace

import pytest
from tests.unit.oracle.series import recipe, returns
from tests.vectors.make_feeds import config, spec, word

from zkinfer.circuits.errors import InputError
from zkinfer.contracts.feed_formats import NO_CONFIG, feed_id
from zkinfer.oracle.errors import RecipeError
from zkinfer.oracle.specs import FeedFile, read_feed, write_feed

SPEC = spec(recipe=recipe().digest, most=2**190)
FEED = FeedFile(SPEC, recipe(), config())


def changed(change):
    """The feed file after a change of its document."""
    document = json.loads(FEED.to_bytes())
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize("feed", [FEED, FeedFile(SPEC, recipe())])
def test_feed_file_survives_writing(tmp_path, feed):
    write_feed(tmp_path / "feed.json", feed)
    assert read_feed(tmp_path / "feed.json") == feed


def test_id_is_the_specifications():
    assert FEED.id == feed_id(SPEC)


def test_file_in_another_layout_is_the_same_feed():
    assert FeedFile.from_bytes(changed(lambda document: None)) == FEED


def test_signers_do_not_change_the_id():
    assert FEED.with_signers(config(3, 3)).id == FEED.id
    assert FEED.with_signers(config(3, 3)).config_digest == config(3, 3).digest


def test_feed_without_chosen_signers_has_no_config_digest():
    with pytest.raises(RecipeError, match="No signers were chosen"):
        FeedFile(SPEC, recipe()).config_digest  # noqa: B018 - the access is the test


def test_feed_of_a_source_on_a_chain_has_the_empty_config():
    assert FeedFile(replace(SPEC, source="0x" + "44" * 20), recipe()).config_digest == NO_CONFIG


def test_signers_beside_a_source_on_a_chain_are_refused():
    with pytest.raises(RecipeError, match="has no signers"):
        FeedFile(replace(SPEC, source="0x" + "44" * 20), recipe(), config())


def test_other_recipe_than_the_specifications_is_refused():
    with pytest.raises(RecipeError, match="names the recipe"):
        FeedFile(SPEC, returns())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: document["spec"].update(decimals=9), "names the feed"),
        (lambda document: document["spec"].update(description="other"), "names the feed"),
        (lambda document: document.update(feedId=word(3)), "names the feed"),
        (lambda document: document["recipe"].update(tolerance="0.5"), "names the recipe"),
        (lambda document: document["recipe"].update(count=4), "recipe"),
        (lambda document: document["spec"].update(tick=0), "at least a second"),
        (lambda document: document["spec"].update(least=1), "least"),
        (lambda document: document["spec"].update(most="01"), "most"),
        (lambda document: document["spec"].update(owner="0x1"), "owner"),
        (lambda document: document.update(threshold=9), "threshold is 9"),
        (lambda document: document.update(signers=document["signers"][::-1]), "ascending"),
        (lambda document: document.update(format="zkinfer-feed/2"), "format"),
        (lambda document: document.update(extra=1), "extra"),
        (lambda document: document.pop("spec"), "spec"),
    ],
)
def test_edited_file_is_refused(change, reason):
    with pytest.raises(RecipeError, match=reason):
        FeedFile.from_bytes(changed(change))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"x" * (1 << 17)])
def test_other_file_is_refused(data):
    with pytest.raises(RecipeError, match="feed file is invalid"):
        FeedFile.from_bytes(data)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_feed(tmp_path / "none.json")
