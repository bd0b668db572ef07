"""`connectivity`: a matrix with the names of its regions, from signals in any form."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, FloatArray, PathLike, override
from lazyvox.connectome.matrix import Estimator, Kind, connectivity_values
from lazyvox.connectome.matrix_file import MATRIX_ENDINGS, write_matrix
from lazyvox.connectome.signals_file import open_signals
from lazyvox.errors import MemoryBudgetError, ParameterError
from lazyvox.planning.memory import MemoryTerm, format_bytes, sum_terms
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import absolute_path
from lazyvox.tables.numeric import FrameTable, is_frame

__all__ = [
    "COPIES_OF_SIGNALS",
    "Connectivity",
    "check_budget",
    "connectivity",
    "memory_terms",
]

#: Memory of reading, writing and the decoder of Parquet besides arrays.
_FIXED_BYTES = 8 << 20
#: Signals as read, centred, and squared; and what exists of matrices at a time besides results.
COPIES_OF_SIGNALS, _MATRICES = 4, 5
#: A value of one line as a Python float, as text, and in a buffer.
_LINE_BYTES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Connectivity:
    """A square matrix of the relations between regions.

    Attributes
    ----------
    values : ndarray of shape (n_regions, n_regions), float64
        The matrix, symmetric.
    names : tuple of str
        Names of the regions.
    kind : {"correlation", "partial correlation", "covariance"}
        The relation.

    Examples
    --------
    >>> import lazyvox as lv
    >>> matrix = lv.connectivity([[1.0, 2.0], [2.0, 4.0], [3.0, 5.0]], names=["PCC", "mPFC"])
    >>> matrix
    <Connectivity of 2 regions, correlation>
    >>> np.asarray(matrix).shape
    (2, 2)
    """

    values: FloatArray
    names: tuple[str, ...]
    kind: Kind

    @property
    def shape(self) -> tuple[int, int]:
        """Number of regions, twice."""
        return (len(self.names), len(self.names))

    def to_dataframe(self) -> Any:
        """Return the matrix as a pandas.DataFrame, with the names on two sides.

        Returns
        -------
        pandas.DataFrame
            The matrix.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        require("pandas", "table", "Tables")
        import pandas as pd

        return pd.DataFrame(self.values, index=list(self.names), columns=list(self.names))

    def save(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the matrix to a file, complete or not at all.

        Parameters
        ----------
        path : path-like
            Ends in ``.tsv`` or ``.csv`` (with the names on two sides), or ``.npy``.
        overwrite : bool, default=False
            Whether an existing file may be replaced.

        Raises
        ------
        ParameterError
            If the ending is another.
        OutputError
            If it cannot be written.
        """
        full = absolute_path(path)
        if not full.lower().endswith(MATRIX_ENDINGS):
            msg = f"`path` must end in one of {', '.join(MATRIX_ENDINGS)}. Got {full!r}."
            raise ParameterError(msg)
        write_matrix(full, self.values, self.names, overwrite=overwrite)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: Any = None) -> Array:
        """Return the values for NumPy."""
        return np.array(self.values, dtype=dtype, copy=copy)

    @override
    def __repr__(self) -> str:
        """Describe the matrix in one line."""
        return f"<Connectivity of {len(self.names)} regions, {self.kind}>"


def connectivity(
    signals: npt.ArrayLike | PathLike | Any,
    kind: Kind = "correlation",
    *,
    estimator: Estimator = "ledoit-wolf",
    names: Sequence[str] | None = None,
    memory: int | str | None = None,
) -> Connectivity:
    """Compute a connectivity matrix from region time series.

    Parameters
    ----------
    signals : Signals, array-like of shape (n_volumes, n_regions), DataFrame, or path
        Time series: what `extract` returns, or a file that it writes, ``.tsv``, ``.csv``, ``.npy``
        or ``.parquet``.
    kind : {"correlation", "partial correlation", "covariance"}, default="correlation"
        Relation between two regions; see `lazyvox.connectome.connectivity_values`.
    estimator : {"ledoit-wolf", "empirical"}, default="ledoit-wolf"
        Estimator of the covariance.
    names : sequence of str, optional
        Names of the regions; by default those of the signals, or the numbers of the columns.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.

    Returns
    -------
    Connectivity
        Values, and names of the regions.

    Raises
    ------
    ParameterError
        If there are too few volumes, values that are not finite, or parameters out of range.
    ParameterTypeError
        If `signals` are no real numbers in two dimensions.
    ImageFileError
        If a file cannot be read.
    MemoryBudgetError
        If signals and matrix do not fit the budget; nothing was read.

    Warns
    -----
    LazyvoxWarning
        If a column is constant: its correlations are given as 0.

    Notes
    -----
    Equals ``nilearn.connectome.ConnectivityMeasure`` with its default estimator. The command
    ``lazyvox connectivity`` writes the same matrix.

    Memory: four copies of the signals in float64, and six matrices.

    Examples
    --------
    >>> import lazyvox as lv
    >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
    >>> lv.connectivity(signals).to_dataframe().loc["LeftFront", "LeftFront"]
    np.float64(1.0)
    """
    if isinstance(signals, str | bytes | os.PathLike):
        file = open_signals(signals)
        check_budget(
            file.shape, sum_terms(memory_terms(file.shape, [kind])), resolve_budget(memory)
        )
        values, found = file.read(), file.names
    else:
        frame = FrameTable(signals) if is_frame(signals) else None
        values = np.asarray(signals) if frame is None else frame.read_all()
        if values.ndim == 2:
            needed = sum_terms(memory_terms(values.shape, [kind]))
            check_budget(values.shape, needed, resolve_budget(memory))
        own = getattr(signals, "names", None) if frame is None else frame.names
        numbers = range(values.shape[-1] if values.ndim else 0)
        found = tuple(map(str, numbers if own is None else own))
    titles = found if names is None else tuple(map(str, names))
    matrix = connectivity_values(values, kind, estimator=estimator, names=titles)
    return Connectivity(matrix, titles, kind)


def memory_terms(
    shape: tuple[int, ...], kinds: Sequence[str], *, more: int = 0
) -> tuple[MemoryTerm, ...]:
    """Return what matrices of signals take at most.

    Parameters
    ----------
    shape : tuple of int of length 2
        Volumes and regions.
    kinds : sequence of str
        The matrices.
    more : int
        Bytes of work that are needed besides.

    Returns
    -------
    tuple of MemoryTerm
        The parts of the peak.
    """
    n_volumes, n_columns = shape
    signals, matrix = 8 * n_volumes * n_columns, 8 * n_columns**2
    return (
        MemoryTerm("decoder", _FIXED_BYTES),
        MemoryTerm("signals", COPIES_OF_SIGNALS * signals, f"{COPIES_OF_SIGNALS} copies"),
        *(MemoryTerm("state and result", matrix, kind) for kind in kinds),
        MemoryTerm("work", _MATRICES * matrix + _LINE_BYTES * n_columns + more),
    )


def check_budget(shape: tuple[int, ...], needed: int, budget: int) -> None:
    """Refuse signals and matrices that do not fit the memory budget."""
    if needed > budget:
        n_volumes, n_columns = shape
        msg = (
            f"the memory budget must hold the signals and the matrices. Got "
            f"{format_bytes(budget)}; {n_volumes} volumes of {n_columns} regions need "
            f"{format_bytes(needed)}. Pass memory={needed} or more."
        )
        raise MemoryBudgetError(msg)
