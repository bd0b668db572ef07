"""Tables about images: statistics of regions, and the quality of volumes."""

from lazyvox.summary.quality import PreparedQuality, prepare_qc, qc
from lazyvox.summary.statistics import PreparedStatistics, StatsOptions, prepare_stats, stats
from lazyvox.summary.table import SummaryTable

__all__ = [
    "PreparedQuality",
    "PreparedStatistics",
    "StatsOptions",
    "SummaryTable",
    "prepare_qc",
    "prepare_stats",
    "qc",
    "stats",
]
