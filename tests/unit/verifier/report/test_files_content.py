"""Every form has the same content: whatever the JSON says, HTML, Markdown and PDF say too."""

import io
import re
from dataclasses import replace
from html import unescape

import pytest
from pypdf import PdfReader

from zkinfer.verifier.report.content import document
from zkinfer.verifier.report.html import html_bytes
from zkinfer.verifier.report.markdown import markdown_bytes
from zkinfer.verifier.report.pdf import pdf_bytes

KINDS = ("valid", "forgeable", "refused", "recorded")
CODES = {"format", "outcome", "accepted", "inputVisibility", "status", "number", "type", "shape", "shownAs", "values"}
"""Fields for programs: the other forms say the same in words, or as a picture, bars or a table."""
SPELT = {"headline", "seconds", "madeAt", "recordedAt", "confirmations", "finalised"}
"""Facts that the other forms spell in another way, or say as a part of the verdict."""


def squeezed(text):
    """Text without full stops, spaces, hyphens and the case of letters, which differ where lines are broken."""
    return re.sub(r"\.(?=\s|$)|[\s\u00ad-]+", "", text).lower()


def as_html(report):
    body = re.sub(r"<(script|style)>.*?</\1>", "", html_bytes(report).decode(), flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", " ", body))


def as_markdown(report):
    unmarked = re.sub(r"(?<!\\)\*\*|<br>|`", " ", markdown_bytes(report).decode())
    return re.sub(r"\\([^\w\s])", r"\1", unmarked)


def as_pdf(report):
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf_bytes(report))).pages)


FORMS = {"html": as_html, "markdown": as_markdown, "pdf": as_pdf}


def facts(value, *, name=""):
    """The texts in a JSON document that a reader must find, with the names under which they stand."""
    if name in CODES | SPELT:
        return
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in FIELDS:
                yield key
            yield from facts(one, name=key)
    elif isinstance(value, list):
        for one in value:
            yield from facts(one)
    elif value not in (None, ""):
        yield str(value)


FIELDS = (
    CODES
    | SPELT
    | {
        *(
            "verdict",
            "refusal",
            "cause",
            "cure",
            "properties",
            "claim",
            "remark",
            "meaning",
            "checks",
            "title",
            "detail",
        ),
        *(
            "outputs",
            "inputs",
            "name",
            "facts",
            "labels",
            "model",
            "cost",
            "provenance",
            "fidelity",
            "errors",
            "columns",
        ),
        *("record", "chainId", "ledger", "listing", "block", "blockHash", "nodes", "code", "address", "keccak256"),
        *("budget", "notChecked", "why", "option", "limits", "repeat", "digests", "madeBy"),
    }
)


def missing(report, shown):
    return [fact for fact in facts(document(report)) if squeezed(fact) not in squeezed(shown)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_form_has_every_fact_of_the_json(report_on, request, form, kind):
    report = report_on(request.getfixturevalue(kind))
    assert missing(report, FORMS[form](report)) == []


@pytest.mark.parametrize("form", FORMS)
def test_fact_that_a_form_lacks_is_noticed(report_on, valid, form):
    report = report_on(valid)
    more = replace(report, facts=(*report.facts, ("colour", "blue")), limits=(*report.limits, "That it rains."))
    assert missing(more, FORMS[form](report)) == ["colour", "blue", "That it rains."]


@pytest.mark.parametrize("form", FORMS)
def test_form_has_every_shown_value_of_the_answer(report_on, valid, form):
    report = report_on(valid)
    shown = squeezed(FORMS[form](report))
    assert all(squeezed(bar.text) in shown for bar in report.outputs[0].view.rows)
    assert all(squeezed(cell) in shown for row in report.inputs[0].view.rows for cell in row)
