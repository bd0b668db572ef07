"""`lazyvox report`: quality of runs on one HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from lazyvox._typing import override
from lazyvox.cli.job import Job, perform
from lazyvox.cli.motion_options import check_radius, motion_options
from lazyvox.cli.outcome import options_named
from lazyvox.cli.outputs import check_output
from lazyvox.cli.settings import (
    PATH,
    POSITIVE,
    Command,
    Settings,
    common_options,
    examples,
    output_option,
    runs_argument,
)
from lazyvox.planning.memory import counted
from lazyvox.quality.api import PreparedReport, prepare_report
from lazyvox.quality.run import ReportOptions
from lazyvox.store.files.paths import printable
from lazyvox.store.write.atomic import write_file

__all__ = ["report"]

_ENDINGS = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class _WrittenPage:
    """A page in a file."""

    path: str
    n_runs: int
    n_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {"path": self.path, "n_runs": self.n_runs, "bytes": self.n_bytes}

    @override
    def __str__(self) -> str:
        """Return the facts in one line."""
        return f"{printable(self.path)}: report of {counted(self.n_runs, 'run')}"


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox report run.nii.gz --mask mask.nii.gz -o report.html",
        "lazyvox report run.nii.gz --mask mask.nii.gz --motion run_mcf.par \\",
        "      --labels atlas.nii.gz --lut atlas.tsv --fd-threshold 0.3 -o report.html",
    ),
)
@runs_argument
@click.option("--mask", metavar="MASK", type=PATH, help="Voxels to measure, such as the brain.")
@click.option(
    "--motion",
    "--confounds",
    metavar="TABLE",
    type=PATH,
    multiple=True,
    help="Motion parameters, for the framewise displacement: fMRIPrep's table of confounds, or one of "
    "FSL, AFNI or SPM. Give one for each RUN, in their order.",
)
@motion_options
@click.option(
    "--labels",
    "labels_img",
    metavar="ATLAS",
    type=PATH,
    help="Regions: the carpet plot is ordered by them, and their signals and correlations are shown.",
)
@click.option("--lut", metavar="TABLE", type=PATH, help="Names of the labels.")
@click.option("--resample", is_flag=True, help="Bring the labels to the grid of RUN.")
@click.option(
    "--fd-threshold",
    type=POSITIVE,
    default=0.5,
    show_default=True,
    metavar="MM",
    help="Framewise displacement above which a volume would be censored.",
)
@click.option(
    "--std-dvars-threshold",
    type=POSITIVE,
    default=1.5,
    show_default=True,
    metavar="X",
    help="Standardized DVARS above which a volume would be censored.",
)
@output_option("Page to write; ends in .html or .htm.")
@common_options
@click.pass_context
def report(
    ctx: click.Context, /, runs: tuple[str, ...], output: str | None, **options: Any
) -> None:
    """Write a page about the quality of each RUN, which needs nothing besides itself.

    Measures of every volume above a carpet plot, the volumes that thresholds would censor, maps of
    mean, standard deviation and tSNR, the spectrum of the global signal, signals and correlations
    of regions, checks, and what it took. One pass over each RUN; values are kept in a temporary
    file, in the folder that TMPDIR names.
    """
    settings = Settings.of(ctx)
    motion: tuple[str, ...] = options.pop("motion")
    check_radius(ctx, has_motion=bool(motion))
    options["mask_img"] = options.pop("mask")
    named = (options[name] for name in ("mask_img", "labels_img", "lut"))
    inputs = [*runs, *motion, *(one for one in named if one is not None)]
    path = check_output(output, _ENDINGS, inputs, settings)
    names = {
        "imgs": "RUN",
        "motion": "--motion (--confounds)",
        "motion_format": "--motion-format",
        "mask_img": "--mask",
        "labels_img": "--labels",
        "lut": "--lut",
        "resample": "--resample",
    }
    with options_named(**names):
        prepared = prepare_report(runs, motion, ReportOptions(**options))
        perform(
            Job(
                "report",
                inputs,
                lambda: prepared.plan(n_jobs=settings.n_jobs),
                lambda: _written(prepared, path, len(runs), settings),
            ),
            settings,
        )


def _written(
    prepared: PreparedReport, path: str, n_runs: int, settings: Settings
) -> Sequence[_WrittenPage]:
    page = prepared.run(n_jobs=settings.n_jobs, progress=settings.progress)
    content = page.html.encode("utf-8")
    write_file(path, content, overwrite=settings.overwrite)
    return [_WrittenPage(path, n_runs, len(content))]
