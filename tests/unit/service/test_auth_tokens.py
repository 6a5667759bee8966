import json
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from zkinfer.circuits.errors import InputError
from zkinfer.service.auth import TokenFile
from zkinfer.service.errors import TokenFileError
from zkinfer.service.identity import Rights

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def tokens(tmp_path):
    return TokenFile(tmp_path / "tokens.json")


def test_token_identifies_its_owner(tokens):
    _, token = tokens.new("alice", rights=Rights(models=frozenset({"digits"}), unfinished_jobs=3, calls_per_second=2.5))
    identity = tokens.identify(token)
    assert identity.name == "alice"
    assert identity.rights == Rights(models=frozenset({"digits"}), unfinished_jobs=3, calls_per_second=2.5)


def test_file_is_private_and_holds_no_secret(tokens):
    grant, token = tokens.new("alice")
    assert token.rpartition("_")[2] not in tokens.path.read_text()
    assert tokens.path.stat().st_mode & 0o777 == 0o600
    assert token == f"zki_{grant.id}_{token[-64:]}"


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + "x", lambda t: t[:-1], lambda t: t + "0", str.upper, lambda t: ""]
)
def test_malformed_token_identifies_nothing(tokens, change):
    _, token = tokens.new("alice")
    assert tokens.identify(change(token)) is None


def test_secret_of_another_token_is_refused(tokens):
    first, _ = tokens.new("alice")
    _, second = tokens.new("bob")
    assert tokens.identify(f"zki_{first.id}_{second[-64:]}") is None


def test_revoked_token_is_refused_immediately_by_a_running_server(tokens):
    grant, token = tokens.new("alice")
    server = TokenFile(tokens.path)
    assert server.identify(token).name == "alice"
    tokens.revoke(grant.id)
    assert server.identify(token) is None


def test_token_is_invalid_from_its_expiry_on(tmp_path):
    now = [NOON]
    tokens = TokenFile(tmp_path / "tokens.json", clock=lambda: now[0])
    _, token = tokens.new("alice", expires=NOON + timedelta(days=1))
    assert tokens.identify(token)
    now[0] += timedelta(days=1)
    assert tokens.identify(token) is None


def test_unknown_token_cannot_be_revoked(tokens):
    with pytest.raises(TokenFileError, match=r"no token 'abc'.*tokens list"):
        tokens.revoke("abc")


@pytest.mark.parametrize("name", ["", "anonymous", "Alice", "a b", "a/b", "-a", "a-", "ä", "a" * 65, "a\n"])
def test_invalid_name_is_refused(tokens, name):
    with pytest.raises(InputError, match="not a valid identity name"):
        tokens.new(name)


def test_file_readable_by_others_is_refused(tokens):
    _, token = tokens.new("alice")
    tokens.path.chmod(0o644)
    with pytest.raises(TokenFileError, match=r"can be read by other users.*chmod 600"):
        tokens.identify(token)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "is not a token file"),
        ('{"version":2,"tokens":[]}', "at 'version'"),
        ('{"version":1,"tokens":[{"id":"x"}]}', r"at 'tokens\.0\.id'"),
        ('{"version":1,"tokens":[],"more":1}', "at 'more'"),
        ('{"version":1,"version":1,"tokens":[]}', "'version' twice"),
    ],
)
def test_damaged_file_denies_every_caller(tokens, text, message):
    _, token = tokens.new("alice")
    tokens.path.write_text(text)
    with pytest.raises(TokenFileError, match=message):
        tokens.identify(token)


def test_missing_file_has_no_tokens(tokens):
    assert tokens.list() == ()
    assert tokens.identify("zki_" + "0" * 12 + "_" + "0" * 64) is None


def test_concurrent_writers_lose_nothing(tmp_path):
    def make(number):
        TokenFile(tmp_path / "tokens.json").new(f"name{number}")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {grant.name for grant in TokenFile(tmp_path / "tokens.json").list()} == {f"name{n}" for n in range(8)}


def test_named_pipe_in_place_of_the_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "tokens.json", 0o600)
    with pytest.raises(TokenFileError, match="is not a regular file"):
        TokenFile(tmp_path / "tokens.json").list()


def test_document_is_versioned(tokens):
    tokens.new("alice")
    assert json.loads(tokens.path.read_text())["version"] == 1
