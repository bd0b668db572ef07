"""`lazyvox.extract_all`: the signals of regions of many images, in processes within the budget."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lazyvox._version import __version__
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.likeness import likeness
from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.extraction.api import extract
from lazyvox.extraction.rois import RegionOptions, resolve_rois
from lazyvox.extraction.voxels import region_names
from lazyvox.lazyimage.fingerprint import fingerprint
from lazyvox.lazyimage.parallel import (
    OnError,
    answers_in_order,
    call_with_image,
    list_of_images,
    shown_image,
)
from lazyvox.lazyimage.series import as_series
from lazyvox.planning.arguments import check_choice
from lazyvox.runtime.budget import resolve_budget
from lazyvox.runtime.budget_shares import within_share
from lazyvox.runtime.dry_run import plan, stop_if_planning
from lazyvox.runtime.sized_calls import SizedCall, most_side_by_side, resolve_processes
from lazyvox.store.files.paths import absolute_path, file_names, printable
from lazyvox.store.files.urls import is_url
from lazyvox.store.write.atomic import url_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from lazyvox._typing import PathLike
    from lazyvox.extraction.lut import Lut
    from lazyvox.extraction.rois import RoiLike
    from lazyvox.lazyimage.load import ImageLike
    from lazyvox.planning.plan import Plan
    from lazyvox.runtime.progress import ProgressLike

__all__ = ["extract_all"]


def extract_all(  # noqa: PLR0913
    imgs: Iterable[Any],
    rois: RoiLike | Sequence[RoiLike] | Mapping[Any, RoiLike],
    *,
    confounds: Sequence[Any] | None = None,
    sample_masks: Sequence[npt.ArrayLike | None] | None = None,
    strategy: str | Sequence[str] | None = None,
    lut: Lut | None = None,
    radius: float | None = None,
    mask_img: ImageLike | None = None,
    min_coverage: float | None = None,
    censored: str = "drop",
    smoothing_fwhm: float | Sequence[float] | str | None = None,
    detrend: bool = False,
    standardize: str | None = None,
    standardize_confounds: bool = True,
    filter: str | bool | None = None,  # noqa: A002
    low_pass: float | None = None,
    high_pass: float | None = None,
    t_r: float | None = None,
    clean_args: Mapping[str, Any] | None = None,
    dtype: npt.DTypeLike | None = None,
    resample: bool = False,
    out_dir: PathLike | None = None,
    ending: str | None = None,
    names: Sequence[str] | None = None,
    on_error: OnError = "raise",
    memory: int | str | None = None,
    n_jobs: int | None = -1,
    progress: ProgressLike = None,
) -> list[Any]:
    """Return the signals of the same regions in many images, each in a process of its own.

    Parameters
    ----------
    imgs : iterable of images, paths, or lists of them
        Images as of `lazyvox.extract`; a list among them is joined along time.
    rois : image, path, coordinates, Voxels, Labels, Maps or Spheres, or list or dict of them
        Regions, the same for all images; see `lazyvox.extract`.
    confounds : sequence, optional
        Signals to remove, of each image: a table, a path, or None; see `lazyvox.extract`.
    sample_masks : sequence, optional
        Volumes to keep, of each image; None for all of them.
    strategy, lut, radius, mask_img, min_coverage, censored, smoothing_fwhm, detrend, standardize
        See `lazyvox.extract`; the same for all images.
    standardize_confounds, filter, low_pass, high_pass, t_r, clean_args, dtype, resample
        See `lazyvox.extract`; the same for all images.
    out_dir : path-like, optional
        Folder to write tables to instead of holding the signals in memory; it is made. The same
        call again makes those only that are not there, or of other inputs or parameters.
    ending : str, optional
        Kind of these tables: ``.tsv``, the default, ``.csv``, ``.parquet``, ``.npy``, ``.npz``,
        ``.txt`` or ``.1D``.
    names : sequence of str, optional
        Names of the tables without ending, one for each image; by default those of the images.
    on_error : {"raise", "return"}, default="raise"
        Treatment of an error: "raise" ends the work; "return" goes on with the other images, and
        puts the exception into the list, in the place of the signals.
    memory : int or str, optional
        Memory budget of all images together, such as ``"4GiB"``.
    n_jobs : int, default=-1
        Most images at a time, each in a process; with 1 they are worked on here.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    list
        For each image, in their order, what `lazyvox.extract` returns; with an `out_dir` the
        path of its table, or a list or dict of paths, like `rois`.

    Raises
    ------
    ParameterError
        If an argument is out of range, lists are not as long as `imgs`, or tables would have one
        name.
    ParameterTypeError
        If `imgs`, `confounds` or `sample_masks` is no list.
    RegionError, GridMismatchError, ImageFileError, MemoryBudgetError, OutputError
        As of `lazyvox.extract`, with a note that names the image, for the first in order.

    Notes
    -----
    One pass over each image. All are planned before the first voxel is read: images on another
    grid than the regions, and those that do not fit the budget, are known by then. Images are
    worked on at the same time while their predicted peaks fit the budget; each process holds 40
    to 60 MiB more for Python and its imports. ``lv.plan(lv.extract_all, ...)`` is the plan of the
    image with the highest peak. Images in memory are sent to the processes with all values. In
    `out_dir` tables appear when they are complete, and ``logs/finished`` records what they were
    made of. Scripts call this below ``if __name__ == "__main__":``.

    Examples
    --------
    >>> import lazyvox as lv
    >>> runs = ["run.nii.gz", "run.nii.gz"]
    >>> masks = [None, range(10, 40)]
    >>> found = lv.extract_all(runs, "atlas.nii.gz", sample_masks=masks, detrend=True, n_jobs=1)
    >>> [signals.shape for signals in found]
    [(40, 8), (30, 8)]
    >>> tables = lv.extract_all(runs, "atlas.nii.gz", out_dir="tables", names=["a", "b"], n_jobs=1)
    >>> [path.rsplit("/", 1)[1] for path in tables]
    ['a.tsv', 'b.tsv']
    """
    options: dict[str, Any] = {
        "strategy": strategy,
        "lut": lut,
        "radius": radius,
        "mask_img": mask_img,
        "min_coverage": min_coverage,
        "censored": censored,
        "smoothing_fwhm": smoothing_fwhm,
        "detrend": detrend,
        "standardize": standardize,
        "standardize_confounds": standardize_confounds,
        "filter": filter,
        "low_pass": low_pass,
        "high_pass": high_pass,
        "t_r": t_r,
        "clean_args": clean_args,
        "dtype": dtype,
        "resample": resample,
    }
    check_choice(on_error, "on_error", get_args(OnError))
    for name, given in (("ending", ending), ("names", names)):
        if given is not None and out_dir is None:
            msg = f"`{name}` concerns the tables in `out_dir`, and there is none."
            raise ParameterError(msg)
    images = list_of_images(imgs)
    columns = [
        _column(given, name, len(images))
        for name, given in (("confounds", confounds), ("sample_masks", sample_masks))
    ]
    tables: Sequence[_Table | None] = [None] * len(images)
    if out_dir is not None:
        folder, unique = absolute_path(out_dir), _names(images, names)
        if is_url(folder):
            raise url_refusal(folder)
        tables = _tables(folder, unique, ending or ".tsv", rois, options)
    items = [
        _Item(number, *of_one)
        for number, of_one in enumerate(zip(images, *columns, tables, strict=True))
    ]
    work = _Work(rois, options, "" if out_dir is None else _digest(rois, options))
    budget = resolve_budget(memory)
    wanted = resolve_processes(n_jobs)
    due, results = _prepared(work, items, budget, wanted, on_error)
    if due:
        stop_if_planning(max((one.plan for one in due), key=lambda plan: plan.peak_bytes))
    if out_dir is not None:
        FinishedOutputs(absolute_path(out_dir)).make_folder()
    made = answers_in_order(
        "extract_all",
        functools.partial(call_with_image, work.extract),
        [
            SizedCall(number, one.item.what, (one.item.img, one), one.plan.peak_bytes)
            for number, one in enumerate(due)
        ],
        budget=budget,
        n_workers=most_side_by_side([one.plan.peak_bytes for one in due], budget, wanted),
        on_error=on_error,
        progress=progress,
    )
    results.update(zip((one.item.number for one in due), made, strict=True))
    return [results[number] for number in range(len(items))]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table to write: its folder and name, its path for `extract`, the files that it becomes."""

    folder: str
    name: str
    out: str
    files: tuple[str, ...]
    result: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """An image, and what belongs to it alone."""

    number: int
    img: Any
    confounds: Any
    sample_mask: Any
    table: _Table | None

    @property
    def what(self) -> str:
        return f"image {self.number} ({shown_image(self.img)})"


