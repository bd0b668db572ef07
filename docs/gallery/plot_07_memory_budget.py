"""
Plans and budgets: predicted and measured memory
================================================

Each pass has a plan, made before anything is read. Its predicted peak is an upper bound of what
lazyvox allocates; a smaller budget gives smaller blocks, and one that is too small is refused.
"""

# %%
# The voxels of six masks, out of runs of three lengths. The result grows with the run, and nothing
# else does. Each is measured in a process of its own, since a process keeps memory that it needed
# before.

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

MIB = 2**20
PROGRAM = """
import sys
from lazyvox import extract, peak_memory

with peak_memory() as peak:
    extract(sys.argv[1], sys.argv[2:])
print(peak.increment)
"""

folder = tempfile.TemporaryDirectory()
lengths = (50, 100, 200)
predicted, measured, whole = [], [], []
for length in lengths:
    place = Path(folder.name) / str(length)
    place.mkdir()
    files = write_example(place, n_volumes=length)
    rois = list(files.regions)
    predicted.append(lv.plan(lv.extract, files.run, rois).peak_bytes / MIB)
    command = [sys.executable, "-c", PROGRAM, files.run, *rois]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured.append(int(done.stdout) / MIB)
    whole.append(np.prod(lv.load(files.run).shape) * 4 / MIB)

# %%
# Decoded as a whole, the runs would take what the grey bars show.

figure, axis = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
places = np.arange(len(lengths))
bars = {
    "whole run, float32": (whole, "0.75"),
    "predicted peak": (predicted, "tab:blue"),
    "measured peak": (measured, "tab:orange"),
}
for shift, (label, (heights, colour)) in zip((-0.27, 0, 0.27), bars.items(), strict=True):
    drawn = axis.bar(places + shift, heights, 0.25, label=label, color=colour)
    axis.bar_label(drawn, fmt="%.0f", fontsize="small")
axis.set_xticks(places, [f"{length} volumes" for length in lengths])
axis.set_ylabel("MiB")
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)

# %%
# The budget decides the size of the blocks.

for budget in ("40MB", "18MB", "12MB"):
    plan = lv.plan(lv.mean_img, files.run, memory=budget)
    print(budget, plan.block_volumes, "volumes a block,", plan.peak_bytes // 10**6, "MB")

# %%
# One that nothing fits into is refused, with the smallest that would do.

try:
    lv.mean_img(files.run, memory="2MB")
except lv.MemoryBudgetError as error:
    print(error)

# %%
# The files of the example are not needed any more.

folder.cleanup()
