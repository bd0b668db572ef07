"""
nilearn's masker and lazyvox's, side by side
============================================

The maskers have nilearn's names, parameters and results. Here both take the same cleaned signals
from one run.
"""

# %%
# Both run the same program, each in a process of its own; only the import differs. nilearn is needed
# for this comparison, and by nothing in lazyvox.

import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np

from lazyvox.demo.example import write_example

PROGRAM = """
import sys
import time
import numpy as np
import lazyvox as lv
from {package}.maskers import NiftiLabelsMasker

run, atlas, target = sys.argv[1:]
masker = NiftiLabelsMasker(
    atlas, detrend=True, low_pass=0.08, t_r=2.0, standardize="zscore_sample"
)
began = time.perf_counter()
with lv.peak_memory() as peak:
    signals = masker.fit_transform(run)
print(time.perf_counter() - began, peak.increment / 2**20)
np.save(target, signals)
"""

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=200)

# %%
# Time and peak memory of the call, above what the imports hold. Both are small here, since the run
# is; the longer the run, the further they are apart.

signals, seconds, peaks = {}, {}, {}
for package in ("nilearn", "lazyvox"):
    target = f"{folder.name}/{package}.npy"
    command = [sys.executable, "-c", PROGRAM.format(package=package)]
    command += [files.run, files.atlas, target]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds[package], peaks[package] = (float(number) for number in done.stdout.split())
    signals[package] = np.load(target)
    print(f"{package}: {seconds[package]:.2f} s, {peaks[package]:.0f} MiB")

# %%
# The signals agree to the accuracy of float32 data.

difference = np.abs(signals["nilearn"] - signals["lazyvox"])
print(f"largest difference: {difference.max():.1e}")
assert difference.max() < 1e-4

figure, (lines, time_bars, memory_bars) = plt.subplots(
    1, 3, figsize=(9, 3.2), layout="constrained", width_ratios=[3, 1, 1]
)
colours = {"nilearn": "tab:orange", "lazyvox": "tab:blue"}
at = np.arange(200) * 2.0
for package, width in (("nilearn", 4.0), ("lazyvox", 1.2)):
    series = signals[package][:, 0]
    lines.plot(at, series, color=colours[package], linewidth=width, label=package)
lines.set(xlabel="time (s)", ylabel="z", title="region 1", ylim=(-3, 4.5))
lines.legend(frameon=False, ncols=2, loc="upper right")
for axis, values, title, form in (
    (time_bars, seconds, "seconds", "%.1f"),
    (memory_bars, peaks, "peak MiB", "%.0f"),
):
    drawn = axis.bar(list(values), list(values.values()), color=list(colours.values()))
    axis.bar_label(drawn, fmt=form)
    axis.set(title=title, yticks=[], ylim=(0, 1.15 * max(values.values())))
    axis.spines["left"].set_visible(False)
for axis in (lines, time_bars, memory_bars):
    axis.spines[["top", "right"]].set_visible(False)

# %%
# The files of the example are not needed any more.

folder.cleanup()
