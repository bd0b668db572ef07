"""
Mean, standard deviation and tSNR in one pass
=============================================

A scan reads the run once, whatever hangs on it. Its plan is known before the first voxel is read.
"""

# %%
# Three images and a curve: each is a consumer that sees every block of volumes.

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name)

scan = lv.Scan(files.run)
mean = scan.add(lv.Mean())
spread = scan.add(lv.Std())
tsnr = scan.add(lv.TSNR())
whole = scan.add(lv.GlobalSignal(files.mask))
print(scan.explain())

# %%
# One pass over the compressed file gives all four.

scan.run()

inside = np.asarray(lv.load(files.mask).dataobj) != 0
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
results = {"mean": mean, "standard deviation": spread, "tSNR": tsnr}
for axis, (name, handle) in zip(axes, results.items(), strict=True):
    volume = np.where(inside, handle.result().get_fdata(), np.nan)
    low, high = np.nanpercentile(volume, [1, 99])
    drawn = axis.imshow(volume[:, :, 30].T, origin="lower", vmin=low, vmax=high)
    axis.set_title(name)
    axis.axis("off")
    figure.colorbar(drawn, ax=axis, orientation="horizontal", shrink=0.85)

# %%
# The mean of all voxels of the brain, in percent of its mean over time.

signal = whole.result()
figure, axis = plt.subplots(figsize=(7, 2.4), layout="constrained")
axis.plot(np.arange(100) * 2.0, 100 * (signal / signal.mean() - 1), linewidth=1.2)
axis.set(xlabel="time (s)", ylabel="change (%)", title="global signal")
axis.spines[["top", "right"]].set_visible(False)

# %%
# The files of the example are not needed any more.

folder.cleanup()
