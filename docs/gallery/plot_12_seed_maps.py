"""
Correlation with a seed region
==============================

The correlation of every voxel with the signal of a seed, cleaned on the way, in one pass over the run.
"""

# %%
# Seeds are coordinates in mm, masks or labels. Here the six regions of the example are seeds, in a
# dict, so that maps come back by name.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=200, step=2)
seeds = {Path(path).name.split(".")[0]: path for path in files.regions}
maps = lv.seed_map(
    files.run,
    seeds,
    mask_img=files.mask,
    high_pass=0.01,
    low_pass=0.1,
    drift_order=1,
    smoothing_fwhm=6,
)
print(maps[next(iter(maps))])

# %%
# Each map is an image in memory. A slice through the voxel that correlates most shows the region of the
# seed, and what goes along with it.

inside = np.asarray(lv.load(files.mask).dataobj) != 0
figure, axes = plt.subplots(2, 3, figsize=(7, 5.2), layout="constrained")
for axis, (name, img) in zip(axes.flat, maps.items(), strict=True):
    values = np.where(inside, img.get_fdata(), np.nan)
    k = np.unravel_index(np.nanargmax(values), values.shape)[2]
    shown = axis.imshow(values[:, :, k].T, origin="lower", vmin=-1, vmax=1, cmap="RdBu_r")
    axis.set(title=name, xticks=[], yticks=[])
_ = figure.colorbar(shown, ax=axes, shrink=0.6, label="correlation")

# %%
# The plan of such a call says what it holds. Nothing of the run is read for it.

plan = lv.plan(lv.seed_map, files.run, seeds, mask_img=files.mask, high_pass=0.01, low_pass=0.1)
print(plan.explain())

# %%
# The files of the example are not needed any more.

folder.cleanup()
