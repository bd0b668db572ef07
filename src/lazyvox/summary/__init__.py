"""Tables about images: statistics of regions, and the quality of volumes."""

from lazyvox.summary.quality import qc
from lazyvox.summary.statistics import stats
from lazyvox.summary.table import SummaryTable

__all__ = ["SummaryTable", "qc", "stats"]
