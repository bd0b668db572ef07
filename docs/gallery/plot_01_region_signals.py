"""
Signals of regions from masks
=============================

One call takes the voxels of several masks from a compressed run. The run is decoded once, in
blocks of volumes, and only the voxels of the masks are kept.
"""

# %%
# A run of 100 volumes, and masks of six regions.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, step=2)
run = lv.load(files.run)
run

# %%
# A dict of masks gives a dict of signals. Columns are voxels, in the order of NumPy's boolean
# indexing, and the values are bit-equal to it.

masks = {Path(mask).name.removesuffix(".nii.gz"): mask for mask in files.regions}
signals = lv.extract(run, masks)
for name, of_region in signals.items():
    print(name, of_region.shape, of_region.dtype)

first = next(iter(masks.values()))
inside = np.asarray(lv.load(first).dataobj) != 0
assert np.array_equal(next(iter(signals.values())).values, run.dataobj[inside].T)

# %%
# The mean of each region, in percent of its mean over time.

seconds = np.arange(run.shape[3]) * 2.0
figure, axes = plt.subplots(6, sharex=True, figsize=(7, 6), layout="constrained")
for axis, (name, of_region) in zip(axes, signals.items(), strict=True):
    mean = of_region.values.mean(axis=1)
    axis.plot(seconds, 100 * (mean / mean.mean() - 1), color="tab:blue", linewidth=1.2)
    axis.set_title(f"{name}, {of_region.shape[1]} voxels", loc="left", fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
axes[-1].set_xlabel("time (s)")
figure.supylabel("change (%)", fontsize="medium")

# %%
# Nothing but the results was kept in memory.

assert not run.in_memory

# %%
# The files of the example are not needed any more.

folder.cleanup()
