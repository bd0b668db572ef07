"""Design matrix of one run, as an orthonormal basis of its columns and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray
from lazyvox.errors import ParameterError

__all__ = ["Design"]

#: Part of a column of ones that rounding may leave outside of the space of a design that has it.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A design matrix, and an orthonormal basis of the space of its columns.

    Sums are taken of the basis in place of the columns: then nothing is lost where columns are
    nearly alike or of different size, and a design that lacks rank needs no care afterwards.

    Attributes
    ----------
    matrix : ndarray of shape (n_volumes, n_columns), float64
        The design.
    names : tuple of str
        Its columns.
    basis : ndarray of shape (n_volumes, rank), float64
        Orthonormal columns of the same space.
    inverse : ndarray of shape (n_columns, rank), float64
        Weights of the columns, of smallest norm, for weights of the basis.
    constant : ndarray of shape (n_columns,), float64, or None
        Weights of the columns that make one at each volume; None if there are none.
    """

    matrix: FloatArray
    names: tuple[str, ...]
    basis: FloatArray
    inverse: FloatArray
    constant: FloatArray | None

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self.matrix)

    @property
    def rank(self) -> int:
        """Number of columns that do not depend on others."""
        return int(self.basis.shape[1])

    @property
    def n_free(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.n_volumes - self.rank

    @classmethod
    def of(cls, design: Any, names: Sequence[str] | None = None) -> "Design":
        """Return the design of a table or an array.

        Parameters
        ----------
        design : DataFrame, or array-like of shape (n_volumes, n_columns)
            Finite numbers.
        names : sequence of str, optional
            Columns of an array; by default ``"x0"`` and so on.

        Returns
        -------
        Design
            The design.

        Raises
        ------
        ParameterError
            If it is no table of finite numbers, or holds zeros only.

        Notes
        -----
        Singular values count for the rank if they are above the rounding of the sum of all absolute
        values, as in nilearn's models; here of columns of one norm, so that units do not matter.
        """
        matrix = _matrix(design)
        columns = _names(design, names, matrix.shape[1])
        _check_finite(matrix, columns)
        n_columns = matrix.shape[1]
        scales = np.linalg.norm(matrix, axis=0)
        scales[scales == 0] = 1
        # Columns of one size lose least.
        left, sizes, right = np.linalg.svd(matrix / scales, full_matrices=False)
        cut = np.abs(matrix / scales).sum() * np.finfo(np.float64).eps
        rank = int((sizes > cut).sum())
        if rank < n_columns:
            # The smallest norm is that of the columns as they are.
            scales = np.ones(n_columns)
            left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
        if not rank:
            msg = (
                f"`design` must have a column that is not zero. Got {n_columns} columns of zeros."
            )
            raise ParameterError(msg)
        basis = np.ascontiguousarray(left[:, :rank])
        inverse = right[:rank].T / sizes[:rank] / scales[:, None]
        return cls(matrix, columns, basis, inverse, _constant(matrix, basis, inverse))


def _matrix(design: Any) -> FloatArray:
    try:
        matrix = np.asarray(design, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"`design` must hold numbers. Got {type(design).__name__}: {error}."
        raise ParameterError(msg) from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        msg = (
            f"`design` must have a row per volume and a column per regressor. Got {matrix.shape}."
        )
        raise ParameterError(msg)
    return np.array(matrix)


def _names(design: Any, names: Sequence[str] | None, n_columns: int) -> tuple[str, ...]:
    if names is None and hasattr(design, "columns"):
        names = [str(name) for name in design.columns]
    if names is None:
        names = [f"x{number}" for number in range(n_columns)]
    if len(names) != n_columns:
        msg = f"`names` must hold one name per column. Got {len(names)} for {n_columns} columns."
        raise ParameterError(msg)
    return tuple(names)


def _check_finite(matrix: FloatArray, names: tuple[str, ...]) -> None:
    rows, columns = np.nonzero(~np.isfinite(matrix))
    if len(rows):
        msg = (
            f"`design` must hold finite numbers. Got {matrix[rows[0], columns[0]]} in column "
            f"{names[columns[0]]!r} at row {rows[0]}, and {len(rows)} such numbers in all."
        )
        hint = "Fill them, or leave out these volumes or columns."
        raise ParameterError(msg, hint=hint)


def _constant(matrix: FloatArray, basis: FloatArray, inverse: FloatArray) -> FloatArray | None:
    """Return the weights of the columns that make ones, without the rounding of the others."""
    weights = basis.sum(axis=0)
    outside = np.linalg.norm(basis @ weights - 1)
    if outside > _ROUNDING * np.sqrt(len(matrix)):
        return None
    constant: FloatArray = inverse @ weights
    parts = np.abs(constant) * np.linalg.norm(matrix, axis=0)
    # A constant voxel would have an effect of rounding in each other column.
    constant[parts < 1e-10 * np.sqrt(len(matrix))] = 0
    return constant
