"""Linear maps of volumes that work axis by axis: smoothing, and resampling along the axes."""

from dataclasses import dataclass, field

import numpy as np

from lazyvox._typing import Array, DType, Shape

__all__ = ["BandMatrix", "SeparableMap", "gaussian_matrix"]

#: Rows of a band matrix that are multiplied at a time. Fewer leave out more zeros, more keep the
#: processor busier: 16 to 32 were equally fast for bands of 7 to 23 on axes of 36 to 220 voxels,
#: 1.2 to 2.2 times as fast as the dense product, and 2 to 5 times as fast as
#: scipy.ndimage.gaussian_filter1d. So small a product is also done in the calling thread alone;
#: with all threads of the library a busy machine took up to 30 times as long.
_BAND_ROWS = 16

#: Standard deviations at which a Gaussian is cut off: the default of scipy.ndimage.
_TRUNCATE = 4.0

#: Widest Gaussian, in lengths of the line: wider ones average the whole line to within 1e-6, and
#: their weights would take memory without bound.
_WIDEST = 250


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Some rows of a matrix, cut to the columns in which they are not zero."""

    rows: slice
    columns: slice
    weights: Array


@dataclass(frozen=True, slots=True, eq=False)
class BandMatrix:
    """A matrix whose values lie near its diagonal, as a list of dense pieces.

    Attributes
    ----------
    shape : tuple of int of length 2
        Voxels after and before.
    bands : tuple of Band
        Consecutive rows.
    """

    shape: Shape
    bands: tuple[Band, ...]

    @classmethod
    def of(cls, dense: Array, tolerance: float = 0.0) -> "BandMatrix":
        """Return a dense matrix cut into bands.

        Parameters
        ----------
        dense : ndarray of shape (m, n), float64
            The matrix.
        tolerance : float
            Values up to this size are left out beyond the outermost larger ones.

        Returns
        -------
        BandMatrix
            The matrix.

        Examples
        --------
        >>> [band.columns for band in BandMatrix.of(np.eye(20)).bands]
        [slice(0, 16, None), slice(16, 20, None)]
        """
        bands = []
        for start in range(0, dense.shape[0], _BAND_ROWS):
            rows = slice(start, min(start + _BAND_ROWS, dense.shape[0]))
            used = np.flatnonzero((np.abs(dense[rows]) > tolerance).any(axis=0))
            first, stop = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
            columns = slice(first, stop)
            bands.append(Band(rows, columns, np.ascontiguousarray(dense[rows, columns])))
        return cls((int(dense.shape[0]), int(dense.shape[1])), tuple(bands))

    def apply(self, axis: int, values: Array, out: Array) -> None:
        """Multiply every line of a volume along one axis.

        Parameters
        ----------
        axis : int
            0, 1 or 2.
        values : ndarray of shape (i, j, k)
            The volume, in Fortran order, of a floating-point type.
        out : ndarray
            Filled with the result; of the same type and order, and no part of `values`.
        """
        # Views in C order whose last two axes are matrices without gaps along the last one.
        source, target = values.T, out.T
        if axis == 2:
            source, target = source.transpose(1, 0, 2), target.transpose(1, 0, 2)
        for band in self.bands:
            weights = band.weights.astype(values.dtype, copy=False)
            if axis == 0:
                lines = source[..., band.columns]
                np.matmul(lines, weights.T, out=target[..., band.rows])
            else:
                lines = source[:, band.columns]
                np.matmul(weights, lines, out=target[:, band.rows])


@dataclass(frozen=True, slots=True, eq=False)
class SeparableMap:
    """A linear map of volumes: one matrix for each axis, None where an axis stays as it is.

    Attributes
    ----------
    shape : tuple of int of length 3
        Grid of the volumes that are mapped.
    matrices : tuple of length 3
        The matrix of each axis, or None.
    out_shape : tuple of int of length 3
        Grid of the result.
    """

    shape: Shape
    matrices: tuple[BandMatrix | None, ...]
    out_shape: Shape = field(init=False)
    _order: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lengths = [
            length if matrix is None else matrix.shape[0]
            for length, matrix in zip(self.shape, self.matrices, strict=True)
        ]
        object.__setattr__(self, "out_shape", tuple(lengths))
        changed = [axis for axis in range(3) if self.matrices[axis] is not None]
        # What shrinks goes first, what grows last: later products have less to do.
        changed.sort(key=lambda axis: lengths[axis] / max(self.shape[axis], 1))
        object.__setattr__(self, "_order", tuple(changed))

    @property
    def is_identity(self) -> bool:
        """True if no axis is changed."""
        return not self._order

    def work_bytes(self, dtype: DType) -> int:
        """Return the most bytes that `apply` allocates."""
        shape, held, most = list(self.shape), 0, 0
        for axis in self._order[:-1]:
            shape[axis] = self.out_shape[axis]
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            most, held = max(most, held + size), size
        return most

    def apply(self, values: Array, out: Array) -> None:
        """Map one volume.

        Parameters
        ----------
        values : ndarray of shape `shape`
            The volume, in Fortran order, of a floating-point type.
        out : ndarray of shape `out_shape`
            Filled with the result; of the same type and order, and no part of `values`.
        """
        if self.is_identity:
            out[...] = values
            return
        shape = list(self.shape)
        for n_left, axis in zip(range(len(self._order) - 1, -1, -1), self._order, strict=True):
            matrix = self.matrices[axis]
            assert matrix is not None, "bug in lazyvox: no matrix for a changed axis"
            shape[axis] = matrix.shape[0]
            # With two more products to come `out` can serve as the scratch of this one.
            is_last = n_left == 0
            is_scratch = n_left == 2 and tuple(shape) == self.out_shape
            target = out if is_last or is_scratch else np.empty(shape, out.dtype, order="F")
            matrix.apply(axis, values, target)
            values = target


def gaussian_matrix(length: int, sigma: float) -> BandMatrix:
    """Return the matrix that smooths a line of voxels with a Gaussian.

    Parameters
    ----------
    length : int
        Voxels of the line.
    sigma : float
        Standard deviation in voxels, above 0.

    Returns
    -------
    BandMatrix
        Its product with a line is what `scipy.ndimage.gaussian_filter1d` returns by default: the
        Gaussian ends at four standard deviations, beyond its ends the line is reflected.

    Notes
    -----
    Memory: the bands, O(`length` times `sigma`): a surface in a NIfTI file has one axis of 163,842
    voxels.

    Examples
    --------
    >>> gaussian_matrix(3, 0.5).bands[0].weights.round(3)
    array([[0.893, 0.107, 0.   ],
           [0.107, 0.787, 0.107],
           [0.   , 0.107, 0.893]])
    """
    sigma = min(sigma, _WIDEST * length)
    radius = int(_TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / sigma**2 * offsets**2)
    weights /= weights.sum()
    # A line and its reflection repeat: more offsets than that fall on one another.
    period = 2 * length
    folded = np.bincount(offsets % period, weights)
    shifts = np.flatnonzero(folded)
    bands = []
    for start in range(0, length, _BAND_ROWS):
        rows = np.arange(start, min(start + _BAND_ROWS, length))
        columns = np.mod(rows + shifts[:, None], period)
        columns = np.minimum(columns, period - 1 - columns)
        first, stop = int(columns.min()), int(columns.max()) + 1
        values = np.zeros((len(rows), stop - first))
        np.add.at(values, (rows - start, columns - first), folded[shifts, None])
        bands.append(Band(slice(start, start + len(rows)), slice(first, stop), values))
    return BandMatrix((length, length), tuple(bands))
