"""
A BIDS dataset, run by run
==========================

Runs of fMRIPrep's names in, tables of BIDS names out: one call of the command line for each run, with
the confounds that lie beside it.
"""

# %%
# A derivatives folder of two subjects. The files are those of the example under names of fMRIPrep;
# tables of confounds hold two tissue signals.

import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
dataset = Path(folder.name) / "fmriprep"
rng = np.random.default_rng(13)
for number in (1, 2):
    func = dataset / f"sub-0{number}" / "func"
    func.mkdir(parents=True)
    files = write_example(folder.name, n_volumes=120, step=3, seed=number)
    stem = f"sub-0{number}_task-rest"
    shutil.move(files.run, func / f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
    tissues = rng.normal(0, 1, (120, 2))
    lines = ["csf\twhite_matter", *("\t".join(map(str, row)) for row in tissues)]
    (func / f"{stem}_desc-confounds_timeseries.tsv").write_text("\n".join(lines) + "\n")
print(*sorted(str(path.relative_to(dataset)) for path in dataset.rglob("*.*")), sep="\n")

# %%
# An image of fMRIPrep's is enough for ``load_confounds``: it finds the table beside it. Signals are
# saved under the name that BIDS has for them.

derivatives = Path(folder.name) / "timeseries"
derivatives.mkdir()
results = {}
for run in sorted(dataset.rglob("*_desc-preproc_bold.nii.gz")):
    signals = lv.extract(
        run,
        files.atlas,
        lut=files.lut,
        confounds=lv.load_confounds(run, "wm_csf"),
        detrend=True,
        standardize="zscore_sample",
    )
    subject = run.name.partition("_")[0]
    signals.save(derivatives / f"{subject}_task-rest_atlas-example_stat-mean_timeseries.tsv")
    results[subject] = signals
print(*sorted(path.name for path in derivatives.iterdir()), sep="\n")

# %%
# The command line does the same where ``-o`` is a folder. It chooses the name, and writes a JSON file with
# the sources beside the table:
#
# .. code-block:: console
#
#    $ lazyvox extract sub-01_task-rest_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz \
#        --labels atlas.nii.gz --lut atlas.tsv --detrend --standardize zscore_sample \
#        --confounds sub-01_task-rest_desc-confounds_timeseries.tsv --confound-strategy wm_csf \
#        -o timeseries/

# %%
# A matrix for each subject, and their mean after Fisher's transform.

matrices = {name: np.asarray(lv.connectivity(signals)) for name, signals in results.items()}
fisher = np.mean([np.arctanh(np.clip(m, -0.999, 0.999)) for m in matrices.values()], axis=0)
matrices["mean"] = np.tanh(fisher)
figure, axes = plt.subplots(1, 3, figsize=(7, 2.7), layout="constrained")
for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
    shown = axis.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
    axis.set(title=name, xticks=[], yticks=[])
_ = figure.colorbar(shown, ax=axes, shrink=0.8, label="correlation")

# %%
# The files of the example are not needed any more.

folder.cleanup()
