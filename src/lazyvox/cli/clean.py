"""`lazyvox clean`: a run without trends, frequencies and confounds, every voxel of it."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import click
from nibabel.spatialimages import SpatialImage

from lazyvox.bids.names import parse_name, sidecar_path
from lazyvox.bids.sidecars import write_sidecar
from lazyvox.cli.cleaning_options import (
    CleaningChoice,
    PreparedCleaning,
    image_cleaning_options,
)
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.image_output import (
    REALS,
    Chunks,
    ImageOutput,
    chunks_option,
    dtype_option,
    save_job,
    scale_option,
)
from lazyvox.cli.job import Job, Result, perform
from lazyvox.cli.outcome import WrongUsageError, options_named
from lazyvox.cli.outputs import IMAGE_OUTPUT_TEXT, check_files
from lazyvox.cli.sample_mask import read_sample_mask
from lazyvox.cli.settings import (
    PATH,
    Command,
    Settings,
    chosen,
    common_options,
    examples,
    output_option,
)
from lazyvox.cli.sidecars import provenance_of
from lazyvox.errors import ParameterError
from lazyvox.image.checking import check_niimg_4d
from lazyvox.image.cleaning import clean_img
from lazyvox.image.smoothing import smooth_img
from lazyvox.lazyimage.series import Series, as_series
from lazyvox.planning.sample_mask import checked_sample_mask
from lazyvox.runtime.peak import peak_memory

__all__ = ["clean"]

_DESCRIPTION = "Run whose voxels are cleaned: trends, frequencies and confounds removed."


@dataclass(frozen=True, slots=True)
class _Cleaning:
    """A run, what is removed from it, and the file of the result."""

    run: str
    mask: str | None
    sample_mask: str | None
    choice: CleaningChoice
    confounds: ConfoundChoice
    output: ImageOutput
    settings: Settings

    @property
    def inputs(self) -> list[str]:
        """All files that are read."""
        further = [one for one in (self.mask, self.sample_mask) if one is not None]
        return [self.run, *self.confounds.confounds, *further]

    def job(self) -> Job:
        """Return the job; reads headers and tables."""
        img = check_niimg_4d(self.run)
        series = as_series(img)
        keep = None
        if self.sample_mask is not None:
            numbers = read_sample_mask(self.sample_mask)
            keep = checked_sample_mask(numbers, series.grid.n_volumes).tolist()
        cleaning = self.choice.prepare(self.confounds, series, keep)
        job = save_job(
            "clean",
            self.inputs,
            lambda: self._cleaned(img, series, cleaning),
            self.output,
            self.settings,
            facts={"censored_volumes": cleaning.censored.tolist()},
            remark=cleaning.remark,
        )
        return replace(job, work=lambda: self._work(job, series, cleaning))

    def _cleaned(self, img: SpatialImage, series: Series, cleaning: PreparedCleaning) -> Any:
        """Return the lazy image of the cleaned run."""
        fwhm, options = self.choice.smoothing_fwhm, cleaning.options
        t_r = series.grid.t_r if options.t_r is None else options.t_r
        further: dict[str, Any] = {f"clean__{k}": v for k, v in options.clean_args.items()}
        if options.filter is not None:
            further["clean__filter"] = options.filter
        with options_named(mask_img="--mask"):
            return clean_img(
                img if fwhm is None else smooth_img(img, fwhm),
                detrend=options.detrend,
                standardize=options.standardize,
                confounds=options.confounds,
                low_pass=options.low_pass,
                high_pass=options.high_pass,
                t_r=t_r,
                mask_img=self.mask,
                clean__sample_mask=cleaning.sample_mask,
                clean__censored=options.censored,
                **further,
            )

    def _work(self, job: Job, series: Series, cleaning: PreparedCleaning) -> Sequence[Result]:
        """Save the image, and the JSON file beside it where its name is of BIDS."""
        has_sidecar = is_bids_image(self.output.path)
        with peak_memory() if has_sidecar else nullcontext() as peak:
            written = job.work()
        if peak is not None:
            parameters = {
                "mask": self.mask,
                "dtype": self.output.dtype,
                **self.choice.to_dict(),
                **self.confounds.to_dict(),
            }
            provenance = provenance_of(
                self.output.path,
                self.inputs,
                [self.mask] if self.mask else [],
                parameters,
                cleaning,
                job.plan(),
                t_r=None,
                peak_bytes=peak.bytes,
            )
            record = replace(provenance, description=_DESCRIPTION).to_dict()
            # Of images BIDS asks for the time between volumes, of tables for its inverse.
            t_r = series.grid.t_r if cleaning.options.t_r is None else cleaning.options.t_r
            record |= {"RepetitionTime": t_r} if t_r else {}
            write_sidecar(self.output.path, record, overwrite=self.settings.overwrite)
        return written


def is_bids_image(path: str) -> bool:
    """Return whether the name of an image is of BIDS, so that a JSON file lies beside it.

    Examples
    --------
    >>> is_bids_image("sub-01_task-rest_desc-clean_bold.nii.gz"), is_bids_image("clean.nii.gz")
    (True, False)
    """
    try:
        name = parse_name(path)
    except ParameterError:
        return False
    return name.suffix == "bold" and name.extension in {".nii", ".nii.gz"}


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox clean run.nii.gz --detrend 1 --high-pass 0.01 --standardize psc -o clean.nii.gz",
        "lazyvox clean sub-01_task-rest_bold.nii.gz --fwhm 6 --mask mask.nii.gz \\",
        "      --confounds sub-01_task-rest_desc-confounds_timeseries.tsv \\",
        "      --confound-strategy motion24,wm_csf --fd-threshold 0.5 \\",
        "      --high-pass 0.01 --low-pass 0.1 -o sub-01_task-rest_desc-clean_bold.nii.gz",
    ),
)
@click.argument("run", metavar="RUN", type=PATH)
@image_cleaning_options
@click.option(
    "--mask",
    metavar="MASK",
    type=PATH,
    help="The voxels to clean; others become 0. Takes less time, and space on disk.",
)
@click.option(
    "--sample-mask",
    metavar="FILE",
    type=PATH,
    help="Volumes to keep: their numbers, counted from 0, one on each line; or a .npy array of "
    "them, or of booleans.",
)
@output_option(
    f"{IMAGE_OUTPUT_TEXT} With a BIDS name that ends in _bold it gets a JSON file beside it."
)
@dtype_option(REALS, "Type on disk; by default that of floats, and float32 for integers.")
@scale_option
@chunks_option
@common_options
@click.pass_context
def clean(
    ctx: click.Context,
    run: str,
    mask: str | None,
    sample_mask: str | None,
    output: str | None,
    dtype: str | None,
    scale: str | None,
    chunks: Chunks,
) -> None:
    """Write the 4D image RUN with every voxel cleaned.

    Steps are those of nilearn's clean_img, in its order: smoothing (--fwhm), trend, filter,
    volumes left out, confounds, scale; nothing is done that is not asked for. The regression of
    confounds, which went through trend and filter too, is that of 3dTproject.

    One pass over RUN writes its voxels to a temporary file, in the folder that TMPDIR names,
    where they are cleaned in blocks: it needs as much space as the voxels that are cleaned.
    """
    settings = Settings.of(ctx)
    choice = chosen(ctx, CleaningChoice)
    confounds = chosen(ctx, ConfoundChoice)
    work = _Cleaning(run, mask, sample_mask, choice, confounds, ImageOutput(""), settings)
    _check_has_steps(work)
    target = ImageOutput.checked(output, work.inputs, settings, dtype, scale, chunks)
    if is_bids_image(target.path) and not settings.explain:
        check_files([sidecar_path(target.path)], work.inputs, settings)
    perform(replace(work, output=target).job(), settings)


def _check_has_steps(work: _Cleaning) -> None:
    """Refuse a run that would be copied."""
    choice = work.choice
    steps = (
        choice.smoothing_fwhm,
        choice.detrend or None,
        choice.standardize,
        choice.low_pass,
        choice.high_pass,
        work.confounds.confounds or None,
        work.sample_mask,
        work.mask,
    )
    if all(step is None for step in steps):
        msg = (
            "nothing to remove: pass --detrend, --high-pass, --low-pass, --confounds, "
            "--standardize or --fwhm, or several of them"
        )
        raise WrongUsageError(msg)