@dataclass(frozen=True, slots=True, eq=False)
class _Due:
    """An image to work on, its plan, and the mark of what its table is made of."""

    item: _Item
    plan: Plan
    mark: str


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """All that is done to every image."""

    rois: Any
    options: Mapping[str, Any]
    digest: str

    def extract(self, img: Any, due: _Due) -> Any:
        """Extract from an image, in whatever process this is."""
        made = self._extracted(img, due.item)
        table = due.item.table
        if table is None:
            return made
        FinishedOutputs(table.folder).keep(table.name, due.mark, table.files)
        return table.result

    def plan(self, item: _Item, memory: int) -> Plan:
        """Return the plan for an image; reads regions, and no voxel of it."""
        found: Plan = plan(functools.partial(self._extracted, memory=memory), item.img, item)
        return found

    def mark(self, item: _Item) -> str:
        """Return the fingerprint of all that a table is made of."""
        if item.table is None:
            return ""
        content = fingerprint([item.img, item.confounds, item.sample_mask])
        return _sha256((__version__, self.digest, content))

    def _extracted(self, img: Any, item: _Item, memory: int | None = None) -> Any:
        return extract(
            img,
            self.rois,
            confounds=item.confounds,
            sample_mask=item.sample_mask,
            out=None if item.table is None else item.table.out,
            overwrite=True,
            memory=memory,
            **self.options,
        )


