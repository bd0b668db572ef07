"""Files of a first-level model: maps of contrasts, design matrix, weights of contrasts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, PathLike
from lazyvox.bids.names import BidsName
from lazyvox.glm.contrasts import contrast_label

__all__ = [
    "MAPS",
    "MAP_DTYPE",
    "MASK_DTYPE",
    "describe_contrasts",
    "design_file",
    "design_of_map",
    "file_prefix",
    "map_file",
    "mask_file",
    "mask_of_map",
    "save_mask",
    "write_design",
    "write_image",
    "write_map",
]

#: Maps of a contrast: the label in their names, and what nilearn calls them.
MAPS = {
    "effect": "effect_size",
    "variance": "effect_variance",
    "t": "stat",
    "z": "z_score",
}

MAP_DTYPE, MASK_DTYPE = "float32", "uint8"


def file_prefix(name: BidsName) -> str:
    """Return the beginning of the names of files: the entities of a run that still tell it apart.

    Examples
    --------
    >>> from lazyvox.bids.names import parse_name
    >>> file_prefix(parse_name("sub-01_task-a_space-MNI_desc-preproc_bold.nii.gz"))
    'sub-01_task-a_space-MNI_'
    """
    kept = name.with_entities(desc=None, part=None, echo=None)
    return "".join(f"{key}-{label}_" for key, label in kept.entities)


def map_file(prefix: str, contrast: str, label: str) -> str:
    """Return the name of a map of a contrast.

    Examples
    --------
    >>> map_file("sub-01_", "face - house", "t")
    'sub-01_contrast-faceMinusHouse_stat-t_statmap.nii.gz'
    """
    return f"{prefix}contrast-{contrast_label(contrast)}_stat-{label}_statmap.nii.gz"


def mask_file(prefix: str) -> str:
    """Return the name of the mask of the voxels of maps."""
    return f"{prefix}mask.nii.gz"


def mask_of_map(path: str) -> str:
    """Return the path of the mask that belongs to a map.

    Examples
    --------
    >>> mask_of_map("func/sub-01_contrast-face_stat-t_statmap.nii.gz")
    'func/sub-01_mask.nii.gz'
    """
    return mask_file(_prefix_of_map(path))


def design_file(prefix: str) -> str:
    """Return the name of the design matrix."""
    return f"{prefix}design.tsv"


def design_of_map(path: str) -> str:
    """Return the path of the design matrix that belongs to a map.

    Examples
    --------
    >>> design_of_map("func/sub-01_contrast-face_stat-t_statmap.nii.gz")
    'func/sub-01_design.tsv'
    """
    return design_file(_prefix_of_map(path))


def _prefix_of_map(path: str) -> str:
    return path[: path.rindex("contrast-")]


def write_map(img: Any, path: Path) -> None:
    """Write a map."""
    write_image(img, path, MAP_DTYPE)


def save_mask(img: Any, path: Path) -> None:
    """Write the mask of the voxels."""
    write_image(img, path, MASK_DTYPE)


def write_image(img: Any, path: PathLike, dtype: str) -> None:
    """Write an image of a result in a type, by one thread."""
    # A process that writes no image has no need of nibabel.
    from lazyvox.lazyimage.save import save

    save(img, path, dtype=dtype, n_jobs=1)


def write_design(design: Any, path: Path) -> None:
    """Write a design matrix as text: names in the first line, a row for each volume."""
    design.to_csv(path, sep="\t", index=False)


def describe_contrasts(
    designs: Sequence[Any], weights: Mapping[str, Sequence[FloatArray]]
) -> dict[str, list[dict[str, float]]]:
    """Return the weights of columns in each contrast, for JSON: those of each run that are not 0.

    Parameters
    ----------
    designs : sequence of DataFrame
        Design of each run.
    weights : mapping of str to sequence of ndarray
        Weights of each contrast in each run.

    Returns
    -------
    dict
        For each contrast a dict of weights by column, for each run.
    """
    return {
        contrast: [
            {
                str(column): weight
                for column, weight in zip(design.columns, np.asarray(one).tolist(), strict=True)
                if weight
            }
            for design, one in zip(designs, each, strict=True)
        ]
        for contrast, each in weights.items()
    }
