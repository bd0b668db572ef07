"""
A sum over subjects, with two volumes in memory
===============================================

Lazy readers stand for files. They load when they are used, and release what they loaded after
the operations that were foreseen; a preloader reads ahead in the meantime.
"""

# %%
# The mean images of 12 generated subjects, each in a file of its own.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
names = []
for subject in range(12):
    place = Path(folder.name) / f"sub-{subject + 1:02d}"
    place.mkdir()
    files = write_example(place, n_volumes=2, step=2, seed=subject)
    names.append(str(place / "mean.nii.gz"))
    lv.save(lv.mean_img(files.run), names[-1])

# %%
# ``nops=1``: each volume takes part in one addition, and is then released. How many are loaded is
# counted after each addition. The preloader is told to have up to two loaded ahead.


def sum_and_count(volumes, iterated):
    """Return the sum, and how many volumes were loaded after each addition."""
    total, counts = 0, []
    for volume in iterated:
        total = total + volume
        counts.append(sum(each.preloading() for each in volumes))
    return total, counts


kept = [lv.LazyReadData(name, dtype=np.float32) for name in names]
released = [lv.LazyReadData(name, nops=1, dtype=np.float32) for name in names]
ahead = [lv.LazyReadData(name, nops=1, dtype=np.float32) for name in names]

total, counts_kept = sum_and_count(kept, kept)
_, counts_released = sum_and_count(released, released)
_, counts_ahead = sum_and_count(ahead, lv.PreloadIterator(ahead, npreload=2))
print(max(counts_kept), max(counts_released), max(counts_ahead))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
additions = np.arange(1, 13)
left.plot(additions, counts_kept, "o-", label="kept (nops=0)")
left.plot(additions, counts_ahead, "s-", label="released, two read ahead")
left.plot(additions, counts_released, "^-", label="released (nops=1)")
left.set(xlabel="volumes added", ylabel="volumes loaded", xticks=additions[::2])
left.legend(frameon=False)
left.spines[["top", "right"]].set_visible(False)
mean = np.asarray(total.data.dataobj) / 12
right.imshow(mean[:, :, 15].T, origin="lower", cmap="gray")
right.set_title("mean of 12 subjects")
right.axis("off")

# %%
# The files of the example are not needed any more.

folder.cleanup()
