from .quality import qc
from .statistics import stats
from .table import SummaryTable

__all__ = ["SummaryTable", "qc", "stats"]
