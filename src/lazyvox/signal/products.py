"""Products of matrices that stay on one core each.

BLAS shares a large product among its own threads, which wait for each other by spinning. For
thousands of middle-sized products that gains nothing, and on a busy machine costs tenfold: 120 s
against 11 s for (840, 69798) signals with five other processes on two cores. OpenBLAS keeps a
product below `MOST_STEPS` multiplications on the core that asks for it; threads of ours share the
columns instead.
"""

import numpy as np

from lazyvox._typing import FloatArray

__all__ = ["MOST_STEPS", "N_COLUMNS", "multiply"]

#: OpenBLAS takes a second thread from twice 2**18 multiplications on.
MOST_STEPS = 1 << 19

#: Columns that are cleaned at a time; with them a step of the filter is below `MOST_STEPS`.
N_COLUMNS = 64

_MOST_ROWS = 96


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return ``left @ right``, in products that BLAS does not share among threads.

    Parameters
    ----------
    left : ndarray of shape (n, k), float64
        First factor.
    right : ndarray of shape (k, n_columns), float64
        Second factor, of few columns.

    Returns
    -------
    ndarray of shape (n, n_columns), float64
        The product.
    """
    n_rows, n_inner = left.shape
    n_columns = right.shape[1]
    if n_rows * n_inner * n_columns < MOST_STEPS:
        return left @ right
    row_step = min(n_rows, _MOST_ROWS)
    inner_step = max((MOST_STEPS - 1) // (row_step * n_columns), 1)
    product = np.zeros((n_rows, n_columns))
    for i in range(0, n_rows, row_step):
        for j in range(0, n_inner, inner_step):
            part = left[i : i + row_step, j : j + inner_step]
            product[i : i + row_step] += part @ right[j : j + inner_step]
    return product
