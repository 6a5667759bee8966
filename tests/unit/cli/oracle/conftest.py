import pytest
from tests.vectors.make_feeds import config, spec

from zkinfer.oracle.recipes import Recipe
from zkinfer.oracle.specs import FeedFile, write_feed

CONFIG = """
[feed.vol]
spec = "feed.json"
circuit = "vol.circuit"
source = { file = "prices.json" }

[chain.base]
rpc = "http://127.0.0.1:1"
hub = "0x1111111111111111111111111111111111111111"
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a feed file and a configuration, whose node does not answer."""
    recipe = Recipe.make(
        count=2,
        select="",
        bounds=("1", "9"),
        form="level",
        tolerance="0.01",
        encoding={"scale": 10, "width": 4, "signed": True, "shape": (2,)},
    )
    write_feed(tmp_path / "feed.json", FeedFile(spec(recipe=recipe.digest), recipe, config()))
    (tmp_path / "feeds.toml").write_text(CONFIG)
    return tmp_path
