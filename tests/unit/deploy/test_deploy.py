"""The files for operators are valid, as far as can be tested without installing them."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.paths import ROOT
from typer.testing import CliRunner

from zkinfer.circuits.sandbox import processes
from zkinfer.cli.main import app
from zkinfer.service.errors import SettingsError
from zkinfer.service.settings_loader import load_settings

DEPLOY = ROOT / "deploy"
PROGRAM = "/opt/zkinfer/bin/zkinfer"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path):
    """The unit, with the path of an existing program."""
    text = (DEPLOY / "zkinfer.service").read_text()
    assert f"ExecStart={PROGRAM} serve " in text
    path = tmp_path / "zkinfer.service"
    path.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("zkinfer"))))
    return path


def analyzed(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False)


@needs_systemd
def test_unit_passes_systemd_analyze_without_warnings(unit):
    done = analyzed("verify", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_allows_raising_the_priority_of_proofs():
    """RLIMIT_NICE must allow the niceness that `zkinfer.circuits.sandbox.processes` restores."""
    assert "LimitNICE=+10" in (DEPLOY / "zkinfer.service").read_text()
    assert processes.SHARE_NICENESS == 10


def commands_in(name):
    """The `zkinfer` commands shown in the comments of a file, without the program name."""
    text = "\n".join(
        line.removeprefix("#").strip() for line in (DEPLOY / name).read_text().splitlines() if line[:1] == "#"
    )
    shown = re.findall(
        r"^(?:as_zkinfer|in-zkinfer|podman run .* zkinfer) (.*)$", text.replace("\\\n", " "), re.MULTILINE
    )
    return [shlex.split(command) for command in shown]


@pytest.mark.parametrize("name", ["zkinfer.service", "Containerfile"])
def test_shown_commands_exist(name):
    commands = [command for command in commands_in(name) if not command[0].startswith("--")]
    assert {tuple(command[:2]) for command in commands} >= {("setup", "fetch"), ("keys", "make"), ("tokens", "new")}
    for command in commands:
        assert CliRunner().invoke(app, [*command[:2], "--help"]).exit_code == 0
        known = CliRunner().invoke(app, [*command[:2], "--help"], env={"COLUMNS": "200"}).stdout
        assert all(word in known for word in command if word.startswith("--"))


@pytest.fixture
def container(monkeypatch, tmp_path):
    """The environment of the container, with an existing state folder."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    for name, value in re.findall(r"(ZKINFER_\w+)=(\S+)", re.search("^ENV (.*)$", text, re.MULTILINE)[1]):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ZKINFER_STATE", str(tmp_path))
    return tmp_path


def test_container_refuses_to_start_without_tls(container):
    with pytest.raises(SettingsError, match="connections would not be encrypted"):
        load_settings({})


def test_container_starts_with_the_shown_settings(container):
    secured, open_ = (command for command in commands_in("Containerfile") if command[0].startswith("--"))
    assert open_ == ["--insecure-no-tls", "--insecure-anonymous"]
    assert load_settings({"insecure_no_tls": True, "insecure_anonymous": True}).listen == "0.0.0.0:8001"
    assert secured[::2] == ["--tls-certificate", "--tls-key"]
    tls = {"certificate": Path(secured[1]), "key": Path(secured[3])}
    with pytest.raises(SettingsError, match="anyone could call"):
        load_settings({"tls": tls})
    (container / "tokens.json").write_text("")
    assert load_settings({"tls": tls}).log.format == "json"


@needs_systemd
def test_unit_with_a_misspelt_setting_is_detected(unit):
    unit.write_text(unit.read_text().replace("KillMode=mixed", "KillModes=mixed"))
    assert "KillModes" in analyzed("verify", unit).stderr


@needs_systemd
def test_unit_has_a_low_exposure_score(unit):
    """systemd's exposure score, where 10 means an unrestricted service."""
    assert analyzed("security", "--offline=true", "--threshold=25", unit).returncode == 0


def linted(path):
    linter = Path(sys.executable).with_name("hadolint")
    return subprocess.run([linter, "--no-color", path], capture_output=True, text=True, check=False)


def test_containerfile_passes_the_linter():
    done = linted(DEPLOY / "Containerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_containerfile_that_runs_as_root_is_detected(tmp_path):
    bad = tmp_path / "Containerfile"
    bad.write_text((DEPLOY / "Containerfile").read_text().replace("USER 10001", "USER root"))
    assert "DL3002" in linted(bad).stdout


def test_settings_file_is_valid(tmp_path):
    (tmp_path / "tokens").write_text("")
    settings = load_settings({"tokens": tmp_path / "tokens"}, DEPLOY / "serve.toml")
    assert settings.tls.certificate == Path("/etc/zkinfer/tls/server.pem")
    assert settings.proving.grace_seconds < 60  # the stop timeout of the unit


def test_settings_file_before_the_first_token_is_refused():
    with pytest.raises(SettingsError, match="anyone could call"):
        load_settings({}, DEPLOY / "serve.toml")


def test_settings_file_with_an_unknown_name_is_refused(tmp_path):
    path = tmp_path / "serve.toml"
    path.write_text((DEPLOY / "serve.toml").read_text().replace("per_owner", "per_user"))
    with pytest.raises(SettingsError, match="per_user"):
        load_settings({}, path)
