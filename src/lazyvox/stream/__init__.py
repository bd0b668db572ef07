"""One pass over images: the scan and its consumers."""

from lazyvox.stream.consumer import Consumer, Handle
from lazyvox.stream.histogram import Histogram
from lazyvox.stream.scan import Scan
from lazyvox.stream.series_stats import DVARS, GlobalSignal
from lazyvox.stream.voxelwise import (
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
from lazyvox.stream.write import Write

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
