import os
from pathlib import Path

import pytest

from zkinfer.circuits import Home


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set variables after clearing all that are relevant here."""
    for name in ("ZKINFER_HOME", "ZKINFER_SETUP_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return lambda **variables: [monkeypatch.setenv(name, value) for name, value in variables.items()]


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"ZKINFER_HOME": "/srv/z", "XDG_CACHE_HOME": "/cache"}, "/srv/z"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/zkinfer"),
        ({"ZKINFER_HOME": "", "XDG_CACHE_HOME": "/cache"}, "/cache/zkinfer"),
    ],
)
def test_from_environment_root_is_the_most_specific_variable_set(environment, variables, root):
    environment(**variables)
    assert Home.from_environment() == Home(Path(root))


def test_from_environment_without_variables_is_in_the_users_cache(environment, tmp_path):
    assert Home.from_environment().root == tmp_path / ".cache" / "zkinfer"


@pytest.mark.parametrize(
    ("value", "found"), [("", ()), ("/a", ("/a",)), (f"/a{os.pathsep}{os.pathsep}/b", ("/a", "/b"))]
)
def test_from_environment_search_path_lists_folders(environment, value, found):
    environment(ZKINFER_SETUP_PATH=value)
    assert Home.from_environment().setup_search == tuple(map(Path, found))


def test_home_keeps_everything_under_its_root(tmp_path):
    home = Home(tmp_path)
    assert (home.keys, home.rebuilt, home.setups.home, home.speeds) == tuple(
        tmp_path / name for name in ("keys", "rebuilt", "setups", "speeds")
    )
    assert list(tmp_path.iterdir()) == []


def test_home_finds_setups_of_its_search_folders(dev_home, tmp_path):
    searching = Home(tmp_path, (dev_home.root / "setups",))
    assert [setup.k for setup in searching.setups.list()] == [3, 4, 5]
