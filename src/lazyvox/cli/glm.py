"""`lazyvox glm`: a first-level GLM of one subject, its contrasts as maps, and a report."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np

from lazyvox._typing import override
from lazyvox.bids.names import common_name, parse_name
from lazyvox.bids.sidecars import dataset_description
from lazyvox.cli.cleaning_options import confound_options
from lazyvox.cli.confound_tables import ConfoundChoice
from lazyvox.cli.job import Job, Written, perform
from lazyvox.cli.model_inputs import FirstLevelInputs
from lazyvox.cli.model_options import contrast_option, model_options
from lazyvox.cli.outcome import WrongUsageError
from lazyvox.cli.outputs import check_files
from lazyvox.cli.settings import (
    PATH,
    POSITIVE,
    Command,
    Settings,
    chosen,
    common_options,
    examples,
    is_given,
    output_option,
    runs_argument,
)
from lazyvox.errors import LazyvoxError, ParameterError
from lazyvox.extraction.signals_figure import names_as_text
from lazyvox.glm.map_files import (
    MAP_DTYPE,
    MAPS,
    MASK_DTYPE,
    describe_contrasts,
    file_prefix,
    map_file,
    mask_file,
    save_mask,
    write_design,
    write_map,
)
from lazyvox.glm.model_choice import ModelChoice
from lazyvox.lazyimage.load import as_image
from lazyvox.planning.memory import counted
from lazyvox.planning.plan import Plan
from lazyvox.runtime.dry_run import plan as plan_of
from lazyvox.runtime.optional import require
from lazyvox.store.files.paths import printable
from lazyvox.store.write.atomic_folder import AtomicFolder

__all__ = ["glm"]

#: Options that a design matrix takes the place of.
_OF_EVENTS = ("hrf_model", "drift_model", "drift_order", "high_pass", "slice_time_ref", "t_r")


@dataclass(frozen=True, slots=True)
class _Summary:
    """The line about the whole model."""

    n_runs: int
    n_volumes: int
    n_voxels: int
    n_columns: int
    n_free: int
    noise_model: str
    largest: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "runs": self.n_runs,
            "volumes": self.n_volumes,
            "voxels": self.n_voxels,
            "columns": self.n_columns,
            "degrees_of_freedom": self.n_free,
            "noise_model": self.noise_model,
            "largest_z": {name: z if np.isfinite(z) else None for name, z in self.largest.items()},
        }

    @override
    def __str__(self) -> str:
        """Return the facts in one line."""
        peaks = ", ".join(f"{name} |z| <= {z:.3g}" for name, z in self.largest.items())
        return (
            f"{counted(self.n_runs, 'run')}, {self.n_volumes} volumes, {self.n_voxels} voxels, "
            f"{self.n_columns} columns, {self.n_free} degrees of freedom, {self.noise_model}: {peaks}"
        )


@dataclass(frozen=True)
class _FirstLevel:
    """Inputs of a model, and the folder of the results."""

    inputs: FirstLevelInputs
    output: str | None
    has_report: bool
    settings: Settings

    def check(self) -> None:
        """Check everything that can be checked without reading a volume."""
        if self.output is None and not self.settings.explain:
            msg = "missing option -o/--output: where should the result go?"
            raise WrongUsageError(msg)
        if self.output is not None and not self.settings.explain:
            if os.path.lexists(self.output):
                if not self.settings.overwrite:
                    msg = (
                        f"--output {printable(self.output)}: it exists. Pass --overwrite to replace "
                        f"a folder that this command has written"
                    )
                    raise WrongUsageError(msg)
            else:
                check_files([self.output], self.inputs.files, self.settings)
        self.inputs.check()

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the model, for JSON."""
        return {
            "model": self.inputs.choice.to_dict(),
            "columns": [
                [str(name) for name in one.columns] for one in self.inputs.design_matrices
            ],
            "contrasts": {
                name: [one.tolist() for one in self.inputs.weights[name]]
                for name in self.inputs.weights
            },
        }

    def plan(self) -> Plan:
        """Return the plan of the first pass: that of the mask where it is to be computed."""
        found: Plan = plan_of(self.inputs.fit)
        return found

    def work(self) -> list[Any]:
        """Fit, and write everything into the folder."""
        assert self.output is not None, "bug in lazyvox: no output"
        folder = AtomicFolder(
            self.output, overwrite=self.settings.overwrite, marks=(self._contrasts_file,)
        )
        try:
            model = self.inputs.fit()
            written, peaks = self._write_maps(model, folder.path)
            with names_as_text():
                written += self._write_tables(folder.path)
                if self.has_report:
                    written += self._write_report(model, folder.path)
            folder.commit()
        except BaseException as error:
            folder.abort()
            if isinstance(error, OSError) and not isinstance(error, LazyvoxError):
                raise folder.error(error, "writing") from error
            raise
        return [*written, self._summary(model, peaks)]

    def _write_maps(self, model: Any, folder: Path) -> tuple[list[Any], dict[str, float]]:
        """Write maps and mask; return them, and the largest z of each contrast."""
        written: list[Any] = []
        peaks = {}
        for name in self.inputs.weights:
            maps = model.compute_contrast(self._given(name), output_type="all")
            peaks[name] = _largest(maps["z_score"])
            for label, kind in MAPS.items():
                file = map_file(self._prefix, name, label)
                write_map(maps[kind], folder / file)
                written.append(self._written(file, maps[kind].shape, MAP_DTYPE))
        file = mask_file(self._prefix)
        save_mask(as_image(model.mask_img_), folder / file)
        return [*written, self._written(file, model.mask_img_.shape, MASK_DTYPE)], peaks

    @property
    def _contrasts_file(self) -> str:
        return f"{self._prefix}contrasts.json"

    def _given(self, name: str) -> Any:
        """Return a contrast as nilearn takes it."""
        weights = self.inputs.weights[name]
        return weights[0] if len(weights) == 1 else list(weights)

    def _reported(self, name: str) -> Any:
        """Return a contrast as nilearn's report takes it: one for all runs."""
        weights = self.inputs.weights[name]
        is_same = all(np.array_equal(one, weights[0]) for one in weights)
        return weights[0] if is_same else self.inputs.named_expressions[name]

    @cached_property
    def _prefix(self) -> str:
        """Beginning of the names of files: the entities that runs with BIDS names share."""
        try:
            shared = common_name([parse_name(path) for path in self.inputs.paths])
        except ParameterError:
            return ""
        return file_prefix(shared)

    def _written(self, name: str, shape: Any, dtype: str) -> Written:
        return Written(str(Path(self.output or "") / name), tuple(shape), dtype)

    def _write_tables(self, folder: Path) -> list[Written]:
        """Write design matrices, as table and picture, contrasts, and the description."""
        from nilearn.plotting import plot_design_matrix

        written = []
        for number, design in enumerate(self.inputs.design_matrices, 1):
            run = "" if len(self.inputs.paths) == 1 else f"run-{number}_"
            name = f"{self._prefix}{run}design"
            write_design(design, folder / f"{name}.tsv")
            written.append(self._written(f"{name}.tsv", design.shape, "text"))
            plot_design_matrix(design, output_file=str(folder / f"{name}.png"))
            written.append(self._written(f"{name}.png", (), "picture"))
        described = describe_contrasts(self.inputs.design_matrices, self.inputs.weights)
        dataset = {
            **dataset_description("First-level GLM"),
            "Parameters": self.inputs.choice.to_dict(),
        }
        for file, record in (
            (self._contrasts_file, described),
            ("dataset_description.json", dataset),
        ):
            (folder / file).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            written.append(self._written(file, (), "JSON"))
        return written

    def _write_report(self, model: Any, folder: Path) -> list[Written]:
        """Write nilearn's report."""
        name = f"{self._prefix}report.html"
        with warnings.catch_warnings():
            # They concern its pictures: that no voxel is above its threshold, say.
            warnings.simplefilter("ignore")
            report = model.generate_report(
                {one: self._reported(one) for one in self.inputs.weights}
            )
            report.save_as_html(folder / name)
        return [self._written(name, (), "HTML")]

    def _summary(self, model: Any, peaks: Mapping[str, float]) -> _Summary:
        results = [next(iter(one.values())) for one in model.results_]
        return _Summary(
            len(self.inputs.paths),
            sum(len(one) for one in self.inputs.design_matrices),
            int(model.n_elements_),
            max(one.shape[1] for one in self.inputs.design_matrices),
            int(sum(one.df_residuals for one in results)),
            self.inputs.choice.noise_model,
            peaks,
        )


