import json
import time

import pytest
from tests.unit.oracle.fakes import HubRound
from typer.testing import CliRunner

from zkinfer.cli.main import app
from zkinfer.contracts.feed_formats import Level
from zkinfer.oracle.specs import read_feed
from zkinfer.oracle.store import Store
from zkinfer.oracle.store.gaps import Gap, GapReason
from zkinfer.oracle.store.leases import feed_lease


def status(folder, *options):
    return CliRunner().invoke(app, ["oracle", "status", "--config", str(folder / "feeds.toml"), *options])


def test_silent_node_is_shown_and_exits_with_1(folder):
    outcome = status(folder)
    assert outcome.exit_code == 1
    assert "unreachable" in outcome.stdout
    assert not (folder / "oracle.sqlite").exists()


def test_json_says_what_is_wrong(folder):
    outcome = status(folder, "--json")
    document = json.loads(outcome.stdout)
    (feed,) = document["feeds"]
    assert (outcome.exit_code, document["ok"], feed["chain"], feed["late"]) == (1, False, "base", True)
    assert "gave no valid answer" in feed["unreachable"]


def test_last_gap_comes_from_the_daemons_database(folder):
    with Store.open(f"sqlite:///{folder}/oracle.sqlite") as store:
        store.gaps.note(read_feed(folder / "feed.json").id, Gap(7, 9, GapReason.SOURCE_REFUSED, "503"))
    assert "7-9: source refused, until 1970-01-01 00:10:00Z" in status(folder).stdout
    shown = status(folder, "--gaps", "5").stdout
    assert "vol 7-9: source refused. 503 From 1970-01-01 00:07:00Z to 1970-01-01 00:10:00Z." in shown
    (feed,) = json.loads(status(folder, "--gaps", "5", "--json").stdout)["feeds"]
    assert [(one["detail"], one["from"], one["to"]) for one in feed["gaps"]] == [("503", 420, 600)]


def test_fresh_feed_exits_with_0(folder, monkeypatch):
    now = 1_800_000_000
    monkeypatch.setattr("zkinfer.cli.oracle.status.time.time", lambda: now)
    monkeypatch.setattr("zkinfer.oracle.hub_chain.HubChain.is_contradicted", lambda chain, feed: False)
    found = (now // 60, HubRound(5, now - 30, Level.PROVEN))
    monkeypatch.setattr("zkinfer.oracle.hub_chain.HubChain.latest", lambda chain, feed, level: found)
    outcome = status(folder)
    assert (outcome.exit_code, "fresh, no daemon" in outcome.stdout, "30 s" in outcome.stdout) == (0, True, True)
    assert "no daemon makes vol now; none has run here" in outcome.stdout
    with Store.open(f"sqlite:///{folder}/oracle.sqlite") as store:
        id_ = read_feed(folder / "feed.json").id
        store.leases.hold(feed_lease(id_), 15)
        store.gaps.looked_at(id_, now // 60)
        outcome = status(folder)
        assert (outcome.exit_code, "fresh" in outcome.stdout, "no daemon" in outcome.stdout) == (0, True, False)
        store.leases.release()
    assert "the last looked at 2027-01-15 08:00:00Z" in status(folder).stdout


def test_state_of_a_feed_with_a_gap_fits_80_columns(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("zkinfer.oracle.hub_chain.HubChain.is_contradicted", lambda chain, feed: False)
    now = int(time.time())
    found = (now // 60, HubRound(5, now - 30, Level.PROVEN))
    monkeypatch.setattr("zkinfer.oracle.hub_chain.HubChain.latest", lambda chain, feed, level: found)
    with Store.open(f"sqlite:///{folder}/oracle.sqlite") as store:
        store.gaps.note(read_feed(folder / "feed.json").id, Gap(1, now // 60 - 5, GapReason.NOT_RUNNING, ""))
    lines = status(folder).stdout.splitlines()
    assert lines[0].split() == ["feed", "chain", "state", "age", "round", "level", "balance"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["run", "status"])
def test_wrong_setting_is_refused_with_its_name(folder, command):
    (folder / "feeds.toml").write_text('[feed.vol]\nspecc = "x"\n')
    outcome = CliRunner().invoke(app, ["oracle", command, "--config", str(folder / "feeds.toml"), "--json"])
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout)["error"]["type"] == "FeedsFileError"


@pytest.mark.parametrize("command", ["run", "status"])
def test_missing_configuration_is_refused(tmp_path, command):
    outcome = CliRunner().invoke(app, ["oracle", command, "--config", str(tmp_path / "none.toml")])
    assert outcome.exit_code == 1
