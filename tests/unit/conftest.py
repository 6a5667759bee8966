"""Fixtures that tests of several packages share."""

import pytest
from tests.unit.circuits import factories
from tests.unit.contracts.deployed import deployed_chain, rolled_back


@pytest.fixture(autouse=True)
def without_columns(monkeypatch):
    """Text is as wide as it needs to be, as in a file, wherever the tests run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def in_process(monkeypatch):
    """Parse models in this process: milliseconds instead of a child each."""
    factories.without_children(monkeypatch)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A home, a model and its circuit, compiled once."""
    return factories.compile_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def module_deployment():
    """A chain, and the address book of a deployment on it without a delay; both last for one module."""
    return deployed_chain(delay=0)


@pytest.fixture
def chain(module_deployment):
    """The chain of `module_deployment`, rolled back after each test."""
    with rolled_back(module_deployment[0]):
        yield module_deployment[0]


@pytest.fixture
def book(module_deployment):
    """The address book of `module_deployment`."""
    return module_deployment[1]
