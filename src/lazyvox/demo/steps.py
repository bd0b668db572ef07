"""Steps of the demo: files, commands, and results."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.demo.model import MODEL_VERSION, Model
from lazyvox.demo.regions import Regions
from lazyvox.errors import ImageFileError, ParameterError
from lazyvox.lazyimage.series import Grid, as_series

__all__ = [
    "Setting",
    "extract_command",
    "generated_name",
    "is_complete",
    "limited_masks",
    "mean_command",
    "program",
    "read_series",
    "settle",
    "short_path",
    "shown_text",
    "whole_array_command",
]

_WIDTH = 92
# What the voxels of all masks together may take as a result.
_MOST_MASK_BYTES = 48 << 20
_OWN_OUTPUTS = ("mean.nii.gz", "series.npz", "asarray.npy", "get_fdata.npy", "demo.png")


@dataclass(frozen=True, slots=True)
class Setting:
    """Folder, input and options of a demo.

    Attributes
    ----------
    run : Path
        The run, absolute.
    folder : Path
        The folder of its results, absolute; commands run there.
    grid : Grid
        Grid of the run.
    stored_bytes : int
        Size of the decoded values as they are stored.
    whole_bytes : mapping of str to int
        Memory that each way of loading the whole array needs: ``asarray`` and ``get_fdata``.
    """

    run: Path
    folder: Path
    grid: Grid
    stored_bytes: int
    whole_bytes: Mapping[str, int]

    @property
    def run_name(self) -> str:
        """The run as a command in the folder names it."""
        return short_path(self.run, self.folder)


def settle(run: Path, output: Path) -> Setting:
    """Check a run and make the folder of its results, without results of an earlier demo.

    Parameters
    ----------
    run : Path
        A 4D image.
    output : Path
        Folder in which the results get a folder of their own.

    Returns
    -------
    Setting
        Where to work.

    Raises
    ------
    ImageFileError
        If the run cannot be opened.
    ParameterError
        If it is no series of volumes of numbers.
    """
    series = as_series(str(run))
    grid, dtype = series.grid, series.array.ondisk_dtype
    if grid.n_volumes < 2:
        msg = (
            f"{run}: a demo needs a series of at least 2 volumes. Got shape "
            f"{(*grid.shape, grid.n_volumes)}. Pass a 4D image."
        )
        raise ParameterError(msg)
    if grid.dtype.kind not in "biuf":
        msg = f"{run}: a demo needs real numbers. Got voxels of type {dtype}."
        raise ParameterError(msg)
    folder = (output / f"{_stem(run)}_demo").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    earlier = [folder / name for name in _OWN_OUTPUTS]
    for path in (*earlier, *folder.glob("region-*.nii.gz")):
        path.unlink(missing_ok=True)
    stored = series.array.size * dtype.itemsize
    whole_bytes = {
        # nibabel scales into an array of its own.
        "asarray": stored + (8 * series.array.size if grid.dtype != dtype else 0),
        "get_fdata": stored + 8 * series.array.size,
    }
    return Setting(run.absolute(), folder, grid, stored, whole_bytes)


def generated_name(n_volumes: int, size: str) -> str:
    """Return the file name of the generated run of one model, length and grid."""
    grid = "" if size == "full" else f"-{size}"
    return f"run-v{MODEL_VERSION}{grid}-{n_volumes}volumes.nii.gz"


def is_complete(path: Path, model: Model) -> bool:
    """Return whether a file is the run of the model; the writer leaves no half file."""
    try:
        grid = as_series(str(path)).grid
    except ImageFileError:
        return False
    return grid.shape == model.mask.shape and grid.n_volumes == model.n_volumes


def limited_masks(regions: Regions, shown: Sequence[int], grid: Grid) -> dict[str, BoolArray]:
    """Return the masks of the shown regions by name; of very large ones the core.

    Parameters
    ----------
    regions : Regions
        The regions.
    shown : sequence of int
        Labels.
    grid : Grid
        Grid of the run. Long runs of large regions give long results: the voxels that are
        farthest from the region's centre are left out first.

    Returns
    -------
    dict of str to ndarray of bool
        Mask of each region.
    """
    row_bytes = grid.n_volumes * max(grid.dtype.itemsize, 8) * len(shown)
    most = max(1, _MOST_MASK_BYTES // row_bytes)
    masks: dict[str, BoolArray] = {}
    for label in shown:
        voxels = np.argwhere(regions.labels == label)
        far = np.linalg.norm(voxels - voxels.mean(axis=0), axis=1)
        mask = np.zeros(grid.shape, dtype=bool)
        mask[tuple(voxels[np.argsort(far, kind="stable")[:most]].T)] = True
        masks[regions.names[label - 1]] = mask
    return masks


def mean_command(setting: Setting) -> list[str]:
    """Return the command that writes the mean image."""
    return ["lazyvox", "mean", setting.run_name, "-o", "mean.nii.gz"]


def extract_command(setting: Setting, masks: Sequence[str]) -> list[str]:
    """Return the command that extracts masks and atlas in one pass."""
    named = [word for mask in masks for word in ("--mask", f"{mask}.nii.gz")]
    atlas = ["--labels", "atlas.nii.gz", "--lut", "atlas.tsv"]
    return ["lazyvox", "extract", setting.run_name, *named, *atlas, "-o", "series.npz"]


def whole_array_command(way: str, setting: Setting, masks: Sequence[str]) -> list[str]:
    """Return the command that loads everything, and put its program into the folder."""
    source = resources.files("lazyvox.demo") / "whole_array.py"
    with resources.as_file(source) as path:
        shutil.copyfile(path, setting.folder / "whole_array.py")
    files = [f"{mask}.nii.gz" for mask in masks]
    return ["python", "whole_array.py", way, setting.run_name, *files, f"{way}.npy"]


def program(command: Sequence[str]) -> list[str]:
    """Return a command with its program as it can be run here, on any search path."""
    first = {"lazyvox": [sys.executable, "-P", "-m", "lazyvox"], "python": [sys.executable]}
    return [*first[command[0]], *command[1:]]


def shown_text(command: Sequence[str]) -> str:
    """Return a command as a user types it, long ones on several lines.

    Examples
    --------
    >>> print(shown_text(["lazyvox", "mean", "run.nii.gz", "-o", "mean.nii.gz"]))
    $ lazyvox mean run.nii.gz -o mean.nii.gz
    """
    lines = ["$"]
    pieces = [shlex.quote(word) for word in command]
    index = 0
    while index < len(pieces):
        # An option stays on one line with its value.
        width = 2 if pieces[index].startswith("-") else 1
        piece = " ".join(pieces[index : index + width])
        if len(lines[-1]) + len(piece) + 3 > _WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {piece}"
        index += width
    return "\n".join(lines)


def read_series(folder: Path, masks: Sequence[str]) -> tuple[FloatArray, int]:
    """Return the mean of each mask over time, (n_volumes, n_masks), and how many parcels there are.

    Parameters
    ----------
    folder : Path
        Folder with ``series.npz``.
    masks : sequence of str
        Names of the masks.

    Returns
    -------
    series : ndarray of float64
        A column for each mask.
    n_parcels : int
        Columns of the atlas.
    """
    with np.load(folder / "series.npz") as stored:
        columns: list[Array] = [stored[mask].mean(axis=1, dtype=np.float64) for mask in masks]
        return np.stack(columns, axis=1), stored["atlas"].shape[1]


def short_path(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder, or from the root where that is shorter.

    Examples
    --------
    >>> short_path(Path("/data/run.nii"), Path("/data/out"))
    '../run.nii'
    >>> short_path(Path("/data/run.nii"), Path("/home/me/work/out"))
    '/data/run.nii'
    """
    return min(os.path.relpath(path, folder), str(path.absolute()), key=len)


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".gz", ".bz2", ".zst", ".nii", ".img", ".hdr", ".mgh", ".mgz"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name
