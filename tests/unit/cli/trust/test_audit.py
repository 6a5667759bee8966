"""`zkinfer trust show`, `verify`, `update`, `list` and `forget` in this process."""

import pytest
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import DAY, YEAR, A, B, first, following, full, revocation

FULL = following(full(A), A, revocations=[revocation()], now=NOW)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "full.json"
    path.write_bytes(FULL.to_bytes())
    return path


def test_everything_in_a_root_is_shown(run, trust, file):
    shown = run("trust", "show", file).stdout
    root = FULL.current.root
    entries = [root.models[0].sha256, root.signers[0].fingerprint, root.logs[0].origin, root.chains[0].ledger]
    for text in (*entries, root.revocations[0].id, "from the beginning: a test".partition(":")[0], root.expires):
        assert text in shown
    assert trust("show", file).document["root"]["models"][0]["sha256"] == root.models[0].sha256


def test_unsigned_root_is_shown_as_such(run, trust):
    trust("init", "r.json", "--name", "a", "--root-key", "a.key.pub")
    assert "lacks signatures by its own root keys: it has 0 of 1" in run("trust", "show", "r.json").stdout


def test_valid_root_is_verified_without_being_accepted(trust, acme):
    for _ in range(2):
        done = trust("verify", acme)
        assert (done.code, done.document["firstUse"], done.document["version"]) == (0, True, 1)
    assert "First use of the trust root acme.example" in done.said
    assert done.document["rootKeys"][0] in done.said
    assert trust("list").document["roots"] == []


def test_first_use_says_which_fingerprint_was_taken(trust, acme):
    shown = trust("show", acme).document["fingerprint"]
    done = trust("update", acme)
    assert done.document["fingerprint"] == shown
    assert "taken as they are in the file" in done.said
    assert shown in done.said


@pytest.mark.parametrize("command", ["update", "verify"])
def test_root_with_the_expected_fingerprint_needs_no_warning(trust, acme, command):
    expected = trust("show", acme).document["fingerprint"]
    done = trust(command, acme, "--root-fingerprint", expected)
    assert (done.code, done.document["firstUse"], "First use" in done.said) == (0, True, False)


@pytest.mark.parametrize("command", ["update", "verify"])
def test_root_with_another_fingerprint_is_refused_and_not_remembered(trust, acme, command):
    done = trust(command, acme, "--root-fingerprint", "sha256:" + "0" * 64)
    assert (done.code, done.document["error"]["type"]) == (1, "RootSignatureError")
    assert trust("list").document["roots"] == []


@pytest.mark.parametrize("text", ["", "sha256:", "0" * 64, "sha256:" + "A" * 64, "sha512:" + "0" * 64])
def test_malformed_fingerprint_is_refused(run, acme, text):
    done = run("trust", "update", acme, "--root-fingerprint", text)
    assert (done.exit_code, "is not a fingerprint" in done.stderr) == (2, True)


def test_accepted_root_is_listed_and_no_longer_new(trust, acme):
    assert trust("update", acme).document["firstUse"] is True
    done = trust("update", acme)
    assert (done.document["firstUse"], "First use" in done.said) == (False, False)
    assert [one["name"] for one in trust("list").document["roots"]] == ["acme.example"]


def test_update_to_a_newer_version_is_followed_and_back_is_refused(trust, acme):
    old = acme.read_bytes()
    trust("update", acme)
    trust("add", acme, "--signer", "b.key.pub")
    trust("sign", acme, "--key", "a.key")
    assert trust("update", acme).document["version"] == 2
    acme.write_bytes(old)
    for command in ("update", "verify"):
        done = trust(command, acme)
        assert (done.code, done.document["error"]["type"]) == (1, "RootRollbackError")


@pytest.mark.parametrize("command", ["update", "verify"])
def test_unsigned_version_is_refused(trust, acme, command):
    trust("add", acme, "--signer", "b.key.pub")
    done = trust(command, acme)
    assert (done.code, done.document["error"]["type"]) == (1, "RootSignatureError")
    assert trust("list").document["roots"] == []


@pytest.mark.parametrize("command", ["update", "verify"])
def test_expired_root_is_refused_with_the_cure(trust, tmp_path, command):
    (tmp_path / "old.json").write_bytes(first(A, now=NOW - YEAR, lifetime=DAY).to_bytes())
    done = trust(command, "old.json")
    assert (done.code, done.document["error"]["type"]) == (1, "RootExpiredError")
    assert "Ask its publisher for the current file" in done.document["error"]["cure"]


def test_other_root_of_an_accepted_name_is_refused_until_it_is_forgotten(trust, acme, tmp_path):
    trust("update", acme)
    (tmp_path / "other.json").write_bytes(first(B, now=NOW - DAY).to_bytes())
    assert trust("update", "other.json").document["error"]["type"] == "RootRollbackError"
    assert trust("forget", "acme.example").code == 0
    assert trust("update", "other.json").document["firstUse"] is True


def test_forgetting_an_unknown_root_is_refused(trust):
    assert trust("forget", "acme.example").document["error"]["type"] == "TrustRootError"


def test_control_characters_in_a_root_do_not_reach_the_terminal(run, trust, acme):
    trust("add", acme, "--signer", "b.key.pub", "--label", "[red]x[/]")
    assert "[red]x[/]" in run("trust", "show", acme).stdout
