"""Moments over subjects of maps and matrices in files, and the files of the results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lazyvox._typing import Array, FloatArray, override
from lazyvox.array.present_moments import PresentMoments
from lazyvox.bids.names import bids_label
from lazyvox.connectome.fisher import fisher_z
from lazyvox.connectome.matrix_file import read_matrix, write_matrix
from lazyvox.errors import ParameterError
from lazyvox.glm.map_files import MAP_DTYPE, mask_of_map, write_image
from lazyvox.lazyimage.opened_image import opened_image
from lazyvox.store.files.paths import printable

__all__ = ["GroupTable", "MapMoments", "MatrixMoments"]

#: Bytes of an entry of an output while it is read, and of sums over the runs of a subject.
_READ_BYTES = 5 * 8

_COUNT_DTYPE = "int32"


@dataclass(frozen=True, slots=True)
class GroupTable:
    """A result, to be written.

    Attributes
    ----------
    name : str
        Name of its file.
    description : str
        One sentence about it.
    write : callable
        Writes it to a path, complete or not at all.
    """

    name: str
    description: str
    write: Callable[[str], None]


class _SubjectMoments:
    """Moments over subjects: the mean of the outputs of each, where it has a value."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape

    @cached_property
    def moments(self) -> PresentMoments:
        """The moments, which take memory once they are asked for."""
        return PresentMoments(self._shape)

    @property
    def nbytes(self) -> int:
        """Most bytes that are held."""
        n_entries = int(np.prod(self._shape, dtype=np.int64))
        return PresentMoments.nbytes(n_entries) + n_entries * _READ_BYTES

    def add(self, paths: Sequence[str]) -> None:
        """Take the outputs of a subject."""
        total, count = np.zeros(self._shape), np.zeros(self._shape, np.int32)
        for path in paths:
            values = self._read(path)
            is_there = ~np.isnan(values)
            np.add(total, values, out=total, where=is_there)
            count += is_there
        total[count == 0] = np.nan
        np.divide(total, count, out=total, where=count > 0)
        self.moments.add(total)

    def _read(self, path: str) -> FloatArray:
        """Return the values of an output, NaN where it has none."""
        raise NotImplementedError


class MapMoments(_SubjectMoments):
    """Moments of maps of effects, each within the mask of its model.

    Parameters
    ----------
    path : str
        The first map, on whose grid the others must be.
    name : str
        Name of the result.
    """

    def __init__(self, path: str, name: str) -> None:
        self._template = opened_image(path)
        self._name = name
        super().__init__(self._template.array.shape)

    @override
    def _read(self, path: str) -> FloatArray:
        img, mask = opened_image(path), opened_image(mask_of_map(path))
        hint = "Results over subjects need a standard space: choose it with `space`."
        for one in (img, mask):
            one.voxel_grid().require(self._template.voxel_grid(), hint)
        values = np.asarray(img.dataobj, dtype=np.float64)
        return np.where(np.asarray(mask.dataobj) != 0, values, np.nan)

    def results(self) -> Iterator[GroupTable]:
        """Yield mean, variance and number of subjects of each voxel; 0 where there is none."""
        stem, _, suffix = self._name.rpartition("_")
        kept: list[tuple[str, str, Array, str]] = [
            ("mean", "Mean of effects over subjects.", self.moments.mean, MAP_DTYPE),
            (
                "variance",
                "Variance of effects over subjects, of n - 1 degrees of freedom.",
                self.moments.variance(),
                MAP_DTYPE,
            ),
            ("count", "Number of subjects with the voxel.", self.moments.count, _COUNT_DTYPE),
        ]
        for label, description, values, dtype in kept:
            yield GroupTable(
                f"{stem}_desc-{label}_{suffix}", description, self._writer(values, dtype)
            )

    def _writer(self, values: Array, dtype: str) -> Callable[[str], None]:
        def write(path: str) -> None:
            shown = np.asfortranarray(np.nan_to_num(values))
            write_image(self._template.image_of(shown), path, dtype)

        return write


class MatrixMoments(_SubjectMoments):
    """Moments of matrices of the same regions: of correlations as Fisher's z.

    Parameters
    ----------
    path : str
        The first matrix, whose regions the others must have.
    name : str
        Name of the result.
    """

    def __init__(self, path: str, name: str) -> None:
        _, self._regions = read_matrix(path)
        self._name, self._first = name, path
        self._is_z = f"_stat-{bids_label('covariance')}_" not in name
        super().__init__((len(self._regions),) * 2)

    @override
    def _read(self, path: str) -> FloatArray:
        values, regions = read_matrix(path)
        if regions != self._regions:
            msg = (
                f"{printable(path)}: matrices must be of the same regions. Got {len(regions)}, and "
                f"{len(self._regions)} in {printable(self._first)}, not all of the same names."
            )
            raise ParameterError(msg)
        return fisher_z(values, out=values) if self._is_z else values

    def results(self) -> Iterator[GroupTable]:
        """Yield mean, variance and number of subjects; n/a where there is no value."""
        z = "Fisher's z of " if self._is_z else ""
        stat = self._stat("fisherz" if self._is_z else "")
        if self._is_z:
            mean = np.tanh(self.moments.mean)
            # A region with itself: z of it is cut at 4.
            diagonal = np.diagonal(mean)
            np.fill_diagonal(mean, np.where(np.isnan(diagonal), np.nan, 1.0))
            text = "Mean over subjects, taken of Fisher's z and brought back."
            yield self._table(self._stat(), "mean", text, mean)
        yield self._table(stat, "mean", f"Mean of {z}values over subjects.", self.moments.mean)
        text = f"Variance of {z}values over subjects, of n - 1 degrees of freedom."
        yield self._table(stat, "variance", text, self.moments.variance())
        text = "Number of subjects with a value."
        yield self._table(self._stat(), "count", text, self.moments.count)

    def _stat(self, more: str = "") -> str:
        """Return the name of the result without its suffix, its statistic called more."""
        return self._name.rpartition("_")[0] + more

    def _table(self, stem: str, label: str, description: str, values: Array) -> GroupTable:
        suffix = self._name.rpartition("_")[2]

        def write(path: str) -> None:
            write_matrix(path, values, self._regions, overwrite=True)

        return GroupTable(f"{stem}_desc-{label}_{suffix}", description, write)
