"""
Cleaning with confounds and censored volumes
============================================

A table of confounds, as fMRIPrep writes it, goes into the extraction: its columns are regressed out of
the signals, and volumes with too much motion are left out.
"""

# %%
# The example has no table, so one is made here: six motion parameters with three jumps, framewise
# displacement, and two tissue signals. Motion and tissues leave traces in the run.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=200, step=2)
rng = np.random.default_rng(11)
motion = np.cumsum(rng.normal(0, 0.01, (200, 6)), axis=0)
motion[[60, 61, 130]] += 0.6
moved = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
displacement = moved[:, :3].sum(axis=1) + 50 * moved[:, 3:].sum(axis=1) / 57.3
tissues = np.cumsum(rng.normal(0, 1, (200, 2)), axis=0)
names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
names += ["framewise_displacement", "white_matter", "csf"]
columns = np.column_stack([motion, displacement, tissues])
table = Path(folder.name) / "confounds.tsv"
np.savetxt(table, columns, delimiter="\t", header="\t".join(names), comments="")

run = lv.load(files.run)
traces = (2 * tissues[:, 0] + 40 * moved.sum(axis=1)).astype(np.float32)
brain = np.asarray(lv.load(files.mask).dataobj).astype(np.float32)
lv.save(run + brain[..., None] * traces, Path(folder.name) / "moved.nii.gz")

# %%
# ``load_confounds`` chooses columns by the names of nilearn's strategies, and says which volumes it
# censors and why.

confounds = lv.load_confounds(
    table,
    "motion6,wm_csf",
    columns="framewise_displacement",
)
print(confounds.names)

censoring = np.flatnonzero(displacement > 1)
kept = np.setdiff1d(np.arange(200), censoring)
print("left out:", censoring)

# %%
# The same call with and without them. Both passes read the run in blocks.

options = {"lut": files.lut, "detrend": True, "low_pass": 0.1, "t_r": 2.0}
moved_run = Path(folder.name) / "moved.nii.gz"
raw = lv.extract(moved_run, files.atlas, lut=files.lut, detrend=True)
clean = lv.extract(moved_run, files.atlas, confounds=confounds, sample_mask=kept, **options)
print(raw.shape, clean.shape)

figure, axes = plt.subplots(2, sharex=True, figsize=(7, 4.4), layout="constrained")
axes[0].plot(2.0 * np.arange(200), raw.values[:, 0], color="tab:gray", linewidth=1)
axes[0].set_title(f"{raw.names[0]}, detrended", loc="left", fontsize="small")
axes[1].plot(2.0 * kept, clean.values[:, 0], color="tab:blue", linewidth=1)
axes[1].set_title("confounds regressed out, low-pass 0.1 Hz", loc="left", fontsize="small")
for axis in axes:
    axis.spines[["top", "right"]].set_visible(False)
    for volume in censoring:
        axis.axvline(2.0 * volume, color="tab:red", linewidth=0.8, alpha=0.5)
_ = axes[1].set_xlabel("time (s); censored volumes in red")

# %%
# What is common to all regions, and comes from motion and tissues, is gone: regions correlate less.

for name, signals in {"detrended": raw, "cleaned": clean}.items():
    matrix = np.asarray(lv.connectivity(signals))
    print(f"{name}: mean correlation {matrix[np.triu_indices(64, 1)].mean():.2f}")

# %%
# The files of the example are not needed any more.

folder.cleanup()
