"""The options --trust-root, --at and --log-proof of `zkinfer verify`, without a proof."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from tests.unit.verifier import logs
from tests.unit.verifier.forge import NOW
from tests.unit.verifier.trustroot.factory import CIRCUIT, DAY, LOG, OTHER, YEAR, A, B, first, full

from zkinfer.circuits.digest import Digest
from zkinfer.cli.options import parse_moment
from zkinfer.cli.trust.basis import Basis
from zkinfer.verifier import (
    AllOf,
    NotLoggedError,
    NotMadeAfter,
    RootExpiredError,
    RootRollbackError,
    RootSignatureError,
)
from zkinfer.verifier.trustroot.accepted import AcceptedByRoot, ListedRecord


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Write a root, give it to `verify` with these options, and open it."""
    monkeypatch.setenv("ZKINFER_HOME", str(tmp_path / "home"))

    def make(file, **options):
        (tmp_path / "root.json").write_bytes(file.to_bytes())
        basis = Basis(tmp_path / "root.json", **options)
        notes = []
        basis.open(notes.append)
        return basis, notes

    return make


def test_without_a_root_nothing_is_added():
    basis = Basis()
    basis.open(pytest.fail)
    assert (basis.ceremonies, basis.policies(), basis.report()) == (None, [], {})
    assert (basis.circuits, basis.signers) == ("", ())
    assert set(basis.options().values()) == {None}
    assert datetime.now(UTC) - basis.now() < timedelta(minutes=1)


def test_root_determines_ceremonies_and_policy(opened):
    basis, notes = opened(full(A))
    assert basis.ceremonies == ("perpetual-powers-of-tau",)
    (policy,) = basis.policies()
    assert isinstance(policy, AllOf)
    assert isinstance(policy.policies[1], AcceptedByRoot)
    assert notes == [f"Trust root acme.example, version 1, expires {full(A).current.root.expires}."]
    assert basis.report()["trustRoot"]["version"] == 1


@pytest.mark.parametrize(
    ("circuits", "named"), [("any", ""), ([CIRCUIT], "those of the trust root acme.example, version 1")]
)
def test_root_names_circuits_or_files_only(opened, circuits, named):
    basis, _ = opened(full(A, circuits=circuits))
    assert (basis.circuits, basis.signers) == (named, ("those of the trust root acme.example, version 1",))


def test_options_of_the_command_are_kept_for_the_report(opened, tmp_path):
    basis, _ = opened(full(A), at=NOW + DAY, log_proof=tmp_path / "a")
    assert basis.options() == {
        "--trust-root": tmp_path / "root.json",
        "--root-fingerprint": None,
        "--at": "2026-11-22T12:00:00Z",
        "--log-proof": tmp_path / "a",
        "--log-checkpoint": None,
        "--log-consistency": None,
    }


def test_root_that_was_accepted_in_a_newer_version_is_refused(opened):
    opened(full(A))
    with pytest.raises(RootRollbackError):
        opened(first(A))


def test_expired_root_is_refused_but_serves_for_the_past(opened):
    expired = full(A, now=NOW - YEAR, lifetime=2 * DAY)
    with pytest.raises(RootExpiredError, match="--at"):
        opened(expired)
    basis, notes = opened(expired, at=NOW - YEAR + DAY)
    assert "revocations since then are unknown" in notes[-1]
    assert basis.now() == NOW - YEAR + DAY
    assert basis.policies()[0] == NotMadeAfter(NOW - YEAR + DAY)
    assert basis.report()["at"] == "2025-11-22T12:00:00Z"


def test_date_outside_of_the_root_is_refused(opened):
    basis, _ = opened(full(A), at=NOW - 2 * DAY)
    with pytest.raises(RootExpiredError, match="has no version from before"):
        basis.policies()


def test_log_proof_is_handed_to_the_policy(opened, tmp_path):
    text = logs.proof_text(logs.entries_with(Digest.parse(OTHER)), 3, LOG, "log.example/1")
    (tmp_path / "a.tlog-proof").write_text(text)
    (policy,) = opened(full(A), log_proof=tmp_path / "a.tlog-proof")[0].policies()
    assert policy.policies[1].log_proof.index == 3


def test_known_checkpoint_is_handed_to_the_policy(opened, tmp_path):
    entries = logs.entries_with(Digest.parse(OTHER))
    (tmp_path / "a").write_text(logs.proof_text(entries, 3, LOG, "log.example/1"))
    (tmp_path / "b").write_text(logs.checkpoint_text(entries[:5], LOG, "log.example/1"))
    (tmp_path / "c").write_text(logs.consistency_text(5, entries, LOG, "log.example/1"))
    files = {"log_proof": tmp_path / "a", "log_checkpoint": tmp_path / "b", "log_consistency": tmp_path / "c"}
    (policy,) = opened(full(A), **files)[0].policies()
    known = policy.policies[1].known
    assert (known.checkpoint.size, known.proof.old_size, known.proof.newer.size) == (5, 5, 7)


@pytest.mark.parametrize(
    ("options", "needed"),
    [({"log_checkpoint": Path("a")}, "--log-proof"), ({"log_consistency": Path("a")}, "--log-checkpoint")],
)
def test_option_about_a_log_without_what_it_compares_is_refused(options, needed):
    with pytest.raises(typer.BadParameter, match=f"needs {needed}"):
        Basis(Path("r"), **options)


def test_malformed_log_proof_is_refused(opened, tmp_path):
    (tmp_path / "a.tlog-proof").write_text("{}")
    with pytest.raises(NotLoggedError, match="malformed"):
        opened(full(A), log_proof=tmp_path / "a.tlog-proof")[0].policies()


def test_log_proof_without_a_root_is_refused():
    with pytest.raises(typer.BadParameter, match="needs --trust-root"):
        Basis(log_proof=Path("a"))


def test_fingerprint_without_a_root_is_refused():
    with pytest.raises(typer.BadParameter, match="--root-fingerprint needs --trust-root"):
        Basis(fingerprint="sha256:" + "0" * 64)


def test_root_with_the_expected_fingerprint_is_opened_without_a_warning(opened, capsys):
    expected = full(A).current.root.fingerprint
    basis, _ = opened(full(A), fingerprint=expected)
    assert basis.options()["--root-fingerprint"] == expected
    assert "First use" not in capsys.readouterr().err


def test_root_with_another_fingerprint_is_refused(opened):
    with pytest.raises(RootSignatureError, match="have the fingerprint"):
        opened(full(A), fingerprint=first(B).current.root.fingerprint)


def test_date_in_the_future_is_refused():
    with pytest.raises(typer.BadParameter, match="in the future"):
        Basis(at=datetime.now(UTC) + DAY)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=UTC)),
        ("2026-11-30T12:30:00Z", datetime(2026, 11, 30, 12, 30, tzinfo=UTC)),
    ],
)
def test_date_is_read_in_utc(text, moment):
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-30T12:30:00", "2026-11-30T12:30:00+01:00"])
def test_other_form_of_a_date_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not a date"):
        parse_moment(text)


def test_record_of_a_chain_must_be_by_a_listed_ledger(opened):
    record = object()
    assert Basis().listed(record) is record
    basis, _ = opened(full(A))
    assert basis.listed(None) is None
    assert basis.listed(record) == ListedRecord(record, full(A).current.root)
