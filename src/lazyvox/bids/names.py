"""Names of files, as BIDS has them, and those of results, as it has them for derivatives.

Text in, text out; only `dataset_root` looks at the disk.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from lazyvox._typing import override
from lazyvox.errors import ParameterError
from lazyvox.store.files.paths import absolute_path, printable

__all__ = [
    "ENTITIES",
    "BidsName",
    "bids_label",
    "common_name",
    "dataset_root",
    "map_name",
    "parse_name",
    "relmat_name",
    "sidecar_path",
    "source_uri",
    "timeseries_name",
]

#: The order that BIDS prescribes; "stat" is not in the standard yet, and has the place that
#: fMRIPrep's successors give it.
ENTITIES = (
    "sub", "tpl", "ses", "cohort", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc",
    "stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi",
    "space", "split", "recording", "chunk", "atlas", "seg", "scale", "res", "den", "stat",
    "label", "desc",
)  # fmt: skip
_RANK = {key: rank for rank, key in enumerate(ENTITIES)}
_ENTITY = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9+]+)")
_SUFFIX = re.compile(r"[a-zA-Z0-9]+")
#: What described the image, and no longer describes its signals.
_DROPPED = ("desc",)
_DATASET_FILE = "dataset_description.json"


@dataclass(frozen=True, slots=True)
class BidsName:
    """The parts of a BIDS file name.

    Attributes
    ----------
    entities : tuple of (str, str)
        Keys and labels, in the order of the name.
    suffix : str
        What the file holds, such as "bold".
    extension : str
        All endings, with the first full stop.
    """

    entities: tuple[tuple[str, str], ...]
    suffix: str
    extension: str

    def get(self, key: str) -> str | None:
        """Return the label of an entity, None where the name has it not."""
        return dict(self.entities).get(key)

    def with_entities(self, **labels: str | None) -> "BidsName":
        """Return the name with entities set, or taken out by None, in the order of BIDS.

        An entity that BIDS does not know stays, in front of "desc".
        """
        merged = {key: label for key, label in {**dict(self.entities), **labels}.items() if label}
        unknown = _RANK["desc"] - 0.5
        ordered = sorted(merged.items(), key=lambda one: _RANK.get(one[0], unknown))
        return replace(self, entities=tuple(ordered))

    @override
    def __str__(self) -> str:
        """Return the file name."""
        parts = [f"{key}-{label}" for key, label in self.entities]
        return "_".join([*parts, self.suffix]) + self.extension


def parse_name(path: str) -> BidsName:
    """Return the parts of a BIDS file name.

    Parameters
    ----------
    path : str
        Name of a file; folders in front are ignored.

    Returns
    -------
    BidsName
        Entities, suffix and extension.

    Raises
    ------
    ParameterError
        If the name is not of the form ``sub-01_key-label_..._suffix.extension``.

    Examples
    --------
    >>> name = parse_name("func/sub-01_task-rest_run-2_bold.nii.gz")
    >>> name.get("task"), name.suffix, name.extension
    ('rest', 'bold', '.nii.gz')
    """
    file_name = PurePosixPath(path).name
    stem, dot, endings = file_name.partition(".")
    *parts, suffix = stem.split("_")
    matches = [_ENTITY.fullmatch(part) for part in parts]
    entities = tuple((match[1], match[2]) for match in matches if match)
    keys = [key for key, _ in entities]
    reason = ""
    if len(entities) < len(parts):
        reason = f"{parts[matches.index(None)]!r} is no key-label"
    elif not keys or keys[0] not in ("sub", "tpl"):
        reason = "it does not begin with sub-"
    elif len(set(keys)) < len(keys):
        reason = "an entity is there twice"
    elif not _SUFFIX.fullmatch(suffix) or not endings:
        reason = "there is no suffix and extension, such as bold.nii.gz, at the end"
    if reason:
        msg = (
            f"{printable(file_name)}: a BIDS name must be sub-01_key-label_..._suffix.extension; "
            f"{reason}. Rename the file, or name the output yourself."
        )
        raise ParameterError(msg)
    return BidsName(entities, suffix, dot + endings)


def bids_label(text: str) -> str:
    """Return a text as a label, which has letters and digits only.

    Parameters
    ----------
    text : str
        Any name.

    Returns
    -------
    str
        The letters and digits; a letter after something else becomes a capital.

    Raises
    ------
    ParameterError
        If it has none.

    Examples
    --------
    >>> bids_label("Schaefer2018_100Parcels"), bids_label("left motor-cortex")
    ('Schaefer2018100Parcels', 'leftMotorCortex')
    """
    words: list[str] = re.findall(r"[a-zA-Z0-9]+", text)
    if not words:
        msg = f"a BIDS label must have letters (a to z) or digits. Got {text!r}. Rename it."
        raise ParameterError(msg)
    return words[0] + "".join(word[0].upper() + word[1:] for word in words[1:])


def timeseries_name(
    run: str,
    regions: str,
    *,
    key: str = "atlas",
    stat: str = "mean",
    suffix: str = "timeseries",
    extension: str = ".tsv",
) -> str:
    """Return the name of the signals of regions in a run.

    Parameters
    ----------
    run : str
        BIDS name of the run.
    regions : str
        Name of the atlas, or of a mask.
    key : str, default="atlas"
        Entity that `regions` is the label of: "atlas", "seg", or "label" for a mask.
    stat : str, default="mean"
        What became of the voxels of a region; empty for voxels themselves.
    suffix : str, default="timeseries"
        Suffix of the table.
    extension : str, default=".tsv"
        Ending of the table.

    Returns
    -------
    str
        The entities of the run, less "desc", which described the image; then those of the
        signals; and the suffix.

    Raises
    ------
    ParameterError
        If `run` is no BIDS name, or `regions` has no letter or digit.

    Notes
    -----
    BIDS keeps the entities of the source that tell files apart. "space" and "res" stay: signals
    of the same run in two spaces differ.

    Examples
    --------
    >>> timeseries_name("sub-01_task-rest_space-MNI_desc-preproc_bold.nii.gz", "AAL_2")
    'sub-01_task-rest_space-MNI_atlas-AAL2_stat-mean_timeseries.tsv'
    """
    labels = {key: bids_label(regions), "stat": bids_label(stat) if stat else None}
    name = parse_name(run).with_entities(**dict.fromkeys(_DROPPED), **labels)
    return str(replace(name, suffix=suffix, extension=extension))


def map_name(run: str, seed: str, *, stat: str) -> str:
    """Return the name of the map of a seed in a run.

    Parameters
    ----------
    run : str
        BIDS name of the run.
    seed : str
        Name of the seed.
    stat : str
        What the map holds.

    Returns
    -------
    str
        The entities of the run, less "desc"; "seed", which BIDS does not have; and the suffix
        "statmap".

    Raises
    ------
    ParameterError
        If `run` is no BIDS name, or `seed` has no letter or digit.

    Examples
    --------
    >>> map_name("sub-01_task-rest_desc-preproc_bold.nii.gz", "PCC_0_-52.5_18", stat="t")
    'sub-01_task-rest_stat-t_seed-PCC0M52P518_statmap.nii.gz'
    """
    # A label has neither sign nor point.
    plain = re.sub(r"\.(?=\d)", " p", re.sub(r"-(?=\d)", " m", seed))
    labels = {"stat": bids_label(stat), "seed": bids_label(plain)}
    name = parse_name(run).with_entities(**dict.fromkeys(_DROPPED), **labels)
    return str(replace(name, suffix="statmap", extension=".nii.gz"))


def relmat_name(signals: BidsName, stat: str, *, extension: str = ".tsv") -> str:
    """Return the name of a matrix of relations between the regions of a table.

    Parameters
    ----------
    signals : BidsName
        Name of the table of their signals.
    stat : str
        Relation, such as "pearsoncorrelation".
    extension : str, default=".tsv"
        Ending of the matrix.

    Returns
    -------
    str
        The entities of the table, with the relation in place of its statistic.

    Examples
    --------
    >>> relmat_name(parse_name("sub-01_atlas-A_stat-mean_timeseries.tsv"), "correlation")
    'sub-01_atlas-A_stat-correlation_relmat.tsv'
    """
    name = signals.with_entities(stat=bids_label(stat))
    return str(replace(name, suffix="relmat", extension=extension))


def common_name(names: Sequence[BidsName]) -> BidsName:
    """Return what several names have in common: the first, without entities that differ.

    Examples
    --------
    >>> names = [parse_name(f"sub-01_run-{run}_space-T1w_bold.nii.gz") for run in (1, 2)]
    >>> str(common_name(names))
    'sub-01_space-T1w_bold.nii.gz'
    """
    first = names[0]
    differing = {
        key: None
        for key, label in first.entities
        if any(other.get(key) != label for other in names[1:])
    }
    return first.with_entities(**differing)


def sidecar_path(path: str) -> str:
    """Return the path of the JSON file that describes a file.

    Examples
    --------
    >>> sidecar_path("out.v1/sub-01_timeseries.nii.gz")
    'out.v1/sub-01_timeseries.json'
    """
    folder, name = os.path.split(path)
    stem = name.partition(".")[0] if name[:1] != "." else name
    return str(PurePosixPath(folder) / f"{stem}.json") if folder else f"{stem}.json"


def dataset_root(path: str) -> str | None:
    """Return the nearest folder above a file that is a BIDS dataset, None where there is none."""
    for folder in Path(absolute_path(path)).parents:
        if (folder / _DATASET_FILE).is_file():
            return str(folder)
    return None


def source_uri(path: str, sidecar: str, *, own_root: str | None, root: str | None) -> str:
    """Return how the JSON file of a result names a file that it was made from.

    Parameters
    ----------
    path : str
        The source.
    sidecar : str
        The JSON file.
    own_root : str or None
        Dataset that the JSON file is in: `dataset_root` of it.
    root : str or None
        Dataset that the source is in.

    Returns
    -------
    str
        A BIDS URI where both are in one dataset; else the path relative to the JSON file's
        folder. A URI with the name of another dataset would need an entry in "DatasetLinks".

    Examples
    --------
    >>> source_uri("/d/sub-01/func/run.nii", "/d/derivatives/x.json", own_root="/d", root="/d")
    'bids::sub-01/func/run.nii'
    >>> source_uri("/raw/sub-01/run.nii", "/out/sub-01/x.json", own_root=None, root="/raw")
    '../../raw/sub-01/run.nii'
    """
    full = absolute_path(path)
    if own_root is not None and own_root == root:
        return f"bids::{Path(full).relative_to(own_root).as_posix()}"
    folder = str(Path(absolute_path(sidecar)).parent)
    return Path(os.path.relpath(full, folder)).as_posix()
