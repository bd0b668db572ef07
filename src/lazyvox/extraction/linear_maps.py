"""Least squares on maps: solved once, applied to blocks of volumes."""

from dataclasses import dataclass

import numpy as np

from lazyvox._typing import Array, FloatArray

__all__ = ["LinearMaps", "solve_maps"]

#: Voxels that are converted to float64 and multiplied at a time: they stay in the cache.
_PIECE_VOXELS = 8192

#: Multiplications of one product of matrices up to which OpenBLAS stays in the calling thread.
#: Its threads wait for each other in a busy loop: on a machine with other work (a process for each
#: run, say) larger products were 15 times slower; on an idle one these are as fast, since
#: decoding takes the other core.
_SINGLE_THREADED = 1 << 18
_MAPS_AT_A_TIME = 64

#: Ratio of the smallest to the largest eigenvalue of the correlations of the maps from which on
#: the normal equations are solved. They lose half of the digits at most then: errors of 1e-8.
_WELL_CONDITIONED = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class LinearMaps:
    """Maps, and the way from voxels to the signals that explain them best.

    ``signals = voxels @ basis.T @ to_signals``, and ``voxels = signals @ to_maps @ basis``.

    Attributes
    ----------
    basis : ndarray of shape (rank, n_voxels), float64
        The maps themselves, or orthonormal combinations of them.
    to_signals : ndarray of shape (rank, n_maps), float64
        From products with the basis to signals.
    to_maps : ndarray of shape (n_maps, rank), float64
        From the basis to the maps.
    is_decomposed : bool
        Whether the basis is orthonormal, and not the maps themselves.
    is_dependent : bool
        Whether a map is a combination of others.
    """

    basis: FloatArray
    to_signals: FloatArray
    to_maps: FloatArray
    is_decomposed: bool = False
    is_dependent: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self.basis.nbytes + self.to_signals.nbytes + self.to_maps.nbytes)

    @property
    def solve_bytes(self) -> int:
        """Upper bound of what was held for a while to solve, besides the result."""
        # A singular value decomposition holds its input, a copy, and its workspace.
        decomposition = 2 * int(self.basis.nbytes) if self.is_decomposed else 0
        return decomposition + (1 << 20)

    def work_bytes(self, n_volumes: int) -> int:
        """Return the bytes that `project` allocates for so many volumes."""
        n_voxels: int = min(_PIECE_VOXELS, self.basis.shape[1]) + 3 * len(self.to_maps)
        # The products of the parts of a piece, before they are summed.
        n_maps = min(len(self.basis), _MAPS_AT_A_TIME)
        n_parts = -(-_PIECE_VOXELS // _part_voxels(n_volumes, n_maps))
        return 8 * n_volumes * (n_voxels + 2 * n_parts * n_maps)

    def project(self, values: Array) -> FloatArray:
        """Return the signals of volumes, of shape (n_volumes, n_voxels), by least squares."""
        products = np.zeros((len(values), len(self.basis)))
        # Infinities and NaN give NaN, which is said in the documentation, not in a warning.
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, self.basis.shape[1], _PIECE_VOXELS):
                piece = slice(start, start + _PIECE_VOXELS)
                _add_products(values[:, piece].astype(np.float64), self.basis[:, piece], products)
            return products @ self.to_signals

    def combine(self, signals: Array) -> FloatArray:
        """Return the sum of the maps, weighted by signals of shape (n_volumes, n_maps)."""
        return (signals.astype(np.float64) @ self.to_maps) @ self.basis


def solve_maps(weights: FloatArray, columns: Array, n_columns: int) -> LinearMaps:
    """Return maps with the least squares solved for them.

    Parameters
    ----------
    weights : ndarray of shape (n, n_voxels), float64
        Maps, none of them zero everywhere; kept.
    columns : ndarray of shape (n,), int
        The column of each map.
    n_columns : int
        Number of columns; those without a map get signals of zero.

    Returns
    -------
    LinearMaps
        The solution; where maps depend on each other the one of the smallest norm.
    """
    place = np.zeros((len(weights), n_columns))
    place[np.arange(len(weights)), columns] = 1
    norms = np.sqrt(np.einsum("ij,ij->i", weights, weights))
    # Scaling the maps to one length changes the condition, not the solution.
    gram = np.zeros((len(weights), len(weights)))
    for start in range(0, weights.shape[1], _PIECE_VOXELS):
        piece = weights[:, start : start + _PIECE_VOXELS]
        for first in range(0, len(weights), _MAPS_AT_A_TIME):
            rows = slice(first, first + _MAPS_AT_A_TIME)
            _add_products(piece[rows], piece, gram[rows])
    values, vectors = np.linalg.eigh(gram / np.outer(norms, norms))
    if values[0] > _WELL_CONDITIONED * values[-1]:
        inverse = (vectors / values) @ vectors.T / np.outer(norms, norms)
        return LinearMaps(weights, inverse @ place, place.T.copy())
    left, singular, basis = np.linalg.svd(weights, full_matrices=False)
    kept = singular > singular[0] * np.finfo(np.float64).eps * max(weights.shape)
    left, singular = left[:, kept], singular[kept]
    return LinearMaps(
        basis[kept],
        (left / singular).T @ place,
        place.T @ (left * singular),
        is_decomposed=True,
        is_dependent=not bool(kept.all()),
    )


def _part_voxels(n_rows: int, n_maps: int) -> int:
    """Return how many voxels a product of matrices in one thread may have."""
    return max(_SINGLE_THREADED // (n_rows * n_maps), 16)


def _add_products(values: FloatArray, basis: FloatArray, out: FloatArray) -> None:
    """Add ``values @ basis.T`` to `out`, in products of matrices that stay in this thread."""
    for first in range(0, len(basis), _MAPS_AT_A_TIME):
        rows = slice(first, first + _MAPS_AT_A_TIME)
        some = basis[rows]
        width = _part_voxels(len(values), len(some))
        n_whole = values.shape[1] // width * width
        if n_whole:
            left = values[:, :n_whole].reshape(len(values), -1, width).swapaxes(0, 1)
            right = some[:, :n_whole].reshape(len(some), -1, width).transpose(1, 2, 0)
            out[:, rows] += np.matmul(left, right).sum(axis=0)
        if n_whole < values.shape[1]:
            out[:, rows] += values[:, n_whole:] @ some[:, n_whole:].T
