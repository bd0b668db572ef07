"""
Any volume of a compressed run
==============================

gzip has no table of contents: a late volume costs the decoding of all volumes before it. Access
points are places where decoding can begin. They are found in one pass, once for each file.
"""

# %%
# The points lie in a file of their own: by default in the user's cache folder, here beside the run.

import tempfile
import time

import matplotlib.pyplot as plt
import nibabel
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name, n_volumes=150)
index = lv.index(files.run, beside=True)
print(f"{index.n_points} points, {index.n_bytes / index.decoded_size:.1%} of the decoded size")

# %%
# Later and later volumes are read, each from an image that was just loaded. nibabel decodes from the
# start, here and wherever nothing is known of the file yet.

numbers = np.arange(5, 150, 24)
milliseconds = {}
for name, load in {"nibabel": nibabel.load, "lazyvox, access points": lv.load}.items():
    taken = []
    for number in numbers:
        began = time.perf_counter()
        volume = load(files.run).dataobj[..., number]
        taken.append(1000 * (time.perf_counter() - began))
    milliseconds[name] = taken
    print(f"{name}: {np.median(taken):.0f} ms")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for (name, taken), form in zip(milliseconds.items(), ("o-", "s-"), strict=True):
    left.plot(numbers, taken, form, label=name)
left.set(xlabel="volume", ylabel="ms", ylim=(0, None))
left.legend(frameon=False)
left.spines[["top", "right"]].set_visible(False)
right.imshow(volume[:, :, 30].T, origin="lower", cmap="gray")
right.set_title(f"volume {number}")
right.axis("off")

# %%
# The files of the example are not needed any more.

folder.cleanup()
