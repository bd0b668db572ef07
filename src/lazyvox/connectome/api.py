"""`connectivity`: a matrix with the names of its regions, from signals in any form."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from lazyvox._typing import Array, FloatArray, PathLike, override
from lazyvox.array.present_moments import PresentMoments
from lazyvox.connectome.matrix import Estimator, Kind, connectivity_values
from lazyvox.connectome.matrix_file import MATRIX_ENDINGS, write_matrix
from lazyvox.connectome.signals_file import SignalsTable, signals_table
from lazyvox.errors import ParameterError
from lazyvox.planning.memory import MemoryTerm
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import memory_budget, resolve_budget
from lazyvox.runtime.dry_run import stop_if_planning
from lazyvox.runtime.memory_errors import check_fits
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import absolute_path
from lazyvox.tables.numeric import is_frame

__all__ = ["Connectivity", "ConnectivityWork", "connectivity", "mean_connectivity"]

#: Memory of reading, writing and the decoder of Parquet besides arrays.
_FIXED_BYTES = 8 << 20
#: Signals as read, centred, and squared; and what exists of matrices at a time besides results.
_COPIES_OF_SIGNALS, _MATRICES = 4, 5
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
    is_fisher_z : bool, default=False
        Whether correlations became Fisher's z.

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
    is_fisher_z: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of regions, twice."""
        return (len(self.names), len(self.names))

    @property
    def measure(self) -> str:
        """Name of the values, such as "correlation, Fisher's z"."""
        return f"{self.kind}, Fisher's z" if self.is_fisher_z else self.kind

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
        return f"<Connectivity of {len(self.names)} regions, {self.measure}>"


def connectivity(
    signals: npt.ArrayLike | PathLike | Any,
    kind: Kind = "correlation",
    *,
    estimator: Estimator = "ledoit-wolf",
    fisher_z: bool = False,
    names: Sequence[str] | None = None,
    memory: int | str | None = None,
) -> Any:
    """Compute a connectivity matrix from region time series, or one of each of several tables.

    Parameters
    ----------
    signals : Signals, array-like of shape (n_volumes, n_regions), DataFrame, or path
        Time series: what `extract` returns, or a file that it writes, ``.tsv``, ``.csv``, ``.npy``
        ``.parquet``, or ``.txt`` or ``.1D``, which have no names. A list of these, with the same
        regions, gives a matrix for each.
    kind : {"correlation", "partial correlation", "covariance"}, default="correlation"
        Relation between two regions; see `lazyvox.connectome.connectivity_values`.
    estimator : {"ledoit-wolf", "empirical"}, default="ledoit-wolf"
        Estimator of the covariance.
    fisher_z : bool, default=False
        Whether correlations become Fisher's z, arctanh(r), at most 4 in absolute value, which is
        also the diagonal: as ``3dNetCorr -fish_z``.
    names : sequence of str, optional
        Names of the regions; by default those of the signals, or the numbers of the columns.
    memory : int or str, optional
        Memory budget, such as ``"256MB"``.

    Returns
    -------
    Connectivity, or list of Connectivity
        Values, and names of the regions. `lazyvox.connectome.mean_connectivity` takes the mean of
        a list.

    Raises
    ------
    ParameterError
        If there are too few volumes, values that are not finite, parameters out of range, or
        tables with other regions than the first.
    ParameterTypeError
        If `signals` are no real numbers in two dimensions.
    ImageFileError
        If a file cannot be read.
    MemoryBudgetError
        If signals and matrix do not fit the budget; nothing was read.

    Warns
    -----
    LazyvoxWarning
        If a column is constant: its correlations are given as 0. If a region has no value: its
        row and column are NaN.

    Notes
    -----
    Equals ``nilearn.connectome.ConnectivityMeasure`` with its default estimator. The command
    ``lazyvox connectivity`` writes the same matrix.

    Memory: four copies of the signals of one table in float64, five matrices, and the results.

    Examples
    --------
    >>> import lazyvox as lv
    >>> signals = lv.extract("run.nii.gz", "atlas.nii.gz", lut="atlas.tsv")
    >>> lv.connectivity(signals).to_dataframe().loc["LeftFront", "LeftFront"]
    np.float64(1.0)
    """
    given: list[Any] = [signals]
    is_several = isinstance(signals, list | tuple) and any(map(_is_table, signals))
    if isinstance(signals, list | tuple) and is_several:
        given = list(signals)
    tables = [signals_table(one) for one in given]
    work = ConnectivityWork(tuple(tables), (kind,), estimator, fisher_z, names=names)
    with memory_budget(memory) if memory is not None else nullcontext():
        matrices = [found for (found,) in work.run()]
    return matrices if is_several else matrices[0]


