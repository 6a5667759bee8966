"""`zkinfer jobs`, on a state folder and on a server."""

import asyncio
import json

import grpc
import pytest
from tests.unit.service import queue_server
from tests.unit.service.certificates import Authority
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.prover.jobs import Failure
from zkinfer.service.auth import Authenticator, TokenFile
from zkinfer.service.settings import Tls


def invoked(*arguments):
    outcome = CliRunner().invoke(app, ["jobs", *arguments, "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


@pytest.fixture
def backend(tiny, tmp_path, in_process):
    with queue_server.own_logging(), queue_server.backend(tiny, tmp_path) as found:
        yield found


@pytest.fixture
async def served(backend):
    async with queue_server.served(backend) as found:
        yield found


@pytest.fixture
def jobs(backend):
    return lambda *arguments: invoked(*arguments, "--state", str(backend.folder))


@pytest.fixture
def remote(served):
    async def call(*arguments):
        return await asyncio.to_thread(invoked, *arguments, "--server", served.address)

    return call


def test_list_has_the_jobs_of_all_owners_newest_first(backend, jobs):
    ids = [backend.submit(owner=owner).id for owner in ("alice", "bob")]
    code, report = jobs("list")
    assert code == 0
    assert [(job["id"], job["owner"]) for job in report["jobs"]] == [(ids[1], "bob"), (ids[0], "alice")]


def test_list_is_filtered_and_bounded(backend, jobs):
    done = backend.submit()
    backend.store.cancel(done.id)
    backend.submit(model="other")
    backend.submit(model="other")
    assert [job["id"] for job in jobs("list", "--status", "cancelled")[1]["jobs"]] == [done.id]
    assert len(jobs("list", "--model", "other")[1]["jobs"]) == 2
    assert len(jobs("list", "--most", "1")[1]["jobs"]) == 1


def test_unknown_state_is_refused(jobs):
    code, report = jobs("list", "--status", "loud")
    assert code == 1
    assert "'LOUD' is not a state" in report["error"]["cause"]


def test_show_reports_position_and_failure(backend, jobs):
    first, second = backend.submit(), backend.submit()
    assert jobs("show", second.id)[1]["queuePosition"] == 1
    backend.store.fail(backend.claim(), Failure(reason="RANGE", cause="It leaves.", cure="Check."), retry=False)
    assert jobs("show", f"operations/proofs/{first.id}")[1]["error"] == "RANGE: It leaves. Check."


def test_job_is_cancelled_retried_and_deleted(backend, jobs):
    job = backend.submit()
    backend.store.fail(backend.claim(), Failure(reason="ENGINE", cause="It broke."), retry=False)
    assert jobs("retry", job.id)[1]["state"] == "QUEUED"
    assert jobs("cancel", job.id)[1]["state"] == "CANCELLED"
    assert jobs("delete", job.id) == (0, {"ok": True, "id": job.id})
    assert jobs("show", job.id)[0] == 1


def test_unfinished_job_is_not_deleted(backend, jobs):
    code, report = jobs("delete", backend.submit().id)
    assert (code, report["error"]["type"]) == (1, "JobStateError")


def test_folder_without_a_queue_is_refused(tmp_path):
    code, report = invoked("list", "--state", str(tmp_path))
    assert code == 1
    assert "not the state folder of a server" in report["error"]["cause"]


@pytest.fixture
def elsewhere(backend, tmp_path):
    """A state folder whose jobs are in another database, and the URL of that database."""
    state = tmp_path / "served"
    for folder in (state, state / "artifacts"):
        folder.mkdir(mode=0o700)
    return state, f"sqlite:///{backend.folder}/jobs.sqlite"


def test_folder_with_its_jobs_in_another_database_is_refused_unchanged(elsewhere):
    state, _ = elsewhere
    code, report = invoked("list", "--state", str(state))
    assert code == 1
    assert "stores them in another database" in report["error"]["cause"]
    assert "--config" in report["error"]["cure"]
    assert [path.name for path in state.iterdir()] == ["artifacts"]


@pytest.mark.parametrize("listen", ["127.0.0.1:8001", "0.0.0.0:8001"])
def test_server_settings_locate_the_jobs(backend, elsewhere, tmp_path, listen):
    state, url = elsewhere
    job = backend.submit()
    config = tmp_path / "serve.toml"
    config.write_text(f'listen = "{listen}"\nstate = "{state}"\nstore = "{url}"\n')
    code, report = invoked("show", job.id, "--config", str(config))
    assert (code, report["id"]) == (0, job.id)
    assert invoked("list", "--config", str(config), "--state", str(state / "none"))[0] == 1


def test_malformed_settings_are_refused(tmp_path):
    config = tmp_path / "serve.toml"
    config.write_text('stat = "/x"\n')
    assert "no setting stat" in invoked("list", "--config", str(config))[1]["error"]["cause"]
    assert "cannot be read" in invoked("list", "--config", str(tmp_path / "none"))[1]["error"]["cause"]


def test_settings_together_with_a_server_are_refused(tmp_path):
    code, report = invoked("list", "--server", "127.0.0.1:1", "--config", str(tmp_path / "serve.toml"))
    assert code == 1
    assert "for a server on this machine" in report["error"]["cause"]


async def test_callers_manage_their_own_jobs_remotely(served, remote):
    job, foreign = served.backend.submit(), served.backend.submit(owner="bob")
    assert [found["id"] for found in (await remote("list"))[1]["jobs"]] == [job.id]
    assert (await remote("show", job.id))[1]["queuePosition"] == 0
    assert (await remote("cancel", job.id))[1]["state"] == "CANCELLED"
    assert (await remote("delete", job.id))[0] == 0
    code, report = await remote("show", foreign.id)
    assert (code, report["error"]["type"]) == (1, "CallError")


async def test_token_is_read_from_a_file(served, remote, tmp_path):
    job = served.backend.submit(owner="alice")
    _, token = TokenFile(served.backend.authenticator.tokens.path).new("alice")
    (tmp_path / "token").write_text(token + "\n")
    assert [found["id"] for found in (await remote("list", "--token-file", str(tmp_path / "token")))[1]["jobs"]] == [
        job.id
    ]
    assert (await remote("list"))[0] == 1


async def test_server_requiring_certificates_is_called_with_one(backend, tmp_path):
    authority = Authority()
    files = authority.write(tmp_path)
    backend.settings = backend.settings.model_copy(update={"tls": Tls(**files)})
    backend.authenticator = Authenticator(tokens=backend.authenticator.tokens, certificates=True)
    key, certificate = authority.issue("backend-1")
    (tmp_path / "mine.key").write_bytes(key)
    (tmp_path / "mine.pem").write_bytes(certificate)
    job = backend.submit(owner="backend-1")
    mine = ("--tls-certificate", str(tmp_path / "mine.pem"), "--tls-key", str(tmp_path / "mine.key"))
    async with queue_server.served(backend, grpc.ssl_channel_credentials(authority.certificate)) as served:
        address = served.address.replace("127.0.0.1", "localhost")
        roots = ("--server", address, "--tls-roots", str(files["client_ca"]))
        code, report = await asyncio.to_thread(invoked, "list", *roots, *mine)
        alone, refusal = await asyncio.to_thread(invoked, "list", *roots, *mine[:2])
    assert (code, [found["id"] for found in report["jobs"]]) == (0, [job.id])
    assert (alone, "belong together" in refusal["error"]["cause"]) == (1, True)


def test_token_without_a_server_is_refused(jobs, tmp_path):
    code, report = jobs("list", "--token-file", str(tmp_path / "token"))
    assert code == 1
    assert "--server" in report["error"]["cure"]


def test_unreachable_server_is_reported():
    code, report = invoked("list", "--server", "127.0.0.1:1")
    assert code == 1
    assert "cannot be reached" in report["error"]["cause"]
