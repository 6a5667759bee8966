import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of this run, shared by all tests of the real engine."""
    return tmp_path_factory.getbasetemp()
