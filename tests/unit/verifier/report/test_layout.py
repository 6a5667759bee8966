"""What the forms say beside the facts depends on how far the verification came."""

from dataclasses import replace

import pytest

from zkinfer.verifier.report.blocks import Items, Paragraph
from zkinfer.verifier.report.layout import sections, summary


def said(report, name):
    [section] = [one for one in sections(report) if one.name == name]
    return " ".join(block.text for block in section.blocks if isinstance(block, Paragraph))


def stopped(verdict, number):
    """The verdict as if it had been refused at a step."""
    ends = {number: "failed"}
    steps = [
        replace(step, status=ends.get(step.number, "passed" if step.number < number else "not_reached"))
        for step in verdict.steps
    ]
    return replace(verdict, steps=steps)


@pytest.mark.parametrize(("failed", "rebuilt"), [(2, False), (4, False), (7, True)])
def test_key_was_rebuilt_only_if_the_step_was_passed(report_on, refused, failed, rebuilt):
    assert ("was rebuilt" in said(report_on(stopped(refused, failed)), "checks")) is rebuilt


def test_refusal_names_the_check_that_failed_and_the_remedy(report_on, refused):
    [reasons] = [block for block in summary(report_on(refused)) if isinstance(block, Items)]
    assert [title for title, _ in reasons.rows] == ["Why it was refused", "Likely reason, or remedy"]
    assert reasons.rows[0][1].startswith("Check 7 failed: that the proof holds. The proof does not hold")


def test_refused_attestation_has_no_limits_of_proofs(report_on, refused, valid):
    assert report_on(refused).limits == ()
    assert report_on(valid).limits


def test_accepted_attestation_has_no_reasons(report_on, valid):
    assert not any(isinstance(block, Items) for block in summary(report_on(valid)))


@pytest.mark.parametrize("kind", ["valid", "forgeable", "refused"])
def test_report_says_that_it_is_not_signed(report_on, request, kind):
    assert "This report is not signed" in said(report_on(request.getfixturevalue(kind)), "repeat")


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ((), "It needs no network."),
        (("--rpc-file", "url"), "It needs a node of the chain."),
        (("--rpc", "URL"), "It needs a node of the chain; URL stands for the node's own"),
    ],
)
def test_command_that_repeats_says_what_it_needs(report_on, valid, options, needs):
    assert needs in said(report_on(valid, command=("zkinfer", "verify", "a.json", *options)), "repeat")
