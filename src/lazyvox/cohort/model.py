"""The first-level model of a run of a study: its design, its consumer, and its files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, IntArray
from lazyvox.cohort.runs import RunFiles
from lazyvox.errors import ParameterError
from lazyvox.glm.computed_mask import computed_mask
from lazyvox.glm.consumer import GLM
from lazyvox.glm.contrasts import design_weights, named_contrasts
from lazyvox.glm.event_frames import event_designs
from lazyvox.glm.map_files import (
    MAPS,
    describe_contrasts,
    design_file,
    file_prefix,
    map_file,
    mask_file,
    save_mask,
    write_design,
    write_map,
)
from lazyvox.glm.model_choice import ModelChoice, confound_frame
from lazyvox.glm.results import GLMResult
from lazyvox.lazyimage.series import Grid, Series
from lazyvox.planning.plan import Plan
from lazyvox.runtime.budget import memory_budget
from lazyvox.runtime.dry_run import plan
from lazyvox.runtime.optional import require
from lazyvox.signal.confounds import Confounds

__all__ = ["PreparedModel", "StudyModel", "prepare_model", "study_model"]

#: Volumes of float64 that exist while a contrast is computed and its maps are written: those of
#: its maps, and of values of the voxels of the mask.
_CONTRAST_VOLUMES = 16

#: Settings that are those of the study.
_OF_STUDY = frozenset({"t_r", "mask", "smoothing_fwhm"})

#: Bytes of a voxel in the maps of a contrast.
_MAP_BYTES = 4 * len(MAPS)


@dataclass(frozen=True, slots=True)
class StudyModel:
    """First-level model of each run, and its contrasts.

    Attributes
    ----------
    contrasts : tuple of str
        Expressions of columns of the design, with names or without.
    choice : ModelChoice
        Settings. Mask, smoothing and repetition time are those of the study.
    """

    contrasts: tuple[str, ...]
    choice: ModelChoice = field(default_factory=ModelChoice)

    def check(self) -> None:
        """Refuse what no run could have.

        Raises
        ------
        ParameterError
            If there is no contrast, two have one name, or a setting is none of its choices.
        MissingDependencyError
            If nilearn is not installed.
        """
        require("nilearn", "glm", "First-level models (`glm`)")
        if not self.contrasts:
            msg = "`contrasts` must hold a contrast for `glm`, such as 'face - house'."
            raise ParameterError(msg)
        assert named_contrasts(self.contrasts), "bug in lazyvox: no contrast"
        self.choice.check()

    def to_dict(self) -> dict[str, Any]:
        """Return contrasts and settings, for JSON, without those that studies have elsewhere."""
        kept = self.choice.to_dict()
        settings = {name: value for name, value in kept.items() if name not in _OF_STUDY}
        return {"contrasts": list(self.contrasts), **settings}

    def files(self, run: RunFiles) -> "ModelFiles":
        """Return the names of the files of a run."""
        prefix = file_prefix(run.name)
        maps = {
            (name, label): map_file(prefix, name, label)
            for name in named_contrasts(self.contrasts)
            for label in MAPS
        }
        return ModelFiles(maps, mask_file(prefix), design_file(prefix), f"{prefix}contrasts.json")

    def output_bytes(self, grid: Grid) -> int:
        """Return about how many bytes the files of a run take: maps and mask, not compressed."""
        return grid.n_voxels * (1 + _MAP_BYTES * len(self.contrasts))


def study_model(
    is_asked: bool,  # noqa: FBT001
    contrasts: Sequence[str],
    choice: ModelChoice,
    high_pass: float | None,
) -> StudyModel | None:
    """Return the model that is asked for, None without; refuse settings of none.

    Parameters
    ----------
    is_asked : bool
        Whether there is to be a model.
    contrasts : sequence of str
        Its contrasts.
    choice : ModelChoice
        Its settings.
    high_pass : float or None
        Cutoff that the study has, in Hz.

    Returns
    -------
    StudyModel or None
        The model.

    Raises
    ------
    ParameterError
        If contrasts or settings are given, and no model is asked for.
    """
    if is_asked:
        if high_pass is not None:
            choice = replace(choice, high_pass=high_pass)
        return StudyModel(tuple(contrasts), choice)
    usual = ModelChoice()
    given = ["contrasts"] if contrasts else []
    given += [one for one in choice.to_dict() if getattr(choice, one) != getattr(usual, one)]
    if given:
        msg = f"`{given[0]}` concerns `glm`, which is not asked for."
        raise ParameterError(msg)
    return None


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Names of the files of the model of a run.

    Attributes
    ----------
    maps : dict of (str, str) to str
        Map of each contrast and label, such as "effect".
    mask, design, contrasts : str
        The voxels, the design matrix, and the weights of columns.
    """

    maps: dict[tuple[str, str], str]
    mask: str
    design: str
    contrasts: str

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.maps.values(), self.mask, self.design, self.contrasts]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedModel:
    """The model of a run before its pass.

    Attributes
    ----------
    consumer : GLM
        To be fed with the volumes that are kept.
    design : DataFrame
        The design, a row for each of them.
    weights : dict of str to ndarray
        Weights of the columns in each contrast.
    kept : ndarray of int
        Numbers of the volumes that are kept.
    unmasked : image or None
        The run whose brain the mask is computed of, in a pass before; None where there is a mask.
    """

    consumer: GLM
    design: Any
    weights: dict[str, FloatArray]
    kept: IntArray
    unmasked: Any = None

    def mask_plans(self, memory: int) -> list[Plan]:
        """Return the plan of the pass that computes the mask, if there is one."""
        if self.unmasked is None:
            return []
        with memory_budget(memory):
            return [plan(computed_mask, [self.unmasked])]

    def find_mask(self) -> None:
        """Compute the mask, if there is none: a pass over the run."""
        if self.unmasked is not None:
            self.consumer.confine(computed_mask([self.unmasked]))

    @staticmethod
    def contrast_bytes(grid: Grid) -> int:
        """Return the bytes of computing a contrast and writing its maps."""
        return 8 * _CONTRAST_VOLUMES * grid.n_voxels

    def write(self, found: GLMResult, files: ModelFiles, folder: Path) -> None:
        """Write everything into a folder.

        Parameters
        ----------
        found : GLMResult
            Result of the consumer.
        files : ModelFiles
            Their names.
        folder : Path
            The folder.
        """
        for name, weights in self.weights.items():
            maps: Any = found.compute_contrast(weights)
            for label, kind in MAPS.items():
                write_map(maps[kind], folder / files.maps[name, label])
        save_mask(found.mask_img, folder / files.mask)
        write_design(self.design, folder / files.design)
        described = describe_contrasts(
            [self.design], {name: [one] for name, one in self.weights.items()}
        )
        (folder / files.contrasts).write_text(json.dumps(described, indent=2) + "\n", "utf-8")