def mean_connectivity(matrices: Sequence[Connectivity]) -> Connectivity:
    """Return the mean of matrices of the same regions.

    Parameters
    ----------
    matrices : sequence of Connectivity
        At least one; all of one kind.

    Returns
    -------
    Connectivity
        The mean of each value over the matrices that have it; NaN where none has.

    Raises
    ------
    ParameterError
        If there is none, or they have other regions or another kind.

    Notes
    -----
    Of correlations it is the plain mean; Fisher's z are made for being averaged. Memory: two
    matrices.

    Examples
    --------
    >>> from lazyvox.connectome import connectivity, mean_connectivity
    >>> tables = [[[1.0, 2.0], [2.0, 4.0], [3.0, 5.0]], [[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]]]
    >>> each = [connectivity(table, estimator="empirical") for table in tables]
    >>> mean_connectivity(each).values.round(3).tolist()
    [[1.0, -0.009], [-0.009, 1.0]]
    """
    if not matrices:
        msg = "`matrices` must hold at least one matrix. Got none."
        raise ParameterError(msg)
    first = matrices[0]
    moments = PresentMoments(first.shape)
    for one in matrices:
        if (one.names, one.measure) != (first.names, first.measure):
            msg = (
                f"`matrices` must be of the same regions, and of one kind. Got {first!r} and "
                f"{one!r}."
            )
            raise ParameterError(msg)
        moments.add(one.values)
    return Connectivity(moments.mean, first.names, first.kind, first.is_fisher_z)


def _is_table(item: Any) -> bool:
    """Return whether an item of a list is a table of its own, and not a row of numbers."""
    is_named = isinstance(item, str | bytes | os.PathLike) or is_frame(item)
    return is_named or hasattr(item, "column_names") or np.ndim(item) == 2


@dataclass(frozen=True, slots=True)
class ConnectivityWork:
    """Matrices of each kind of some tables, planned and not computed.

    Attributes
    ----------
    tables : tuple of SignalsTable
        Tables with the same regions.
    kinds : tuple of str
        Relations.
    estimator : str
        Estimator of the covariance.
    fisher_z : bool
        Whether correlations become Fisher's z.
    names : sequence of str, optional
        Names of the regions; by default those of the first table.
    more_bytes : int, default=0
        Bytes that are needed besides, for pictures.
    """

    tables: tuple[SignalsTable, ...]
    kinds: tuple[Kind, ...]
    estimator: Estimator
    fisher_z: bool
    names: Sequence[str] | None = None
    more_bytes: int = 0

    def plan(self) -> Plan:
        """Return the plan: what is read, and the memory."""
        shape = max((one.shape for one in self.tables), key=lambda shape: shape[0])
        table, matrix = 8 * shape[0] * shape[1], 8 * shape[1] ** 2
        # One of each table, and their mean.
        n_each = len(self.tables) + (len(self.tables) > 1)
        results = tuple((kind, n_each * matrix) for kind in self.kinds)
        paths = [one.path for one in self.tables if one.path]
        return Plan(
            source=", ".join(paths[:1]) + f" and {len(paths) - 1} more" * (len(paths) > 1),
            shape=shape,
            dtype="float64",
            passes=1,
            bytes_read=sum(one.n_bytes for one in self.tables),
            bytes_decoded=sum(8 * one.shape[0] * one.shape[1] for one in self.tables),
            block_volumes=max(shape[0], 1),
            slab_slices=1,
            n_buffers=_COPIES_OF_SIGNALS,
            buffer_bytes=_COPIES_OF_SIGNALS * table,
            block_bytes=table,
            consumer_bytes=results,
            memory=(
                MemoryTerm("decoder", _FIXED_BYTES),
                MemoryTerm("signals", _COPIES_OF_SIGNALS * table, f"{_COPIES_OF_SIGNALS} copies"),
                *(MemoryTerm("state and result", size, kind) for kind, size in results),
                MemoryTerm("work", _MATRICES * matrix + _LINE_BYTES * shape[1] + self.more_bytes),
            ),
            scratch_bytes=0,
            budget=resolve_budget(None),
        )

    def run(self) -> list[list[Connectivity]]:
        """Return the matrices of each table, one of each kind.

        Raises
        ------
        MemoryBudgetError
            If signals and matrices do not fit the budget; nothing was read.
        ParameterError
            If a table has other regions than the first.
        """
        plan = self.plan()
        n_volumes, n_columns = plan.shape
        several = f" and {len(self.tables)} tables" * (len(self.tables) > 1)
        needing = f"{n_volumes} volumes of {n_columns} regions{several} need"
        check_fits(plan.peak_bytes, plan.budget, "the signals and the matrices", needing)
        stop_if_planning(plan)
        self._check_regions()
        return [self._matrices(table) for table in self.tables]

    def _matrices(self, table: SignalsTable) -> list[Connectivity]:
        titles = table.names if self.names is None else tuple(map(str, self.names))
        values = table.read()
        found = []
        for kind in self.kinds:
            try:
                matrix = connectivity_values(
                    values, kind, estimator=self.estimator, fisher_z=self.fisher_z, names=titles
                )
            except ParameterError as error:
                if len(self.tables) == 1:
                    raise
                raise error.at(table.shown) from error
            found.append(Connectivity(matrix, titles, kind, self.fisher_z))
        return found

    def _check_regions(self) -> None:
        first = self.tables[0]
        for one in self.tables[1:]:
            if one.names != first.names:
                msg = (
                    f"`signals`: tables must have the same regions, in the same order. Got "
                    f"{len(first.names)} in {first.shown} and {len(one.names)} in {one.shown}, of "
                    f"which {_first_difference(first.names, one.names)} differ first."
                )
                raise ParameterError(msg)


def _first_difference(names: Sequence[str], others: Sequence[str]) -> str:
    pairs = zip_longest(names, others, fillvalue="none")
    one, other = next(pair for pair in pairs if pair[0] != pair[1])
    return f"{one!r} and {other!r}"
