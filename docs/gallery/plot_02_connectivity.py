"""
From labels to a matrix of connectivity
=======================================

Mean signals of the 64 regions of an atlas, detrended, filtered and standardised on the way, and
their correlations.
"""

# %%
# The atlas is a labels image with a table of names. Cleaning is an option of the same call.

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=200, step=2)
signals = lv.extract(
    files.run,
    files.atlas,
    lut=files.lut,
    detrend=True,
    high_pass=0.004,
    low_pass=0.08,
    standardize="zscore_sample",
)
print(signals.shape, signals.names[:3])

# %%
# More than 20 columns are drawn as an image, one row for each region.

signals.plot(plt.subplots(figsize=(7, 4), layout="constrained")[1])

# %%
# Correlations are estimated as nilearn's ``ConnectivityMeasure`` does by default. Regions are put
# next to those that they correlate with: in the order of the first eigenvector's angle to the second.

matrix = np.asarray(lv.connectivity(signals))
values, vectors = np.linalg.eigh(matrix)
order = np.argsort(np.arctan2(vectors[:, -2], vectors[:, -1]))

figure, axis = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
shown = axis.imshow(matrix[np.ix_(order, order)], vmin=-1, vmax=1, cmap="RdBu_r")
axis.set_xticks([])
axis.set_yticks(
    np.arange(0, 64, 4), [signals.names[row] for row in order[::4]], fontsize="x-small"
)
axis.set_title("correlation of 64 regions (every fourth is named)", fontsize="medium")
_ = figure.colorbar(shown, shrink=0.8)

# %%
# The files of the example are not needed any more.

folder.cleanup()
