"""
A consumer of one's own: lag-1 autocorrelation
==============================================

Whatever can be computed from the volumes one after the other can be a consumer of a pass. Five methods make
a consumer.
"""

# %%
# The lag-1 autocorrelation of each voxel needs three sums and the volume before.

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import lazyvox as lv
from lazyvox.demo.example import write_example


class Autocorrelation:
    """Correlation of each voxel with itself, one volume later."""

    def init(self, grid):
        """Begin: nothing was seen yet."""
        self.shift = None
        self.n = 0
        self.total, self.squares, self.products = np.zeros((3, *grid.shape))

    def update(self, block, start):
        """Add a block. Differences to the first volume keep the digits of the squares."""
        if start == 0:
            self.shift = block[..., 0].astype(np.float64)
            self.last = np.zeros_like(self.shift)
        for volume in np.moveaxis(block, -1, 0):
            values = volume - self.shift
            self.total += values
            self.squares += values**2
            self.products += values * self.last
            self.last = values
            self.n += 1

    def merge(self, other):
        """Scans do not merge; programs that give parts of a run to several processes do."""
        raise NotImplementedError

    def finalize(self):
        """Return the map; voxels without variance are NaN."""
        mean = self.total / self.n
        variance = self.squares / self.n - mean**2
        variance[variance <= 0] = np.nan
        return (self.products / (self.n - 1) - mean**2) / variance

    def state_bytes(self, grid):
        """Return the size of the sums, of what finalizing makes, and of two volumes."""
        return 8 * 8 * grid.n_voxels


# %%
# It shares the pass with lazyvox's own consumers.

folder = tempfile.TemporaryDirectory()
files = write_example(folder.name)
scan = lv.Scan(files.run)
lag_1 = scan.add(Autocorrelation())
mean = scan.add(lv.Mean())
scan.run()

figure, axes = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
shown = mean.result().get_fdata()[:, :, 30].T
drawn = axes[0].imshow(shown, origin="lower", cmap="gray")
axes[0].set_title("mean")
figure.colorbar(drawn, ax=axes[0], orientation="horizontal", shrink=0.85)
shown = lag_1.result()[:, :, 30].T
drawn = axes[1].imshow(shown, origin="lower", cmap="viridis", vmin=0, vmax=0.8)
axes[1].set_title("lag-1 autocorrelation")
figure.colorbar(drawn, ax=axes[1], orientation="horizontal", shrink=0.85)
for axis in axes:
    axis.axis("off")

# %%
# The files of the example are not needed any more.

folder.cleanup()
