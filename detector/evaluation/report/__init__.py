"""The evaluation's report: one HTML file that needs nothing but itself."""

from detector.evaluation.report.document import render_report
from detector.evaluation.report.summary import headlines

__all__ = ["headlines", "render_report"]
