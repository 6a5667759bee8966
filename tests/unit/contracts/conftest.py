import pytest
from tests.unit.contracts.fakenode import unchanged


@pytest.fixture
def chain(base):
    """The chain of a module's `base`, as it was before each test."""
    with unchanged(base[0]):
        yield base[0]


@pytest.fixture
def book(base):
    """Its address book."""
    return base[1]
