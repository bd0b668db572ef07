"""
A report about the quality of a run
===================================

One pass over a run, one page about it: maps, carpet plot, motion, outliers, regions. The page needs no other
file and no script.
"""

# %%
# A run with motion: still but for one jump, of which the signal knows nothing.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=150, step=2)
motion = np.zeros((150, 6))
motion[80:, 0] = 0.9

# %%
# ``lazyvox report RUN -o report.html`` does the same from the command line.

report = lv.qc_report(
    files.run,
    mask_img=files.mask,
    labels_img=files.atlas,
    lut=files.lut,
    motion=motion,
    motion_format="spm",
)
path = Path(folder.name) / "report.html"
report.save_as_html(path)
print(f"{path.stat().st_size / 1e6:.1f} MB, scripts: {report.html.count('<script')}")

# %%
# .. image:: /static/viewer/report.png
#    :alt: Part of the page: measures of volumes, and all of them over time.
#
# The measures of the page are a table as well, for thresholds of one's own.

table = lv.qc(files.run, mask_img=files.mask, motion=motion, motion_format="spm")
displacement = table["framewise_displacement"]
print(f"above 0.5 mm: volumes {np.flatnonzero(displacement > 0.5).tolist()}")

figure, axes = plt.subplots(2, 1, figsize=(7, 3.2), sharex=True, layout="constrained")
axes[0].plot(displacement)
axes[0].set_ylabel("displacement (mm)")
axes[1].plot(table["std_dvars"])
axes[1].set(ylabel="std. DVARS", xlabel="volume")
folder.cleanup()
