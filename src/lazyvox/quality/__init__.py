"""Report about the quality of runs: measures, maps and figures on one HTML page."""

from lazyvox.quality.api import qc_report

__all__ = ["qc_report"]
