"""Write a report in the form that the suffix of the file names."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from zkinfer.circuits.errors import InputError
from zkinfer.circuits.storage import write_atomically
from zkinfer.verifier.report.content import json_bytes
from zkinfer.verifier.report.html import html_bytes
from zkinfer.verifier.report.language import ENGLISH, words_of
from zkinfer.verifier.report.markdown import markdown_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from zkinfer.verifier.report.content import Report

SUFFIXES = (".html", ".pdf", ".md", ".json")


def refuse_unwritable(path: Path) -> None:
    """Raise InputError if no report can be written there; call it before the work that the report is about."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path} cannot be a report: it ends in none of {', '.join(SUFFIXES)}.", "Choose another name."
        )
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{path} cannot be written: its folder does not exist, or it is one.", "Choose another path.")
    if path.suffix.lower() == ".pdf" and find_spec("reportlab") is None:
        raise InputError(
            "A report as PDF needs reportlab.", "Run pip install 'zkinfer[report]', or print the report as HTML."
        )


def write_report(report: Report, path: Path, language: str = ENGLISH) -> None:
    """Write a report as HTML, PDF, Markdown or JSON; an existing file is replaced.

    Raises:
        InputError: another suffix, an unknown language, reportlab is not installed, or the file cannot be written.
    """
    refuse_unwritable(path)
    write_atomically(path, report_bytes(report, path.suffix.lower(), language))


def report_bytes(report: Report, suffix: str, language: str = ENGLISH) -> bytes:
    """A report in the form that one of `SUFFIXES` names; JSON is for programs, and the same in every language.

    Raises InputError for an unknown language.
    """
    words_of(language)
    if suffix == ".json":
        return json_bytes(report)
    if suffix == ".pdf":
        from zkinfer.verifier.report.pdf import pdf_bytes  # noqa: PLC0415 - an optional library

        return pdf_bytes(report, language)
    return {".html": html_bytes, ".md": markdown_bytes}[suffix](report, language)
