"""The reference work: a run of the size of a six-subject resting-state file, masks, a parcellation.

61 x 73 x 61 x 840 float32 at 3 mm, noise inside the MNI brain mask and zero outside: 870 MiB
decoded. Size and compressibility are those of real preprocessed data, the values are not.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from lazyvox.demo.model import brain
from lazyvox.formats.output import plan_output
from lazyvox.formats.writer import ImageWriter

__all__ = [
    "Reference",
    "ellipsoid",
    "make_reference",
    "options_of",
    "parser_of",
    "reference_of",
    "run_writer",
]

N_VOLUMES = 840
#: What `--quick` takes: enough to see that all works, too little to judge by.
N_VOLUMES_QUICK = 120
N_REGIONS = 64
N_MASKS = 6
N_SEEDS = 264


@dataclass(frozen=True)
class Reference:
    """Paths of the files of the reference work."""

    folder: Path
    n_volumes: int = N_VOLUMES

    @property
    def run(self) -> str:
        """The compressed float32 run."""
        return str(self.folder / "run.nii.gz")

    @property
    def plain(self) -> str:
        """The same run, uncompressed."""
        return str(self.folder / "run.nii")

    @property
    def scaled(self) -> str:
        """The same run as scaled int16, compressed."""
        return str(self.folder / "run_int16.nii.gz")

    @property
    def long(self) -> str:
        """A run of ten times as many volumes, compressed."""
        return str(self.folder / "run_long.nii.gz")

    @property
    def labels(self) -> str:
        """A parcellation of the brain into 64 regions."""
        return str(self.folder / "labels.nii.gz")

    @property
    def brain(self) -> str:
        """The mask of the whole brain."""
        return str(self.folder / "brain.nii.gz")

    @property
    def maps(self) -> str:
        """64 smooth maps, one around each region, overlapping."""
        return str(self.folder / "maps.nii.gz")

    @property
    def seeds(self) -> str:
        """A table of 264 coordinates in mm, no two closer than 10 mm."""
        return str(self.folder / "seeds.tsv")

    @property
    def template(self) -> str:
        """A 3D image of the brain at 2 mm, as a target of resampling."""
        return str(self.folder / "template_2mm.nii.gz")

    @property
    def masks(self) -> list[str]:
        """Six of its regions as masks."""
        return [str(self.folder / f"mask{number}.nii.gz") for number in range(1, N_MASKS + 1)]


def parser_of(description: str, *, n_runs: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all programs have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = Path(tempfile.gettempdir()) / "lazyvox-bench"
    parser.add_argument(
        "--folder", type=Path, default=folder, help="folder in which the files are made"
    )
    parser.add_argument("--runs", type=int, default=n_runs, help="runs of each measurement")
    parser.add_argument("--quick", action="store_true", help="a short run of volumes, once")
    parser.add_argument("--figures", type=Path, help="append the figures to this file, as JSON")
    return parser


def options_of(
    parser: argparse.ArgumentParser, arguments: list[str] | None = None
) -> argparse.Namespace:
    """Return the options; with ``--quick`` one run of each measurement."""
    options = parser.parse_args(arguments)
    if options.quick:
        options.runs = 1
    return options


def reference_of(options: argparse.Namespace, *, with_long: bool = False) -> Reference:
    """Return the files that the options ask for."""
    if options.quick:
        folder = options.folder / "quick"
        return make_reference(folder, with_long=with_long, n_volumes=N_VOLUMES_QUICK)
    return make_reference(options.folder, with_long=with_long)


def make_reference(folder: Path, *, with_long: bool, n_volumes: int = N_VOLUMES) -> Reference:
    """Write the files that are missing, in bounded memory, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Reference(folder, n_volumes)
    inside, affine = brain()
    if not Path(files.labels).exists():
        _write_regions(files, inside, affine)
    if not Path(files.template).exists():
        _write_further_regions(files, inside, affine)
    wanted = [
        (files.run, np.float32, n_volumes),
        (files.plain, np.float32, n_volumes),
        (files.scaled, np.int16, n_volumes),
    ]
    if with_long:
        wanted.append((files.long, np.float32, 10 * n_volumes))
    for path, dtype, length in wanted:
        if not Path(path).exists():
            _write_run(path, inside, affine, np.dtype(dtype), length)
    return files


