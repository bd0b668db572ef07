"""`GLM`: a first-level GLM as a consumer of a scan."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lazyvox._typing import Array, DType, FloatArray, override
from lazyvox.errors import LazyvoxWarning, ParameterError
from lazyvox.glm.design import Design
from lazyvox.glm.fit import FIT_BYTES, Model, fit_sums
from lazyvox.glm.noise import CLUSTER_BYTES
from lazyvox.glm.results import GLMResult
from lazyvox.glm.scaling import scaling_of
from lazyvox.glm.sums import N_WAITING, VoxelSums, stack_lagged
from lazyvox.stream.consumer import Consumer, check_real
from lazyvox.stream.gather import VoxelGather, zero_non_finite
from lazyvox.stream.masks import read_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.lazyimage.series import Grid
    from lazyvox.stream.masks import MaskLike

__all__ = ["GLM"]


class GLM(Consumer[GLMResult]):
    """First-level GLM of every voxel, with the numbers of nilearn's `run_glm`.

    Parameters
    ----------
    design : DataFrame, or array-like of shape (n_volumes, n_columns)
        Design matrix, such as nilearn's `make_first_level_design_matrix` makes.
    noise_model : str, default="ar1"
        ``"ols"``, or ``"arN"``: noise that depends on the N volumes before.
    bins : int, default=100
        Coefficients of AR(1) noise are cut to multiples of one over this number; those of higher
        orders are put into so many clusters (which needs scikit-learn).
    mask_img : image or path, optional
        The voxels, on the grid of the series; by default all.
    signal_scaling : 0, 1, (0, 1) or False, default=0
        Signals in percent of their mean over time, of that of each volume, or of that of
        everything; or as they are.
    resample : bool, default=False
        Whether a mask on another grid is brought to that of the series, by nearest neighbour.
    names : sequence of str, optional
        Columns of a design that is an array; by default ``"x0"`` and so on.
    random_state : int or numpy.random.RandomState, optional
        For the clusters.

    Raises
    ------
    ParameterError
        If the design is no table of finite numbers, or another argument is out of range; when the
        scan is planned, if the series has another length.
    RegionError
        When the scan is planned: the mask is empty.
    GridMismatchError
        Likewise: the mask is on another grid, and `resample` is false.

    Warns
    -----
    LazyvoxWarning
        If voxels do not vary or are not finite, the design lacks rank or leaves no degrees of
        freedom, or a mean is zero.

    Notes
    -----
    The result, a `GLMResult`, has `labels`, `results` and `compute_contrast`. A voxel that does not
    vary has an effect, a variance and a t of 0; where it is not zero after scaling, its variance and
    its t are NaN. Voxels that are NaN or infinite count as 0.

    Memory does not grow with the number of volumes: for each voxel 8 bytes for the rank of the
    design times one more than the order of the noise, for each column, and for 64 volumes that
    wait.

    Examples
    --------
    >>> import lazyvox as lv
    >>> design = np.column_stack([np.sin(np.arange(40) / 4), np.ones(40)])
    >>> scan = lv.Scan("run.nii.gz")
    >>> glm = scan.add(lv.GLM(design, names=["wave", "constant"], mask_img="mask.nii.gz"))
    >>> mean = scan.add(lv.Mean())
    >>> scan.run()
    >>> sorted(glm.result().compute_contrast("wave"))
    ['effect_size', 'effect_variance', 'p_value', 'stat', 'z_score']
    """

    def __init__(
        self,
        design: Any,
        *,
        noise_model: str = "ar1",
        bins: int = 100,
        mask_img: MaskLike | None = None,
        signal_scaling: Any = 0,
        resample: bool = False,
        names: Sequence[str] | None = None,
        random_state: Any = None,
    ) -> None:
        if int(bins) != bins or bins < 1:
            msg = f"`bins` must be a number of at least 1. Got {bins!r}."
            raise ParameterError(msg)
        model = Model(
            Design.of(design, names),
            noise_model,
            int(bins),
            scaling_of(signal_scaling),
            random_state,
        )
        self._prepare(model, mask_img)
        self._resample = resample

    @classmethod
    def of(cls, model: Model, mask_img: MaskLike | None) -> Self:
        """Return the consumer of a model."""
        self = cls.__new__(cls)
        self._prepare(model, mask_img)
        return self

    def _prepare(self, model: Model, mask_img: MaskLike | None) -> None:
        order = model.order
        if order >= model.design.n_volumes:
            msg = (
                f"`noise_model` must reach over fewer volumes than there are. Got order {order} for "
                f"{model.design.n_volumes} volumes."
            )
            raise ParameterError(msg)
        self._model = model
        self._mask_img = mask_img
        self._resample = False
        self._rows: FloatArray = stack_lagged(model.design.basis, order)
        self._grid: Grid | None = None
        self._sums: VoxelSums | None = None
        self._seen = range(0)
        self._n_bad = 0

    def confine(self, mask_img: ImageLike) -> None:
        """Take the voxels of a mask, which was not known before; the scan is planned afterwards.

        Parameters
        ----------
        mask_img : image or path
            The voxels, on the grid of the series.
        """
        self._mask_img, self._grid = mask_img, None

    @override
    def check(self, grid: Grid) -> None:
        if self._grid is grid:
            return
        check_real(grid, "GLM needs")
        n_rows = self._model.design.n_volumes
        if n_rows != grid.n_volumes:
            msg = (
                f"`design` must have a row per volume. Got {n_rows} rows for {grid.n_volumes} volumes "
                f"of {grid.name}."
            )
            raise ParameterError(msg)
        self._mask = np.ones(grid.shape, bool)
        if self._mask_img is not None:
            self._mask = read_mask(self._mask_img, grid, name="mask_img", resample=self._resample)
        self._gather = VoxelGather.of(self._mask)
        self._grid = grid

    @override
    def init(self, grid: Grid) -> None:
        self.check(grid)
        self._sums = VoxelSums(
            self._gather.n_voxels,
            self._rows.shape[1],
            self._model.order,
            dtype=self._waiting_dtype(grid),
            n_waiting=_n_waiting(grid),
        )
        self._seen, self._n_bad = range(0), 0
        self._means = np.zeros(grid.n_volumes)

    @override
    def update(self, block: Array, start: int) -> None:
        n_volumes = block.shape[3]
        taken = np.empty((n_volumes, self._gather.n_voxels), block.dtype)
        self._gather.take(block.reshape(-1, n_volumes, order="F").T, taken)
        self._drop_non_finite(taken)
        if self._model.scaling == "volume":
            means = np.maximum(taken.mean(axis=1, dtype=np.float64, keepdims=True), 1)
            taken = 100 * (taken / means - 1)
            self._means[start : start + n_volumes] = means[:, 0]
        if not len(self._seen):
            self._seen = range(start, start)
        self._held.add(taken, self._rows[start : start + n_volumes])
        self._seen = range(self._seen.start, start + n_volumes)

    @override
    def merge(self, other: Self) -> None:
        if not len(other._seen):
            return
        if len(self._seen) and self._seen.stop != other._seen.start:
            msg = (
                f"GLMs of neighbouring volumes can be merged, in order. Got volumes "
                f"{self._seen.start} to {self._seen.stop - 1} and then {other._seen.start}."
            )
            raise ParameterError(msg)
        self._held.finish()
        other._held.finish()
        self._held.merge(other._held)
        start = self._seen.start if len(self._seen) else other._seen.start
        self._seen, self._n_bad = range(start, other._seen.stop), self._n_bad + other._n_bad
        self._means += other._means

    @override
    def finalize(self) -> GLMResult:
        assert self._grid is not None, "bug in lazyvox: finalize before init"
        sums, self._sums = self._held, None
        sums.finish()
        fit = fit_sums(sums, self._model)
        self._warn(fit.n_still)
        means = self._means if self._model.scaling == "volume" else None
        return GLMResult(fit, self._mask, self._grid.template, self._grid.affine, means)

    @override
    def state_bytes(self, grid: Grid) -> int:
        self.check(grid)
        n_voxels, order = self._gather.n_voxels, self._model.order
        n_rows, dtype = self._rows.shape[1], self._waiting_dtype(grid)
        during = VoxelSums.nbytes(n_voxels, n_rows, order, dtype=dtype, n_waiting=_n_waiting(grid))
        after = VoxelSums.nbytes(n_voxels, n_rows, order, dtype=dtype, n_waiting=0)
        held = self._gather.nbytes + self._mask.nbytes + self._rows.nbytes
        return held + max(during, after + self._result_bytes(n_voxels))

    def _result_bytes(self, n_voxels: int) -> int:
        """Return the bytes of the fit: weights, coefficients, labels; and of its work."""
        numbers = len(self._model.design.names) + 2 + 3 * self._model.order
        # A label has 4 bytes per letter, and up to 5 letters for each coefficient and its sign.
        letters = 24 * max(self._model.order, 1)
        clusters = 0
        if self._model.order > 1:
            clusters = CLUSTER_BYTES + 8 * n_voxels * (4 * self._model.order + 8)
        return n_voxels * (8 * numbers + 2 * letters + 24) + FIT_BYTES + clusters

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        self.check(grid)
        scaled = 16 if self._model.scaling == "volume" else 0
        taken = block_volumes * self._gather.n_voxels * (grid.dtype.itemsize + scaled + 2)
        return taken + VoxelSums.work_bytes(
            self._rows.shape[1], self._model.order, _n_waiting(grid)
        )

    @override
    def abort(self) -> None:
        self._sums = None

    @property
    def _held(self) -> VoxelSums:
        assert self._sums is not None, "bug in lazyvox: update before init"
        return self._sums

    def _waiting_dtype(self, grid: Grid) -> DType:
        return np.dtype(np.float64) if self._model.scaling == "volume" else grid.dtype

    def _drop_non_finite(self, taken: Array) -> None:
        """Set what is not finite to zero, and count it; a sum says whether there is any."""
        if taken.dtype.kind != "f":
            return
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.add.reduce(taken, axis=None)
        if not np.isfinite(total):
            self._n_bad += int(taken.size - np.isfinite(taken).sum())
            zero_non_finite(taken)

    def _warn(self, n_still: int) -> None:
        assert self._grid is not None
        name = self._grid.name
        if self._n_bad:
            msg = (
                f"{name}: voxels should be finite. {self._n_bad} values are NaN or infinite; they "
                f"count as zero."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)
        if n_still and self._mask_img is not None:
            msg = (
                f"{name}: voxels of the mask should vary. {n_still} of {self._gather.n_voxels} do "
                f"not: their statistics are 0, or NaN."
            )
            warnings.warn(msg, LazyvoxWarning, stacklevel=4)


def _n_waiting(grid: Grid) -> int:
    return min(N_WAITING, grid.n_volumes)
