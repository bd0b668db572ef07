"""A copy of the series, written while it passes."""

from typing import Any, Self

import numpy.typing as npt

from lazyvox._typing import Array, PathLike, override
from lazyvox.errors import ParameterError
from lazyvox.formats.encode import naming
from lazyvox.formats.output import plan_output
from lazyvox.formats.output_spec import OutputSpec
from lazyvox.formats.writer import ENCODING_BYTES, ImageWriter, packing_memory
from lazyvox.lazyimage.dataobj import lazy_dataobj
from lazyvox.lazyimage.encoding import Encoding, Scale, choose_encoding
from lazyvox.lazyimage.series import Grid
from lazyvox.runtime.cores import resolve_n_jobs
from lazyvox.store.files.paths import absolute_path
from lazyvox.stream.consumer import Consumer
from lazyvox.stream.histogram import Extent

__all__ = ["Write"]


class Write(Consumer[str]):
    """Write the series to a file, block by block; it appears when the pass has succeeded.

    Parameters
    ----------
    path : path-like
        Target; its ending decides format and compression, as in `lazyvox.save`.
    dtype : dtype-like, optional
        Type on disk; by default that of the images, or, where they are stored with different
        types or scalings, the type that holds the values of all.
    compresslevel : int, optional
        As in `lazyvox.save`.
    scale : "auto", (float, float) or False, optional
        As in `lazyvox.save`; "auto" takes an extra pass.
    overwrite : bool, default=True
        Whether an existing file may be replaced.
    n_jobs : int, default=1
        Threads that compress.

    Notes
    -----
    The result is the path. Memory: the compressor, and pieces of the block.

    Examples
    --------
    >>> import lazyvox as lv
    >>> scan = lv.Scan("run.nii.gz")
    >>> copy = scan.add(lv.Write("copy.nii"))
    >>> scan.run()
    >>> copy.result().endswith("copy.nii")
    True
    """

    def __init__(
        self,
        path: PathLike,
        *,
        dtype: npt.DTypeLike | None = None,
        compresslevel: int | None = None,
        scale: Scale = None,
        overwrite: bool = True,
        n_jobs: int = 1,
    ) -> None:
        self._path = absolute_path(path)
        self._dtype = dtype
        self._compresslevel = compresslevel
        self._scale = scale
        self._overwrite = overwrite
        self._n_threads = resolve_n_jobs(n_jobs)
        self._writer: ImageWriter | None = None
        self._found: tuple[float, float] | None = None
        self._is_raw = False

    @override
    def check(self, grid: Grid) -> None:
        self._output(grid)

    @override
    def prepass(self, grid: Grid) -> Consumer[Any] | None:
        return Extent(finite=True) if self._encoding(grid).needs_extent else None

    @override
    def configure(self, result: Any) -> None:
        self._found = result

    @override
    def init(self, grid: Grid) -> None:
        encoding = self._encoding(grid)
        self._writer = ImageWriter(
            self._output(grid),
            compresslevel=self._compresslevel,
            n_threads=self._n_threads,
            overwrite=self._overwrite,
            rounds=encoding.rounds,
        )
        self._is_raw = encoding.is_raw

    @override
    def update(self, block: Array, start: int) -> None:
        assert self._writer is not None, "bug in lazyvox: update before init"
        write = self._writer.write_stored if self._is_raw else self._writer.write
        write(block)

    @property
    @override
    def takes_slabs(self) -> bool:
        return True

    @override
    def update_slab(self, slab: Array, volume: int, k: int) -> None:
        self.update(slab, volume)

    @override
    def merge(self, other: Self) -> None:
        msg = "a file is written in order: the parts of a series cannot be written apart."
        raise ParameterError(msg)

    @override
    def finalize(self) -> str:
        assert self._writer is not None, "bug in lazyvox: finalize before init"
        self._writer.commit()
        self._writer = None
        return self._path

    @property
    @override
    def publishes(self) -> bool:
        return True

    @override
    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()
            self._writer = None

    @override
    def state_bytes(self, grid: Grid) -> int:
        return packing_memory(self._output(grid), self._compresslevel, self._n_threads)

    @override
    def work_bytes(self, grid: Grid, block_volumes: int) -> int:
        return ENCODING_BYTES

    def _encoding(self, grid: Grid) -> Encoding:
        template = grid.template
        # The scaling of the first image would round the values of the others.
        dtype = grid.dtype if self._dtype is None and not grid.is_uniform else self._dtype
        encoding = choose_encoding(
            template, lazy_dataobj(template), self._path, dtype=dtype, scale=self._scale
        )
        if encoding.is_copy and not grid.is_uniform:
            return Encoding(encoding.dtype, rounds=False)
        if not encoding.needs_extent or self._found is None:
            return encoding
        with naming(self._path):
            return encoding.for_extent(*self._found)

    def _output(self, grid: Grid) -> OutputSpec:
        encoding = self._encoding(grid)
        return plan_output(
            self._path,
            header=grid.template.header,
            affine=grid.affine,
            shape=(*grid.shape, grid.n_volumes),
            dtype=encoding.dtype,
            slope=encoding.slope,
            inter=encoding.inter,
        )
