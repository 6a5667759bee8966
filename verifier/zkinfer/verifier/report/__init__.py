"""Reports of verifications: one value, written as HTML, PDF, Markdown or JSON with the same content.

report = make_report(verdict_on(verifier, path, policy), question, command=["zkinfer", "verify", ...])
write_report(report, Path("report.html"))
"""

from zkinfer.verifier.report.content import Report, make_report
from zkinfer.verifier.report.files import refuse_unwritable, write_report

__all__ = ["Report", "make_report", "refuse_unwritable", "write_report"]
