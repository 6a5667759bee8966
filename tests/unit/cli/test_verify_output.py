"""The output of `zkinfer verify` on steps that passed, failed or were not reached."""

from dataclasses import replace
from pathlib import Path

import pytest

from zkinfer.cli.verify import Requirements, show, summary, verdict_line
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


def test_first_failure_leaves_later_claims_open():
    stopped = {f"s{number}": "not_reached" for number in range(2, 12)}
    assert marks(verdict(s1="failed", **stopped)) == ["·"] * 4


def test_show_of_a_refusal_escapes_hostile_text(capfd):
    refused = verdict(s1="failed")
    refused.refusal = MalformedAttestationError("[bold green]accepted[/]\x1b[2J", "[/]")
    show(refused, NOTHING, ATTESTATION)
    out, err = capfd.readouterr()
    assert "[bold green]accepted[/]" in out
    assert "[/]" in err
    assert "\x1b[2J" not in out + err


# --- the verdict


ATTESTATION = Path("folder/answer.json")
OPEN = ("follows the model", "the input that you mean", "for which request", "who signed it", "a chain has recorded it")


def test_verdict_is_the_last_line_of_the_output_and_follows_the_hints(capfd):
    show(verdict(), NOTHING, ATTESTATION)
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("Verdict: valid; answer.json proves that m, ")
    assert sum("Verdict" in line for line in out.splitlines()) == 1
    assert all(line.startswith("hint: ") for line in err.splitlines())
    assert "--" not in out


def test_verdict_lists_what_was_not_checked():
    _, colon, listed = verdict_line(verdict(), NOTHING, ATTESTATION).partition("not checked: ")
    assert colon
    assert all(claim in listed for claim in OPEN)


def test_verdict_omits_what_was_checked():
    text = verdict_line(verdict(), EVERYTHING, ATTESTATION)
    assert [claim for claim in OPEN if claim in text] == ["a chain has recorded it"]


def under_dev_setup():
    steps = verdict().steps
    steps[1] = replace(steps[1], detail="ezkl/1; insecure-dev")
    return Verdict(steps, claimed_request="0x1")


def test_verdict_under_the_dev_setup_is_forgeable_and_has_no_ticks(capfd):
    show(under_dev_setup(), EVERYTHING, ATTESTATION)
    out = capfd.readouterr().out
    assert "valid, but forgeable by anyone" in out.splitlines()[-1]
    assert "no evidence" in out.splitlines()[-1]
    assert "✓" not in out


def test_refusal_under_the_dev_setup_has_no_ticks_either(capfd):
    refused = under_dev_setup()
    refused.refusal = MalformedAttestationError("It is odd.", "Fix it.")
    show(refused, NOTHING, ATTESTATION)
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("Verdict: refused; answer.json is no evidence")
    assert out.splitlines()[-1].endswith("It is odd.")
    assert ("✓" in out, err) == (False, "hint: Fix it.\n")
