import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.verifier import SigningKey, save_public_key, save_signing_key


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `zkinfer` in a folder with the keys a.key, b.key and c.key; the home is in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path / "home"))

    def invoke(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "400"})

    for name in "abc":
        key = SigningKey.generate()
        save_signing_key(key, tmp_path / f"{name}.key", unsafe_unencrypted=True)
        save_public_key(key.public, tmp_path / f"{name}.key.pub")
    return invoke


@pytest.fixture
def trust(run):
    """Run `zkinfer trust ... --json`; returns the exit code, the document and what else was printed."""

    def invoke(*arguments):
        done = run("trust", *arguments, "--json")
        document = json.loads(done.stdout) if done.stdout else {}
        return SimpleNamespace(code=done.exit_code, document=document, said=done.stderr)

    return invoke


@pytest.fixture
def acme(trust, tmp_path):
    """A signed trust root with the root key a.key."""
    path = tmp_path / "acme.json"
    assert trust("init", path, "--name", "acme.example", "--root-key", "a.key.pub").code == 0
    assert trust("sign", path, "--key", "a.key").document["complete"]
    return path
