import io
from dataclasses import replace

import numpy as np
import pytest
from pypdf import PdfReader
from tests.unit.verifier.report import hostile

from zkinfer.verifier.inference import SEAL
from zkinfer.verifier.report.pdf import pdf_bytes


def read(report):
    return PdfReader(io.BytesIO(pdf_bytes(report)))


def text(report):
    return " ".join(" ".join(page.extract_text() for page in read(report).pages).split())


def test_document_has_the_verdict_every_section_and_a_language(report_on, valid):
    report = report_on(valid)
    found = text(report)
    assert found.index("Valid") < found.index("Verdict: valid; answer.json proves") < found.index("What was checked")
    assert all(title in found for title in ("The proven answer", "What was not checked", "The model", "Digests"))
    assert dict(report.digests)["verifying key"] in found.replace(" ", "")
    assert read(report).trailer["/Root"]["/Lang"] == "en"


def test_same_report_gives_the_same_bytes(report_on, valid):
    assert pdf_bytes(report_on(valid)) == pdf_bytes(report_on(valid))


def test_fonts_are_embedded(report_on, valid):
    fonts = [
        font.get_object() for page in read(report_on(valid)).pages for font in page["/Resources"]["/Font"].values()
    ]
    used = [font for font in fonts if "Report" in font["/BaseFont"] or "Vera" in font["/BaseFont"]]
    assert used
    assert all("/FontFile2" in font["/FontDescriptor"] for font in used)


def test_refused_attestation_is_told_with_the_reason(report_on, refused):
    found = text(report_on(refused))
    assert "Refused" in found
    assert "The proof does not hold" in found
    assert "what the model answered" not in found


def test_report_under_the_dev_setup_says_forgeable(report_on, forgeable):
    assert "which is not proven" in text(report_on(forgeable))


@pytest.mark.parametrize("name", hostile.NAMES)
@pytest.mark.parametrize("kind", ["valid", "refused"])
def test_hostile_text_stays_text(report_on, request, kind, name):
    report = hostile.everywhere(report_on, request.getfixturevalue(kind), name)
    document = read(report)
    assert all("/Annots" not in page for page in document.pages)
    assert document.attachments == {}
    assert "/JavaScript" not in str(document.trailer["/Root"])


def test_markup_is_shown_and_not_read(report_on, valid):
    assert "<script>alert(1)</script>" in text(hostile.everywhere(report_on, valid, hostile.NAMES[0]))


def test_characters_without_a_glyph_are_shown_as_code_points(report_on, valid):
    assert "[U+6587]" in text(report_on(valid, model="文.onnx"))


def test_pictures_and_long_tables_are_drawn(report_on, valid):
    inputs = {"image": np.linspace(0, 1, 3 * 96 * 96).reshape(1, 3, 96, 96), "x": np.zeros((300, 300))}
    seen = replace(valid, inference=replace(valid.inference, inputs=inputs, seal=SEAL))
    assert "96 by 96 pixels" in text(report_on(seen))
