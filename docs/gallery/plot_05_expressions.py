"""
Arithmetic on images: z-scores of a run
=======================================

A run minus its mean, divided by its standard deviation: written as such, and computed in two passes
over the file, whatever its length.
"""

# %%
# Writing it down reads nothing. ``lv.explain`` says what reading it will do.

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name)

run = lv.load(files.run)
z = (run - run.mean(axis=-1)) / (run.std(axis=-1) + 0.01)
print(lv.explain(z))

# %%
# The result is an image: it can be sliced, saved, scanned and extracted from. Here the number of
# volumes beyond two standard deviations is counted, for each voxel, in the same way.

outliers = (abs(z) > 2).sum(axis=-1)
volume = z.dataobj[..., 50]
counts = np.asarray(outliers.dataobj)
inside = np.asarray(lv.load(files.mask).dataobj) != 0

figure, axes = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
shown = np.where(inside, volume, np.nan)[:, :, 30].T
drawn = axes[0].imshow(shown, origin="lower", cmap="RdBu_r", vmin=-3, vmax=3)
axes[0].set_title("z of volume 50")
figure.colorbar(drawn, ax=axes[0], orientation="horizontal", shrink=0.85)
shown = np.where(inside, counts, np.nan)[:, :, 30].T
drawn = axes[1].imshow(shown, origin="lower", cmap="magma")
axes[1].set_title("volumes with |z| > 2, of 100")
figure.colorbar(drawn, ax=axes[1], orientation="horizontal", shrink=0.85)
for axis in axes:
    axis.axis("off")

# %%
# The files of the example are not needed any more.

folder.cleanup()
