"""
Smoothing and resampling, volume by volume
==========================================

``smooth_img`` and ``resample_img`` return immediately. A volume is smoothed and resampled when it is
read, and a chain of both is one pass over the file when it is saved.
"""

# %%
# Neither call reads a voxel.

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example
from lazyvox.image import resample_img, smooth_img

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=40)

run = lv.load(files.run)
smoothed = smooth_img(run, fwhm=6)
coarse = resample_img(smoothed, target_affine=np.diag([6.0, 6.0, 6.0]))
print(run.shape, smoothed.shape, coarse.shape)

# %%
# Volume 20 of each. To draw it, that volume alone is computed.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
titles = ("as stored, 3 mm", "smoothed, 6 mm", "and resampled to 6 mm")
for axis, img, title in zip(axes, (run, smoothed, coarse), titles, strict=True):
    volume = img.dataobj[..., 20]
    middle = volume.shape[2] // 2
    axis.imshow(volume[:, :, middle].T, origin="lower", cmap="gray", vmin=0, vmax=1000)
    axis.set_title(title)
    axis.axis("off")

# %%
# Saving goes through the run once. The plan says what it takes.

target = f"{folder.name}/coarse.nii.gz"
print(lv.plan(lv.save, coarse, target))
lv.save(coarse, target)

# %%
# The files of the example are not needed any more.

folder.cleanup()
