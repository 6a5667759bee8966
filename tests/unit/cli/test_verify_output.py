"""The output of `zkinfer verify` on steps that passed, failed or were not reached."""

from dataclasses import replace
from pathlib import Path

from zkinfer.cli.verify import Requirements, question_of, show, verdict_line
from zkinfer.verifier import MalformedAttestationError, Step
from zkinfer.verifier.verdict import Verdict

ATTESTATION = Path("folder/answer.json")
EVERYTHING = question_of(
    Requirements(Path("m"), Path("c"), Path("p"), Path("i"), [Path("k")], "0x1", True), ATTESTATION
)
NOTHING = question_of(Requirements(Path("m"), None, None, None, [], None, False), ATTESTATION)


def verdict(**statuses):
    """A verdict with eleven passed steps, except those given as `s3="failed"`."""
    steps = [Step(number, "t", statuses.get(f"s{number}", "passed")) for number in range(1, 12)]
    return Verdict(steps, claimed_request="0x1")


def test_show_of_a_refusal_escapes_hostile_text(capfd):
    refused = verdict(s1="failed")
    refused.refusal = MalformedAttestationError("[bold green]accepted[/]\x1b[2J", "[/]")
    show(refused, NOTHING)
    out, err = capfd.readouterr()
    assert "[bold green]accepted[/]" in out
    assert "[/]" in err
    assert "\x1b[2J" not in out + err


# --- the verdict


OPEN = ("follows the model", "the input that you mean", "for which request", "who signed it", "a chain has recorded it")


def test_verdict_is_the_last_line_of_the_output_and_follows_the_hints(capfd):
    show(verdict(), NOTHING)
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("Verdict: valid; answer.json proves that m, ")
    assert sum("Verdict" in line for line in out.splitlines()) == 1
    assert all(line.startswith("hint: ") for line in err.splitlines())
    assert "--" not in out


def test_verdict_lists_what_was_not_checked():
    _, colon, listed = verdict_line(verdict(), NOTHING).partition("not checked: ")
    assert colon
    assert all(claim in listed for claim in OPEN)


def test_verdict_omits_what_was_checked():
    text = verdict_line(verdict(), EVERYTHING)
    assert [claim for claim in OPEN if claim in text] == ["a chain has recorded it"]


def under_dev_setup():
    steps = verdict().steps
    steps[1] = replace(steps[1], detail="ezkl/1; insecure-dev")
    return Verdict(steps, claimed_request="0x1")


def test_verdict_under_the_dev_setup_is_forgeable_and_has_no_ticks(capfd):
    show(under_dev_setup(), EVERYTHING)
    out = capfd.readouterr().out
    assert "valid, but forgeable by anyone" in out.splitlines()[-1]
    assert "no evidence" in out.splitlines()[-1]
    assert "✓" not in out


def test_refusal_under_the_dev_setup_has_no_ticks_either(capfd):
    refused = under_dev_setup()
    refused.refusal = MalformedAttestationError("It is odd.", "Fix it.")
    show(refused, NOTHING)
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("Verdict: refused; answer.json is no evidence")
    assert out.splitlines()[-1].endswith("It is odd.")
    assert ("✓" in out, err) == (False, "hint: Fix it.\n")
