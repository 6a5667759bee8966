import json

import pytest
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.service.auth import TokenFile


@pytest.fixture
def tokens(tmp_path):
    def call(*arguments):
        outcome = CliRunner().invoke(app, ["tokens", *arguments, "--state", str(tmp_path / "state"), "--json"])
        return outcome.exit_code, json.loads(outcome.stdout), outcome.stderr

    call.file = TokenFile(tmp_path / "state" / "tokens.json")
    return call


def test_new_token_identifies_its_owner(tokens):
    code, report, _ = tokens("new", "alice", "--model", "a", "--model", "b", "--unfinished-jobs", "3")
    identity = tokens.file.identify(report["token"])
    assert code == 0
    assert (identity.name, identity.rights.models, identity.rights.unfinished_jobs) == ("alice", {"a", "b"}, 3)


def test_token_in_json_is_not_shown_a_second_time(tokens):
    _, report, stderr = tokens("new", "alice")
    assert report["token"] not in stderr


def test_token_is_written_to_a_private_file(tokens, tmp_path):
    code, report, stderr = tokens("new", "alice", "--out", str(tmp_path / "token"))
    token = (tmp_path / "token").read_text().strip()
    assert code == 0
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert tokens.file.identify(token).name == "alice"
    assert "token" not in report
    assert token not in stderr


def test_existing_file_is_not_overwritten_and_no_token_created(tokens, tmp_path):
    (tmp_path / "token").touch()
    code, report, _ = tokens("new", "alice", "--out", str(tmp_path / "token"))
    assert (code, report["error"]["type"]) == (1, "InputError")
    assert tokens.file.list() == ()


def test_expiring_token_shows_its_expiry(tokens):
    _, report, _ = tokens("new", "alice", "--expires-in", "1d")
    [grant] = tokens.file.list()
    assert (grant.expires - grant.created).total_seconds() == pytest.approx(86_400, abs=5)
    assert report["expires"].endswith("Z")


def test_list_shows_everything_but_secrets(tokens):
    _, report, _ = tokens("new", "alice")
    _, listed, stderr = tokens("list")
    assert [one["name"] for one in listed["tokens"]] == ["alice"]
    assert "sha256" not in listed["tokens"][0]
    assert report["token"].rpartition("_")[2] not in stderr


def test_revoked_token_is_gone(tokens):
    _, report, _ = tokens("new", "alice")
    assert tokens("revoke", report["id"])[0] == 0
    assert tokens.file.identify(report["token"]) is None


def test_unknown_token_is_refused(tokens):
    code, report, _ = tokens("revoke", "none")
    assert (code, report["error"]["type"]) == (1, "TokenFileError")


def test_invalid_name_is_refused(tokens):
    code, report, _ = tokens("new", "Alice")
    assert (code, report["ok"]) == (1, False)


def test_empty_list_warns_about_anonymous_access(tokens):
    _, listed, stderr = tokens("list")
    assert listed["tokens"] == []
    assert "are anonymous" in stderr
