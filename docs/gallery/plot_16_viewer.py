"""
A run in the browser
====================

``lazyvox view RUN``, or :func:`lazyvox.view`: any volume of a run, the series of a voxel by a click, its
correlations by a click with Shift. The file is not loaded.
"""

# %%
# .. image:: /static/viewer/viewer-correlation.png
#    :alt: Three planes with the correlations of a voxel, and its series below.
#
# In a notebook ``lv.view(...)`` at the end of a cell shows this page in a frame; elsewhere it opens in the
# browser. What is viewed may be computed: here it is smoothed where it is looked at, and nowhere else.

import json
import tempfile
from urllib.request import urlopen

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example
from lazyvox.image import smooth_img

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=150, step=2)
smooth = smooth_img(files.run, 6)
shown = lv.view(smooth, atlas=files.atlas, lut=files.lut, mask_img=files.mask, open_browser=False)

# %%
# The page asks the server in plain HTTP, as can be done from anywhere on this machine by who has the address:
# a volume is a NIfTI file, a series is JSON.

region = np.argwhere(np.asarray(lv.load(files.regions[0]).dataobj))
i, j, k = region[len(region) // 2]
with urlopen(f"{shown.url}series?i={i}&j={j}&k={k}") as answer:
    series = json.load(answer)
print(series["voxel"], series["region"]["name"], len(series["value"]))

# %%
# The series of the voxel is that of the image.

np.testing.assert_allclose(series["value"], smooth.dataobj[i, j, k], rtol=1e-5)
times = 2.0 * np.arange(len(series["value"]))
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
axis.plot(times, series["value"], label="voxel, smoothed")
axis.plot(times, series["region"]["value"], label=series["region"]["name"])
axis.set(xlabel="time (s)", ylabel="value")
axis.legend(frameon=False, ncols=2)
axis.spines[["top", "right"]].set_visible(False)

# %%
# A view is shown until it is closed, or forgotten.

shown.close()
folder.cleanup()
