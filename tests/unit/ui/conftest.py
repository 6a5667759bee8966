"""A page with the fake engine, and browsers of it: one that has opened the link, and one that has not."""

import re
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from tests.unit.circuits import factories

from zkinfer.circuits.engines.fake import FakeEngine
from zkinfer.cli.ui import demo_model
from zkinfer.prover import Prover
from zkinfer.ui.access import Access
from zkinfer.ui.app import application
from zkinfer.ui.dependencies import Dependencies
from zkinfer.ui.digits import Demo
from zkinfer.ui.settings import Address, UiSettings
from zkinfer.ui.tasks import Tasks
from zkinfer.ui.verification import Auditor
from zkinfer.verifier import Trusted

ORIGIN = "http://127.0.0.1:8642"
ENGINES = {"fake/1": FakeEngine()}
MAX_UPLOAD = 200_000


class Browser:
    """A browser without scripts: sends the Origin of the page, and the token of the last page with a form."""

    def __init__(self, app):
        self.http = TestClient(app, base_url=ORIGIN, follow_redirects=False)

    def get(self, path, **named):
        return self.http.get(path, **named)

    def token(self, path="/"):
        return re.search(r'name="token" value="([0-9a-f]+)"', self.get(path).text)[1]

    def post(self, path, data=None, files=None, *, origin=ORIGIN, token=None, **named):
        fields = {"token": self.token() if token is None else token} | (data or {})
        return self.http.post(path, data=fields, files=files, headers={"origin": origin}, **named)


@pytest.fixture
def auditor(tiny, tmp_path):
    def trust(models):
        trust.seen.append(models)
        return Trusted.of(models, tiny.home.setups, tmp_path / "cache", engines=ENGINES, unsafe_accept_fake_engine=True)

    trust.seen = []
    return Auditor(home=tiny.home, independent={}, trust=trust)


@pytest.fixture
def parts(auditor, tiny, tmp_path, in_process):
    """The parts of a page; their tasks end with the test."""
    settings = UiSettings(address=Address("127.0.0.1", 8642), max_upload=MAX_UPLOAD)
    (tmp_path / "demo").mkdir()
    demo = Demo(demo_model(), tiny.home, tmp_path / "demo", auditor, chosen=FakeEngine())
    made = Dependencies(
        settings=settings,
        access=Access(),
        cookie="zkinfer-ui-8642",
        tasks=Tasks(waiting=2),
        auditor=auditor,
        demo=demo,
        browser=None,
    )
    yield made
    made.tasks.stop()


@pytest.fixture
def stranger(parts):
    """A browser that has not opened the link."""
    return Browser(application(parts))


@pytest.fixture
def browser(parts):
    """A browser that has opened the link."""
    found = Browser(application(parts))
    assert found.get(f"/open/{parts.access.key}").status_code == 303
    return found


@pytest.fixture(scope="session")
def proven(tiny):
    """An attestation of the tiny model, and its file."""
    with pytest.MonkeyPatch.context() as patch:
        factories.without_children(patch)
        attestation = Prover(home=tiny.home, engines=ENGINES).prove(tiny.circuit, {"x": factories.X})
    return SimpleNamespace(attestation=attestation, data=attestation.to_bytes(), model=tiny.model.read_bytes())


@pytest.fixture
def finished(parts):
    """Waits for the task that an answer leads to, and returns it."""

    def wait(answer):
        assert answer.status_code == 303, answer.text
        task = next(task for task in parts.tasks._kept.values() if answer.headers["location"] == f"/tasks/{task.id}")
        assert task.done.wait(60)
        return task

    return wait
