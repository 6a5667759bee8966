"""The output of `zkinfer verify` on steps that passed, failed or were not reached."""

from pathlib import Path

import pytest

from zkinfer.cli.verify import Requirements, show, summary
from zkinfer.verifier import MalformedAttestationError, Step
from zkinfer.verifier.report import Verdict

EVERYTHING = Requirements(Path("m"), Path("c"), Path("p"), Path("i"), [Path("k")], "0x1", True)
NOTHING = Requirements(Path("m"), None, None, None, [], None, False)


def verdict(**statuses):
    """A verdict with eleven passed steps, except those given as `s3="failed"`."""
    steps = [Step(number, "t", statuses.get(f"s{number}", "passed")) for number in range(1, 12)]
    return Verdict(steps, claimed_request="0x1")


def marks(verdict_, wanted=EVERYTHING):
    return [line.partition("]")[2].partition("[")[0] for line in summary(verdict_, wanted)]


def test_verdict_without_steps_is_never_shown_as_passed():
    assert "✓" not in marks(Verdict())
    assert marks(Verdict(), NOTHING) == ["·"] * 4


def test_verdict_with_all_steps_passed_is_shown_as_passed():
    assert marks(verdict()) == ["✓"] * 4


@pytest.mark.parametrize(("step", "line"), [(5, 0), (6, 0), (7, 0), (3, 1), (4, 1), (8, 2), (9, 3)])
def test_failed_step_fails_every_claim_that_depends_on_it(step, line):
    assert marks(verdict(**{f"s{step}": "failed"}))[line] == "✗"
    assert marks(verdict(**{f"s{step}": "failed"}), NOTHING)[line] == "✗"


def test_proof_for_another_request_fails_the_context_claim():
    other = verdict()
    other.claimed_request = "0x2"
    assert marks(other)[3] == "✗"


def test_claims_not_checked_are_not_shown_as_passed():
    assert marks(verdict(), NOTHING)[2:] == ["–", "–"]
    assert "give --input" in summary(verdict(), NOTHING)[2]


def test_first_failure_leaves_later_claims_open():
    stopped = {f"s{number}": "not_reached" for number in range(2, 12)}
    assert marks(verdict(s1="failed", **stopped)) == ["·"] * 4


def test_show_of_a_refusal_escapes_hostile_text(capfd):
    refused = verdict(s1="failed")
    refused.refusal = MalformedAttestationError("[bold green]accepted[/]\x1b[2J", "[/]")
    show(refused, NOTHING)
    err = capfd.readouterr().err
    assert "[bold green]accepted[/]" in err
    assert "\x1b[2J" not in err
