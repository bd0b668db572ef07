"""`lazyvox.qc_report`: quality of runs on one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lazyvox._typing import PathLike
from lazyvox.confounds.displacement import check_has_motion
from lazyvox.errors import ParameterError
from lazyvox.lazyimage.load import ImageLike
from lazyvox.planning.plan import Plan
from lazyvox.quality.page import Section, page_of, section_of
from lazyvox.quality.run import PreparedRun, ReportOptions, prepare_run
from lazyvox.report import HtmlReport
from lazyvox.runtime.peak import peak_memory
from lazyvox.runtime.progress import ProgressLike

__all__ = ["PreparedReport", "prepare_report", "qc_report"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedReport:
    """A report whose passes are not begun. Made by `prepare_report`.

    Attributes
    ----------
    prepare : tuple of callable
        Give the prepared pass of each run; consumers hold states, so that one run's are made,
        used and dropped before the next.
    """

    prepare: tuple[Callable[[], PreparedRun], ...]

    def plan(self, memory: int | str | None = None, n_jobs: int = 1) -> Plan:
        """Return the plan: that of the largest pass, with the bytes of all.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.

        Returns
        -------
        Plan
            The plan.
        """
        plans = self._plans(memory, n_jobs)
        largest = max(plans, key=lambda plan: plan.peak_bytes)
        if len(plans) == 1:
            return largest
        return replace(
            largest,
            source=f"{len(plans)} runs, one after the other; the largest is {largest.source}",
            passes=sum(plan.passes for plan in plans),
            bytes_read=sum(plan.bytes_read for plan in plans),
            bytes_decoded=sum(plan.bytes_decoded for plan in plans),
            scratch_bytes=max(plan.scratch_bytes for plan in plans),
        )

    def _plans(self, memory: int | str | None, n_jobs: int) -> list[Plan]:
        return [prepare().plan(memory, n_jobs) for prepare in self.prepare]

    def run(
        self, memory: int | str | None = None, n_jobs: int = 1, progress: ProgressLike = None
    ) -> HtmlReport:
        """Read the runs, and return the page.

        Parameters
        ----------
        memory : int or str, optional
            Budget, such as ``"256MB"``.
        n_jobs : int, default=1
            Threads.
        progress : bool or callable, optional
            True shows a bar on stderr.

        Returns
        -------
        HtmlReport
            The page.
        """
        # What is wrong with the last run is said before the first one is read.
        titles = _titles([plan.source for plan in self._plans(memory, n_jobs)])
        level = 3 if len(titles) > 1 else 2
        sections: list[Section] = []
        for prepare, title in zip(self.prepare, titles, strict=True):
            with peak_memory(with_children=False) as peak:
                found = prepare().run(memory, n_jobs, progress)
                section = section_of(found, title, level, peak)
            sections.append(section)
            del found
        return page_of(sections)


def _titles(sources: Sequence[str]) -> list[str]:
    """Return the names of files, with as many of their folders as tell them apart.

    Examples
    --------
    >>> _titles(["/a/1/run.nii.gz", "/a/2/run.nii.gz"])
    ['1/run.nii.gz', '2/run.nii.gz']
    """
    parts = [Path(one).parts for one in sources]
    n_shown = 1
    while n_shown < max(map(len, parts)) and len({one[-n_shown:] for one in parts}) < len(parts):
        n_shown += 1
    return ["/".join(one[-n_shown:]) for one in parts]


def prepare_report(
    imgs: Sequence[ImageLike], motion: Sequence[Any], options: ReportOptions
) -> PreparedReport:
    """Return a report, not begun; reads headers, mask, atlas and motion tables.

    Parameters
    ----------
    imgs : sequence of images or paths
        The runs.
    motion : sequence
        The motion of each, or nothing.
    options : ReportOptions
        The options.

    Returns
    -------
    PreparedReport
        With a plan, and the work.

    Raises
    ------
    ParameterError
        If an argument does not fit the runs.
    """
    if not imgs:
        msg = "`imgs` must hold at least one run. Got an empty list."
        raise ParameterError(msg, parameter="imgs")
    if motion and len(motion) != len(imgs):
        msg = f"`motion` must have a table for each run. Got {len(motion)} for {len(imgs)} runs."
        raise ParameterError(msg, parameter="motion", value=len(motion))
    check_has_motion(options.motion_format, has_motion=bool(motion))
    tables = list(motion) or [None] * len(imgs)

    def of(img: ImageLike, table: Any) -> Callable[[], PreparedRun]:
        return lambda: prepare_run(img, table, options)

    return PreparedReport(tuple(of(*pair) for pair in zip(imgs, tables, strict=True)))


def qc_report(  # noqa: PLR0913
    imgs: ImageLike | Sequence[ImageLike],
    *,
    mask_img: ImageLike | None = None,
    motion: PathLike | Any | Sequence[Any] = None,
    motion_format: str | None = None,
    radius: float = 50.0,
    labels_img: ImageLike | None = None,
    lut: Any = None,
    resample: bool = False,
    fd_threshold: float = 0.5,
    std_dvars_threshold: float = 1.5,
    memory: int | str | None = None,
    n_jobs: int = 1,
    progress: ProgressLike = None,
) -> HtmlReport:
    """Return a page about the quality of runs: measures, maps, carpet plots, regions.

    Parameters
    ----------
    imgs : image, path, or list of them
        A 4D image, or several runs, each of which has its own section.
    mask_img : image or path, optional
        The voxels to measure, such as those of the brain, on the grid of the runs; by default all.
    motion : path-like, DataFrame or ndarray of shape (n_volumes, 6), or list of them, optional
        Motion parameters of each run, fMRIPrep's table of confounds among them.
    motion_format : {"fmriprep", "fsl", "afni", "spm"}, optional
        Format of `motion`, see `lazyvox.confounds.framewise_displacement`; by default the
        names of columns, or of the file, decide.
    radius : float, default=50.0
        Radius in mm of the sphere on which rotations are lengths.
    labels_img : image or path, optional
        Regions, by which the carpet plot is ordered, and whose signals and correlations are shown.
    lut : path, mapping or table, optional
        Names of the labels, as of `lazyvox.Labels`.
    resample : bool, default=False
        Whether labels on another grid are brought to that of the runs.
    fd_threshold : float, default=0.5
        Framewise displacement in mm above which a volume would be censored.
    std_dvars_threshold : float, default=1.5
        Standardized DVARS above which a volume would be censored.
    memory : int or str, optional
        Memory budget, such as ``"512MB"``.
    n_jobs : int, default=1
        Threads for the computation, as in scikit-learn; one more thread decodes.
    progress : bool or callable, optional
        True shows a bar on stderr.

    Returns
    -------
    HtmlReport
        A page that needs nothing besides itself, no scripts either: shown in notebooks, or written
        by ``save_as_html(path)``.

    Raises
    ------
    ParameterError
        If motion does not fit the runs, or a threshold is not above 0.
    ParameterTypeError
        If voxels are complex.
    RegionError
        If the mask is none, or there are no labels.
    GridMismatchError
        If mask or labels are on another grid.
    ImageFileError
        If a run is damaged, or ends early.
    MemoryBudgetError
        If the work does not fit the budget.
    MissingDependencyError
        If matplotlib is not installed.

    Notes
    -----
    One pass over each run, one run after the other. Measures are those of `lazyvox.qc`, which
    spools the voxels of the mask to a temporary file; maps those of `mean_img`, `std_img` and
    `tsnr_img`; the carpet plot takes at most 1200 voxels at equal distances. Memory: that of
    `lazyvox.qc`, some ten float64 volumes, 96 MiB for figures, and 28 bytes for each of the at most
    4 million values of the carpet plot.

    References
    ----------
    Power, J. D. (2017). A simple but useful way to assess fMRI scan qualities. NeuroImage 154.

    Examples
    --------
    >>> import lazyvox as lv
    >>> report = lv.qc_report("run.nii.gz", mask_img="mask.nii.gz", labels_img="atlas.nii.gz")
    >>> "<h1>Quality of run.nii.gz</h1>" in report.html
    True
    """
    options = ReportOptions(
        mask_img,
        motion_format,
        radius,
        labels_img,
        lut,
        resample,
        fd_threshold,
        std_dvars_threshold,
    )
    runs: list[Any] = list(imgs) if isinstance(imgs, list | tuple) else [imgs]
    tables = [] if motion is None else _listed(motion)
    return prepare_report(runs, tables, options).run(memory, n_jobs, progress)


def _listed(motion: Any) -> list[Any]:
    """Return a list of tables: of numbers a list is one table."""
    is_list = isinstance(motion, list | tuple) and bool(motion)
    if is_list and not isinstance(motion[0], list | tuple | int | float):
        return list(motion)
    return [motion]