def _largest(img: Any) -> float:
    values = np.abs(np.asarray(img.dataobj))
    return float(np.nanmax(values, initial=0))


@click.command(
    cls=Command,
    epilog=examples(
        "lazyvox glm sub-01_task-faces_bold.nii.gz --events sub-01_task-faces_events.tsv \\",
        '      --contrast "face - house" --smoothing-fwhm 5 -o sub-01_glm',
        "lazyvox glm run1.nii.gz run2.nii.gz --events events1.tsv --events events2.tsv \\",
        "      --confounds confounds1.tsv --confounds confounds2.tsv --confound-strategy motion24 \\",
        '      --contrast "faces=face - (house + cat) / 2" --mask brain.nii.gz -o glm',
        'lazyvox glm run.nii.gz --design X.xmat.1D --contrast "face#0 - house#0" -o glm',
    ),
)
@runs_argument
@click.option(
    "--events",
    metavar="TSV",
    multiple=True,
    type=PATH,
    help="Onsets, durations and names of events, as BIDS has them. Once for each RUN.",
)
@click.option(
    "--design",
    "designs",
    metavar="TABLE",
    multiple=True,
    type=PATH,
    help="Design matrix in place of events: .tsv or .csv with names in the first line, AFNI's "
    ".xmat.1D, or FSL's design.mat, whose columns are ev1, ev2, ... Once for each RUN.",
)
@contrast_option(required=True)
@model_options
@click.option(
    "--high-pass",
    metavar="HZ",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    help="Frequency of the fastest of the cosines, in Hz.",
)
@click.option(
    "--t-r",
    metavar="SECONDS",
    type=POSITIVE,
    help="Time between volumes; by default that of the header.",
)
@click.option(
    "--mask",
    metavar="MASK",
    type=PATH,
    help="Voxels of the maps. By default, the brain in all runs, for which each is read once more.",
)
@click.option(
    "--smoothing-fwhm",
    "--fwhm",
    "smoothing_fwhm",
    metavar="MM",
    type=POSITIVE,
    help="Smooth volumes first: full width at half maximum of a Gaussian.",
)
@confound_options
@click.option("--no-report", is_flag=True, help="Write no report page, which takes some seconds.")
@output_option(
    "Folder to write, which must be new: maps of effect, variance, t and z of each contrast, with "
    "BIDS names; mask, design matrices, contrasts, and a report."
)
@common_options
@click.pass_context
def glm(
    ctx: click.Context,
    /,
    *,
    runs: tuple[str, ...],
    events: tuple[str, ...],
    designs: tuple[str, ...],
    contrasts: tuple[str, ...],
    output: str | None,
    no_report: bool,
    **options: Any,
) -> None:
    """Fit a first-level GLM to RUN, one pass for each, and write maps of contrasts.

    Runs of one subject; with several, fixed effects. Design matrices, contrasts and report are
    nilearn's, and the numbers are those of its FirstLevelModel. Memory does not grow with the
    number of volumes.
    """
    settings = Settings.of(ctx)
    require("nilearn", "glm", "First-level models (lazyvox glm)")
    require("matplotlib", "glm", "Pictures of design matrices (lazyvox glm)")
    if designs:
        given = [name for name in _OF_EVENTS if is_given(ctx, name)]
        if given:
            option = f"--{given[0].replace('_', '-')}"
            msg = f"{option} concerns designs made of --events: leave it out with --design"
            raise WrongUsageError(msg)
    choice = ModelChoice(**options)
    if choice.drift_model != "cosine" and is_given(ctx, "high_pass"):
        msg = f"--high-pass needs --drift-model cosine. Got it with {choice.drift_model}"
        raise WrongUsageError(msg)
    confounds = chosen(ctx, ConfoundChoice)
    inputs = FirstLevelInputs(runs, events, designs, confounds, contrasts, choice, settings.n_jobs)
    work = _FirstLevel(inputs, output, not no_report, settings)
    with settings.budget():
        work.check()
    columns = ", ".join(str(name) for name in inputs.design_matrices[0].columns)
    remark = f"columns: {columns}" if settings.explain else ""
    if settings.explain and choice.mask is None:
        remark += (
            "\nThe plan is that of computing the mask, in a pass over each run before the fit."
        )
    job = Job("glm", inputs.files, work.plan, work.work, facts=work.facts, remark=remark)
    perform(job, settings)