def ellipsoid(shape: Sequence[int], part: float) -> np.ndarray:
    """Return the voxels of an ellipsoid in the middle, its half axes a part of the lengths."""
    lengths = np.reshape(shape, (3, 1, 1, 1))
    return (((np.indices(shape) - (lengths - 1) / 2) / (lengths * part)) ** 2).sum(axis=0) <= 1


@contextmanager
def run_writer(
    path: str,
    shape: tuple[int, ...],
    affine: np.ndarray,
    dtype: np.dtype,
    *,
    level: int | None = 1,
    scale: tuple[float | None, float | None] = (None, None),
) -> Iterator[ImageWriter]:
    """Context in which the volumes of a run of 3 mm and 2 s are written; the file is there after it."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_zooms((3, 3, 3, 2))
    header.set_xyzt_units("mm", "sec")
    output = plan_output(
        path,
        header=header,
        affine=affine,
        shape=shape,
        dtype=dtype,
        slope=scale[0],
        inter=scale[1],
    )
    with ImageWriter(output, compresslevel=level, n_threads=2) as writer:
        yield writer
        writer.commit()


def _write_run(
    path: str, inside: np.ndarray, affine: np.ndarray, dtype: np.dtype, n_volumes: int
) -> None:
    rng = np.random.default_rng(0)
    scale = (0.05, 1000.0) if dtype.kind == "i" else (None, None)
    n_inside = int(inside.sum())
    volume = np.zeros(inside.shape, np.float32, order="F")
    # Level 6 is what most tools write.
    level = 6 if path.endswith(".gz") else None
    shape = (*inside.shape, n_volumes)
    with run_writer(path, shape, affine, dtype, level=level, scale=scale) as writer:
        for _ in range(n_volumes):
            volume[inside] = rng.normal(1000, 50, n_inside)
            writer.write(volume)


def _write_regions(files: Reference, inside: np.ndarray, affine: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    voxels = np.argwhere(inside)
    seeds = voxels[rng.choice(len(voxels), N_REGIONS, replace=False)]
    distances = ((voxels[:, None, :] - seeds[None, :, :]) ** 2).sum(axis=-1)
    labels = np.zeros(inside.shape, np.int16)
    labels[inside] = distances.argmin(axis=1) + 1
    for number, path in enumerate(files.masks, 1):
        nib.save(nib.Nifti1Image((labels == number).astype(np.uint8), affine), path)
    nib.save(nib.Nifti1Image(labels, affine), files.labels)


def _write_further_regions(files: Reference, inside: np.ndarray, affine: np.ndarray) -> None:
    from scipy import ndimage

    labels = np.asarray(nib.load(files.labels).dataobj)
    regions = [(labels == label).astype(np.float32) for label in range(1, N_REGIONS + 1)]
    maps = np.stack([ndimage.gaussian_filter(region, 1, truncate=2) for region in regions], -1)
    nib.save(nib.Nifti1Image(maps * inside[..., None], affine), files.maps)
    nib.save(nib.Nifti1Image(inside.astype(np.uint8), affine), files.brain)
    rng = np.random.default_rng(2)
    seeds: list[np.ndarray] = []
    for voxel in rng.permutation(np.argwhere(ndimage.binary_erosion(inside, iterations=2))):
        place = nib.affines.apply_affine(affine, voxel)
        if all(np.linalg.norm(place - seed) > 10 for seed in seeds):
            seeds.append(place)
    lines = ["\t".join(str(number) for number in seed) for seed in seeds[:N_SEEDS]]
    Path(files.seeds).write_text("\n".join(["x\ty\tz", *lines, ""]))
    fine = affine @ np.diag([2 / 3, 2 / 3, 2 / 3, 1])
    shape = tuple(int(n * 1.5) for n in inside.shape)
    nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), fine), files.template)
