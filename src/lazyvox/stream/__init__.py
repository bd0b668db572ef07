"""One pass over images: the scan and its consumers."""

from lazyvox.stream.consumer import Consumer, Handle
from lazyvox.stream.histogram import Histogram
from lazyvox.stream.scan import Scan
from lazyvox.stream.series_stats import DVARS, GlobalSignal
from lazyvox.stream.voxelwise import TSNR, Max, Mean, Min, Std, Sum, Variance
from lazyvox.stream.write import Write

__all__ = [
    "DVARS",
    "TSNR",
    "Consumer",
    "GlobalSignal",
    "Handle",
    "Histogram",
    "Max",
    "Mean",
    "Min",
    "Scan",
    "Std",
    "Sum",
    "Variance",
    "Write",
]
