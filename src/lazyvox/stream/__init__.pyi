from .consumer import Consumer, Handle
from .histogram import Histogram
from .scan import Scan
from .series_stats import DVARS, GlobalSignal
from .voxelwise import (
    AR1,
    TSNR,
    Max,
    Mean,
    Median,
    Min,
    Percentile,
    Std,
    Sum,
    Variance,
)
from .write import Write

__all__ = [
    "AR1",
    "DVARS",
    "TSNR",
    "Consumer",
    "GlobalSignal",
    "Handle",
    "Histogram",
    "Max",
    "Mean",
    "Median",
    "Min",
    "Percentile",
    "Scan",
    "Std",
    "Sum",
    "Variance",
    "Write",
]
