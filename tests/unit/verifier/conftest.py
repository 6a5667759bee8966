from pathlib import Path

import pytest
from tests.unit.verifier import forge


@pytest.fixture(scope="session")
def parties(tmp_path_factory) -> forge.Parties:
    return forge.Parties(Path(tmp_path_factory.mktemp("parties")))


@pytest.fixture(scope="session")
def good(parties):
    return parties.attest()


@pytest.fixture(scope="session")
def other(parties):
    """Another honest attestation: same model, other input and request."""
    return parties.attest(x=forge.OTHER_X, context=forge.OTHER_CONTEXT)


@pytest.fixture(scope="session")
def document(good):
    return forge.statement(good)
