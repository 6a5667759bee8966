from pathlib import Path

import pytest
from tests.unit.verifier import forge


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> forge.Workshop:
    return forge.Workshop(Path(tmp_path_factory.mktemp("workshop")))


@pytest.fixture(scope="session")
def good(workshop):
    return workshop.attest()


@pytest.fixture(scope="session")
def other(workshop):
    """Honest too: the same model on another input, for another request."""
    return workshop.attest(x=forge.OTHER_X, context=forge.OTHER_CONTEXT)


@pytest.fixture(scope="session")
def document(good):
    return forge.statement(good)