def prepare_model(
    model: StudyModel,
    run: RunFiles,
    series: Series,
    *,
    confounds: Confounds | None,
    kept: Any,
    mask: Any,
    t_r: float | None,
    resample: bool,
) -> PreparedModel:
    """Return the model of a run, which reads its table of events.

    Parameters
    ----------
    model : StudyModel
        The model.
    run : RunFiles
        The run.
    series : Series
        Its volumes, all of them.
    confounds : Confounds or None
        Regressors that are part of the design.
    kept : ndarray of shape (n_volumes,), bool
        Whether each volume is kept.
    mask : image, path or None
        Voxels of the maps; None for those of the brain, which are computed before the fit.
    t_r : float or None
        Seconds between volumes; None takes those of the header.
    resample : bool
        Whether a mask on another grid is resampled.

    Returns
    -------
    PreparedModel
        Consumer, design and weights.

    Raises
    ------
    ParameterError
        If there is no table of events, if it is none, or a contrast names what is no column.
    """
    if run.events is None:
        msg = (
            "a table of events must belong to the run, such as sub-01_task-faces_events.tsv beside "
            "it, above it, or in the raw dataset. There is none, or several fit equally well."
        )
        raise ParameterError(msg, hint="Pass `events_dir`, or a table of runs with paths.")
    seconds = t_r or series.grid.t_r
    if seconds is None:
        msg = "`t_r` is needed with events, and the header has none."
        raise ParameterError(msg)
    frame = None
    if confounds is not None:
        frame = [confound_frame(confounds, len(kept), run.confounds or "")]
    first_level = model.choice.model(seconds)
    (design,) = event_designs(first_level, [run.bold], [run.events], frame)
    numbers = np.flatnonzero(kept)
    if len(numbers) < len(kept):
        design = design.iloc[numbers]
    found = design_weights(named_contrasts(model.contrasts), [design])
    weights = {name: own for name, (own,) in found.items()}
    consumer = GLM(
        design,
        noise_model=model.choice.noise_model,
        mask_img=mask,
        resample=resample,
        random_state=0,
    )
    grid = series.grid
    unmasked = None
    if mask is None:
        from lazyvox.lazyimage.classes import image_like

        unmasked = image_like(grid.template, series.array, grid.affine)
    return PreparedModel(consumer, design, weights, numbers, unmasked)
