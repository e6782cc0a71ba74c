"""The evaluation's report: one HTML file that needs nothing but itself."""

from detector.evaluation.report.document import render_report

__all__ = ["render_report"]
