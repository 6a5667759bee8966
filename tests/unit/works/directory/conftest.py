import pytest
from tests import postgres
from tests.unit.contracts.work_scene import scene as new_scene
from tests.unit.works.directory.directories import followed, rolled_back


@pytest.fixture(scope="package")
def shared_scene():
    """A chain with works, whose deployment takes seconds; see `scene`."""
    return new_scene()


@pytest.fixture
def scene(shared_scene):
    """The chain, which forgets at the end what the test did."""
    with rolled_back(shared_scene.chain):
        yield shared_scene


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/directory/works.db"
    return postgres.emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def found(scene, tmp_path):
    """A directory of the scene's works."""
    directory = followed(scene, tmp_path)
    with directory.store:
        yield directory


@pytest.fixture
def found_anywhere(scene, tmp_path, url):
    """A directory of the scene's works, in a database of each kind."""
    directory = followed(scene, tmp_path, url)
    with directory.store:
        yield directory
