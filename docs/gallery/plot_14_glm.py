"""
A first-level GLM in one pass
=============================

nilearn's first-level model, fitted in one pass over the run, with memory that does not grow with its
length. Design matrix, contrasts and thresholds are nilearn's.
"""

# %%
# The run of this example has no task, so two regions get one: they follow blocks of 20 s.

import tempfile

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm import threshold_stats_img

import lazyvox as lv
from lazyvox.demo.example import write_example
from lazyvox.glm import FirstLevelModel

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=200, step=2)
img = lv.load(files.run)
t_r = float(img.header.get_zooms()[3])
onsets = np.arange(10, 200 * t_r - 20, 40)
events = pd.DataFrame(
    {"onset": onsets, "duration": 20.0, "trial_type": np.resize(["left", "right"], len(onsets))}
)
times = np.arange(200) * t_r - 5
values = img.get_fdata()
for name, path in zip(("left", "right"), files.regions, strict=False):
    blocks = events.onset[events.trial_type == name].to_numpy()
    is_on = ((times[:, None] >= blocks) & (times[:, None] < blocks + 20)).any(axis=1)
    region = np.asarray(lv.load(path).dataobj) != 0
    values[region] *= 1 + 0.02 * is_on
run = f"{folder.name}/task.nii.gz"
nib.save(nib.Nifti1Image(values.astype(np.float32), img.affine, img.header), run)

# %%
# The import is the only change to a program that was written for nilearn.

model = FirstLevelModel(t_r=t_r, mask_img=files.mask, smoothing_fwhm=6)
model.fit(run, events)
z_map = model.compute_contrast("left - right")
thresholded, threshold = threshold_stats_img(z_map, alpha=0.001, height_control="fpr")
print(f"|z| above {threshold:.2f}: {int((thresholded.get_fdata() != 0).sum())} voxels")

# %%
# The plan says what a fit takes; of a run of ten times as many volumes it would say the same.

print(lv.plan(model.fit, run, events).explain())

# %%
# A slice through the largest z, and the design.

z = z_map.get_fdata()
place = np.unravel_index(np.argmax(z), z.shape)
figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
axes[0].imshow(np.rot90(z[:, :, place[2]]), cmap="RdBu_r", vmin=-8, vmax=8)
axes[0].set(title="z, left - right", xticks=[], yticks=[])
axes[1].imshow(model.design_matrices_[0], aspect="auto", cmap="gray")
axes[1].set(title="design matrix", xlabel="column", ylabel="volume")
folder.cleanup()
