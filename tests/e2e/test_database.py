"""`zkinfer serve` with its queue in PostgreSQL: acknowledged jobs outlive the server there too."""

import pytest
from tests import postgres
from tests.e2e.server_process import MODEL, Server, client_of, given, parameters_of, until
from tests.e2e.shell import Shell

VALUES = ((0.5, 0.25, 0, 0), (0.25, 0.5, 0, 0), (0, 0.5, 0.25, 0))


@pytest.fixture
def url(postgres_url):
    return postgres.emptied(postgres_url)


def states_of(shell, url):
    return [
        job["state"] for job in shell("jobs", "list", "--state", "state", "--json", ZKINFER_STORE=url).document["jobs"]
    ]


def test_jobs_in_a_database_are_proven_after_their_server_was_killed(models, home, tmp_path, url):
    shell = Shell(home.root, tmp_path)
    server = Server(tmp_path, models, home.root, ("--workers", "0"), {"ZKINFER_STORE": url})
    with server, client_of(server) as client:
        names = {parameters_of(client.infer(MODEL, given(values)))["zkinfer_operation"] for values in VALUES}
        server.kill()
        assert states_of(shell, url) == ["QUEUED"] * 3
        server.options = ("--workers", "1")
        server.start()
        until(lambda: states_of(shell, url) == ["SUCCEEDED"] * 3, 90, pause=2)
        again = parameters_of(client.infer(MODEL, given(VALUES[0])))["zkinfer_operation"]
        assert server.stop() == 0
    assert len(names) == 3
    assert again not in names
    assert list(server.state.glob("*.sqlite*")) == []
    assert url.rpartition("?")[2] not in server.log.read_text()


def test_second_server_on_a_database_is_refused(models, home, tmp_path, url):
    first, second = (tmp_path / name for name in ("first", "second"))
    first.mkdir()
    second.mkdir()
    variables = {"ZKINFER_STORE": url}
    with Server(first, models, home.root, ("--workers", "0"), variables):
        serve = ("serve", "--repository", models, "--listen", "127.0.0.1:0", "--state", "state")
        refused = Shell(home.root, second)(*serve, **variables)
    assert refused.status == 1
    assert "Each database belongs to one state folder" in refused.sentence


def test_unreachable_database_stops_the_start_without_its_password(models, home, tmp_path):
    store = "postgresql+psycopg://user:geheim@127.0.0.1:1/none"
    serve = ("serve", "--repository", models, "--listen", "127.0.0.1:0", "--state", "state")
    refused = Shell(home.root, tmp_path)(*serve, ZKINFER_STORE=store)
    assert refused.status == 1
    assert "geheim" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