def _prepared(
    work: _Work, items: Sequence[_Item], budget: int, n_jobs: int, on_error: OnError
) -> tuple[list[_Due], dict[int, Any]]:
    """Return the images to work on, and the results of all others."""
    n_calls = min(n_jobs, len(items))
    known: dict[Any, Plan] = {}
    due: list[_Due] = []
    results: dict[int, Any] = {}
    for item in items:
        try:
            mark, table = work.mark(item), item.table
            if table and FinishedOutputs(table.folder).hold(table.name, mark, table.files):
                results[item.number] = table.result
            else:
                due.append(_Due(item, _plan(work, item, known, budget, n_calls), mark))
        except Exception as error:
            error.add_note(f"extract_all: raised for {item.what}.")
            if on_error == "raise":
                raise
            results[item.number] = error
    return due, results


def _plan(work: _Work, item: _Item, known: dict[Any, Plan], budget: int, n_calls: int) -> Plan:
    """Return the plan for an image, that of one that is alike where there is one."""
    key: Any = item.number
    if isinstance(item.img, str | os.PathLike):
        grid = as_series(item.img).grid
        alike = likeness(grid, os.fspath(item.img))
        key = (*alike, item.confounds is None, item.sample_mask is None)
    if key not in known:
        known[key] = within_share(functools.partial(work.plan, item), budget, n_calls)
    return known[key]


def _column(given: Any, name: str, n_images: int) -> list[Any]:
    if given is None:
        return [None] * n_images
    if not isinstance(given, list | tuple):
        msg = (
            f"`{name}` must be a list with one for each image, or None for an image without. Got "
            f"{type(given).__name__}."
        )
        raise ParameterTypeError(msg)
    if len(given) != n_images:
        msg = f"`{name}` must have {n_images} items, one for each image. Got {len(given)}."
        raise ParameterError(msg, value=len(given))
    return list(given)


def _names(images: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """Return the names of the tables, all different."""
    firsts = [one[0] if isinstance(one, list | tuple) and one else one for one in images]
    wanted = region_names(firsts) if names is None else _column(names, "names", len(images))
    twice = [name for name, n in Counter(wanted).items() if n > 1]
    if twice:
        msg = (
            f"tables in `out_dir` must have names that differ. Got {printable(str(twice[0]))} for "
            f"several images."
        )
        raise ParameterError(msg, hint="Pass `names`, one for each image.")
    return list(file_names([str(name) for name in wanted]))


def _tables(
    folder: str, names: Sequence[str], ending: str, rois: Any, options: Mapping[str, Any]
) -> list[_Table]:
    """Return the tables of all images; region sets have names that only they know."""
    of_regions = ("strategy", "lut", "dtype", "resample", "radius", "mask_img", "min_coverage")
    regions = resolve_rois(rois, RegionOptions(**{name: options[name] for name in of_regions}))
    tables = []
    for name in names:
        out = str(Path(folder) / f"{name}{ending}")
        files = regions.files(out)
        is_one = regions.is_single or regions.is_gathered(out)
        result = files[0] if is_one else regions.assemble(files)
        names_of_files = tuple(Path(one).name for one in files)
        tables.append(_Table(folder, name, out, names_of_files, result))
    return tables


def _digest(rois: Any, options: Mapping[str, Any]) -> str:
    return _sha256(fingerprint([rois, dict(options)]))


def _sha256(thing: Any) -> str:
    return hashlib.sha256(repr(thing).encode()).hexdigest()
