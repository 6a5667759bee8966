import pytest
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.contracts.rpc import Account
from zkinfer.contracts.signers import encrypt_keystore

SIGNING = '[signing]\nkeystore = "signer.json"\npassphrase-file = "pass"\n'


def run(folder, more="", *options):
    path = folder / "feeds.toml"
    path.write_text(path.read_text() + more)
    return CliRunner().invoke(app, ["oracle", "run", "--config", str(path), "--log-format", "json", *options])


def private(path, data):
    path.write_bytes(data)
    path.chmod(0o600)


def test_feed_with_signers_needs_a_key(folder):
    outcome = run(folder)
    assert outcome.exit_code == 1
    assert "feed.vol needs a key to sign with" in outcome.stderr


def test_key_that_is_not_a_signer_of_the_feed_is_refused(folder):
    key = Account.from_key(b"\x05" * 32)
    private(folder / "signer.json", encrypt_keystore(key, b"geheim", iterations=2))
    private(folder / "pass", b"geheim\n")
    outcome = run(folder, SIGNING)
    assert outcome.exit_code == 1
    assert f"{key.address} is not a signer of feed.vol" in outcome.stderr


def test_passphrase_that_others_can_read_is_refused(folder):
    private(folder / "signer.json", b"{}")
    (folder / "pass").write_text("geheim")
    outcome = run(folder, SIGNING)
    assert outcome.exit_code == 1
    assert "can be read by other users" in outcome.stderr
    assert "geheim" not in outcome.output


def test_wrong_passphrase_is_refused(folder):
    private(folder / "signer.json", encrypt_keystore(Account.from_key(b"\x05" * 32), b"one", iterations=2))
    private(folder / "pass", b"another\n")
    outcome = run(folder, SIGNING)
    assert (outcome.exit_code, "the passphrase is wrong" in outcome.stderr) == (1, True)


@pytest.mark.parametrize("url", ["http://rpc.example", "nonsense"])
def test_unsafe_url_of_a_node_is_refused(folder, url):
    path = folder / "feeds.toml"
    path.write_text(path.read_text().replace("http://127.0.0.1:1", url))
    outcome = run(folder)
    assert outcome.exit_code == 1
    assert "chain.base" in outcome.stderr


def test_unknown_log_format_is_a_usage_error(folder):
    command = ["oracle", "run", "--config", str(folder / "feeds.toml"), "--log-format", "xml"]
    assert CliRunner().invoke(app, command).exit_code == 2
