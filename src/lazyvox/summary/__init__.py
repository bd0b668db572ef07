"""Tables about images: statistics of regions and of volumes."""

from lazyvox.summary.statistics import PreparedStatistics, StatsOptions, prepare_stats, stats
from lazyvox.summary.table import SummaryTable

__all__ = ["PreparedStatistics", "StatsOptions", "SummaryTable", "prepare_stats", "stats"]
