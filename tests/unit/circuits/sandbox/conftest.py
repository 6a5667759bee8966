import pytest

from zkinfer.circuits.sandbox import spawn


@pytest.fixture
def without_fork_server(monkeypatch):
    """As on a system without a fork server: every child is a fresh interpreter."""
    monkeypatch.setattr(spawn._SERVERS, "current", lambda: None)


@pytest.fixture(params=["forked", "fresh"])
def start_method(request):
    """Both ways in which a child is started."""
    if request.param == "fresh":
        request.getfixturevalue("without_fork_server")
    return request.param
