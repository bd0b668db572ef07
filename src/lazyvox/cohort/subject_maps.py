"""Maps of fixed effects over the runs of one participant, and the files that they are made of."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from lazyvox._typing import BoolArray, FloatArray
from lazyvox._version import __version__
from lazyvox.bids.names import sidecar_path
from lazyvox.bids.sidecars import generated_by, write_sidecar
from lazyvox.cohort.finished import FinishedOutputs
from lazyvox.cohort.output_sets import EFFECT, OutputSet
from lazyvox.cohort.staging import staged
from lazyvox.errors import ParameterError
from lazyvox.glm.design import Design
from lazyvox.glm.design_files import read_design
from lazyvox.glm.fixed_effects import fixed_effects
from lazyvox.glm.map_files import MAPS, design_of_map, mask_of_map, save_mask, write_map
from lazyvox.lazyimage.opened_image import OpenedImage, opened_image
from lazyvox.runtime.budget import memory_budget

__all__ = ["IMPORTS", "SubjectTask", "files_of_run", "make_maps"]

#: Float64 volumes that exist at most: a run, sums over runs, statistics, and a map that is written.
_VOLUMES = 20

#: Modules that are imported while maps are made.
IMPORTS = ("nilearn.glm.contrasts",)

#: Tables, and buffers for writing.
_FIXED_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class SubjectTask:
    """Maps of a contrast of the runs of a participant, to be put together.

    Attributes
    ----------
    found : OutputSet
        The maps of effects, of one participant.
    out : str
        Folder of the dataset.
    precision_weighted : bool
        Whether runs are weighted by the inverse of their variance.
    """

    found: OutputSet
    out: str
    precision_weighted: bool

    @property
    def sources(self) -> tuple[str, ...]:
        """The maps, relative to the dataset."""
        return self.found.members[0][1]

    @property
    def label(self) -> str:
        """The name of the result without its statistic."""
        return self.found.name.removesuffix(EFFECT)

    @property
    def maps(self) -> dict[str, str]:
        """The maps to write, by label, relative to the dataset."""
        parts = [part for part in self.label.split("_") if part.startswith(("sub-", "ses-"))]
        folder = PurePosixPath(*parts, "func")
        return {label: str(folder / f"{self.label}_stat-{label}_statmap.nii.gz") for label in MAPS}

    @property
    def described(self) -> str:
        """The name that all maps share, to which the JSON file belongs by inheritance."""
        return self.maps["effect"].replace("_stat-effect_", "_")

    @property
    def files(self) -> list[str]:
        """All files to write, relative to the dataset."""
        mask = mask_of_map(self.maps["effect"])
        sidecars = [sidecar_path(self.described), sidecar_path(mask)]
        return [*self.maps.values(), mask, *sidecars]

    @property
    def mark(self) -> str:
        """Fingerprint of the maps that are read, and of parameters."""
        made_of = [__version__, self.precision_weighted, self.sources, self.found.marks]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()

    def peak_bytes(self) -> int:
        """Return the predicted peak of memory; reads a header."""
        shape = opened_image(str(Path(self.out) / self.sources[0])).array.shape
        return _FIXED_BYTES + 8 * _VOLUMES * int(np.prod(shape, dtype=np.int64))

    def check(self) -> None:
        """Refuse runs that cannot be put together; reads a header.

        Raises
        ------
        ParameterError
            If they were made with different parameters, files of theirs are gone, or one has the
            name of the result.
        ImageFileError
            If the first map is none.
        """
        self.found.check_alike()
        if self.maps["effect"] in self.sources:
            msg = (
                f"{self.found.name}: each of several runs must have its own label, such as run-1. "
                f"Got one whose maps have the name of the result over all."
            )
            raise ParameterError(msg)
        self.peak_bytes()


def make_maps(task: SubjectTask, share: int) -> None:
    """Write the maps of fixed effects of a participant, all or none, within a share of the budget.

    Parameters
    ----------
    task : SubjectTask
        What to put together.
    share : int
        Bytes of memory.
    """
    root = Path(task.out)
    template = opened_image(str(root / task.sources[0]))
    with memory_budget(share):
        mask = _common_mask(root, task.sources, template)
        free: list[int] = []
        found = fixed_effects(
            _runs(root, task.sources, mask, free), precision_weighted=task.precision_weighted
        )
        with staged(root, task.label, task.files) as stage:
            for label, path in task.maps.items():
                volume = np.zeros(mask.shape, order="F")
                volume[mask] = found.pop(label)
                write_map(template.image_of(volume), stage / path)
            _write_mask(task, template.image_of(mask.astype(np.uint8)), stage)
            write_sidecar(str(stage / task.described), _record(task, sum(free)), overwrite=False)
    FinishedOutputs(root).keep(task.label, task.mark, task.files)


def _common_mask(root: Path, sources: Sequence[str], template: OpenedImage) -> BoolArray:
    """Return the voxels that the masks of all runs have."""
    common = np.ones(template.array.shape, bool)
    for path in sources:
        mask = opened_image(str(root / mask_of_map(path)))
        hint = "Fixed effects need one grid, as that of a standard space: choose it with `space`."
        mask.voxel_grid().require(template.voxel_grid(), hint)
        common &= np.asarray(mask.dataobj) != 0
    if not common.any():
        msg = (
            f"the masks of runs must have voxels in common. Got {len(sources)} masks that have none, "
            f"the first {mask_of_map(sources[0])}."
        )
        raise ParameterError(msg)
    return common


def _runs(
    root: Path, sources: Sequence[str], mask: BoolArray, free: list[int]
) -> Iterator[tuple[FloatArray, FloatArray, int]]:
    """Yield effect, variance and degrees of freedom of each run, and list the last."""
    for path in sources:
        free.append(Design.of(read_design(str(root / design_of_map(path))).values).n_free)
        effects, variances = (_values(root / one, mask) for one in (path, _variance_of(path)))
        yield effects, variances, free[-1]


def files_of_run(path: str) -> list[str]:
    """Return the files that are read with a map of effects: variance, mask and design.

    Parameters
    ----------
    path : str
        The map.

    Returns
    -------
    list of str
        Their paths.

    Examples
    --------
    >>> files_of_run("sub-01_contrast-a_stat-effect_statmap.nii.gz")[1:]
    ['sub-01_mask.nii.gz', 'sub-01_design.tsv']
    """
    return [_variance_of(path), mask_of_map(path), design_of_map(path)]


def _variance_of(path: str) -> str:
    return path.replace("_stat-effect_", "_stat-variance_")


def _values(path: Path, mask: BoolArray) -> FloatArray:
    dataobj = opened_image(str(path)).dataobj
    values: FloatArray = np.asarray(dataobj)[mask].astype(np.float64)
    return values


def _write_mask(task: SubjectTask, img: Any, stage: Path) -> None:
    path = mask_of_map(task.maps["effect"])
    save_mask(img, stage / path)
    masks = [mask_of_map(one) for one in task.sources]
    try:
        text = (Path(task.out) / sidecar_path(masks[0])).read_text("utf-8")
        first = json.loads(text)
    except (OSError, ValueError):
        first = {}
    sources = [f"bids::{one}" for one in masks]
    record = {
        "Description": "Voxels that the masks of all runs have.",
        "Type": first.get("Type", "Brain"),
        "SpatialReference": sources[0],
        "Sources": sources,
        "GeneratedBy": generated_by(),
    }
    write_sidecar(str(stage / path), record, overwrite=False)


def _record(task: SubjectTask, n_free: int) -> dict[str, Any]:
    weighted = "weighted by the inverse of their variance"
    return {
        "Description": f"Fixed effects over runs, {weighted if task.precision_weighted else 'each of one weight'}.",
        "NumberOfRuns": len(task.sources),
        "MissingRuns": list(task.found.missing),
        "DegreesOfFreedom": n_free,
        "Parameters": {"precision_weighted": task.precision_weighted},
        "Sources": [f"bids::{one}" for one in task.sources],
        "GeneratedBy": generated_by(),
    }
