"""A seeded model of a resting-state run inside the MNI brain: any volume, in bounded memory."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import nibabel
import numpy as np

from lazyvox._typing import Array, BoolArray, FloatArray
from lazyvox.demo.regions import Regions, divide
from lazyvox.errors import ParameterError
from lazyvox.formats.output import plan_output
from lazyvox.formats.writer import ImageWriter
from lazyvox.geometry.affines import voxel_sizes

__all__ = ["MODEL_VERSION", "Model", "brain", "make_model", "volumes", "write_run"]

#: Part of the name of the file, so that another model never takes an old file for its own.
MODEL_VERSION = 1
T_R = 2.0
N_REGIONS = 64

_SEED = 152
_N_NETWORKS = 8
# Each region's oscillation is a sum of this many cosines, some of them shared by its network.
_N_COSINES = 14
_LOWEST_HZ, _HIGHEST_HZ = 0.004, 0.05
# Relative to the voxel's mean: what is reported for 3 mm gradient-echo runs at 3 T.
_NOISE = 0.025
_OSCILLATION = 0.008
# Correlation of a voxel's noise with that of the volume before.
_AR1 = 0.4
_BLOCK_VOLUMES = 8


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Model that every volume of the run is computed from.

    Attributes
    ----------
    mask : ndarray of bool, of shape (i, j, k)
        The brain.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    regions : Regions
        The parcels that share a signal.
    mean : ndarray of float32, one value for each brain voxel in Fortran order
        Mean over time without noise.
    n_volumes : int
        Length of the run.
    seed : int
        Seed of noise and signals.
    """

    mask: BoolArray
    affine: FloatArray
    regions: Regions
    mean: FloatArray
    n_volumes: int
    seed: int


def brain(*, step: int = 1) -> tuple[BoolArray, FloatArray]:
    """Return the MNI brain mask and its affine: every `step`-th voxel of the 3 mm grid."""
    file = resources.files("lazyvox.demo") / "data" / "mni152_brain_mask_3mm.nii.gz"
    with resources.as_file(file) as path:
        img = nibabel.Nifti1Image.from_filename(path)
        mask = np.asarray(img.dataobj)[::step, ::step, ::step] > 0
    affine = np.array(img.affine, dtype=np.float64)
    affine[:3, :3] *= step
    return mask, affine


def make_model(*, n_volumes: int, step: int = 1, seed: int = _SEED) -> Model:
    """Return the model of a run.

    Parameters
    ----------
    n_volumes : int
        Number of volumes, at least 2.
    step : int
        Coarseness of the grid: 1 for 3 mm, 3 for 9 mm.
    seed : int
        Another seed is another brain's run.

    Returns
    -------
    Model
        The model; the first volumes do not depend on how many there are.

    Raises
    ------
    ParameterError
        If there are too few volumes.

    Notes
    -----
    Memory: some ten volumes while it is made, one of them kept.

    Examples
    --------
    >>> model = make_model(n_volumes=20, step=3)
    >>> model.mask.shape, len(model.regions.names)
    ((21, 25, 21), 64)
    """
    if n_volumes < 2:
        msg = f"a demo run must have at least 2 volumes. Got {n_volumes}."
        raise ParameterError(msg)
    mask, affine = brain(step=step)
    regions = divide(mask, affine, n_regions=N_REGIONS)
    mean = _tissue(mask, affine, np.random.default_rng([seed, 1]))
    return Model(mask, affine, regions, mean.T[mask.T], n_volumes, seed)


def signals(model: Model) -> FloatArray:
    """Return the oscillation of every region: float32, (n_volumes, n_regions), unit variance."""
    rng = np.random.default_rng([model.seed, 2])
    n_regions = len(model.regions.names)
    shared = _cosines(rng, (_N_NETWORKS, _N_COSINES // 2))
    own = _cosines(rng, (n_regions, _N_COSINES // 2))
    network = rng.integers(_N_NETWORKS, size=n_regions)
    weight = rng.uniform(0.3, 0.8, size=n_regions)
    seconds = np.arange(model.n_volumes) * T_R
    together = _evaluate(shared, seconds)[:, network]
    mixed = np.sqrt(weight) * together + np.sqrt(1 - weight) * _evaluate(own, seconds)
    return np.asarray(mixed, dtype=np.float32)


def volumes(model: Model, block_volumes: int = _BLOCK_VOLUMES) -> Iterator[Array]:
    """Yield the run in blocks; the values do not depend on the size of the blocks.

    Parameters
    ----------
    model : Model
        The model.
    block_volumes : int
        Most volumes in one block.

    Yields
    ------
    ndarray of float32, of shape (i, j, k, n)
        The next volumes, Fortran-contiguous. Valid until the next block is asked for.

    Notes
    -----
    Memory: one block, and a few values for each brain voxel.
    """
    inside = np.flatnonzero(model.mask.ravel(order="F"))
    columns = model.regions.labels.ravel(order="F")[inside].astype(np.intp) - 1
    oscillations = signals(model) * np.float32(_OSCILLATION)
    block = np.zeros((block_volumes, model.mask.size), dtype=np.float32)
    noise = _noise(np.random.default_rng([model.seed, 3]), inside.size)
    for start in range(0, model.n_volumes, block_volumes):
        n = min(block_volumes, model.n_volumes - start)
        for row, oscillation in zip(block[:n], oscillations[start : start + n], strict=True):
            values = next(noise) + oscillation[columns]
            values += 1
            values *= model.mean
            row[inside] = values
        yield block[:n].T.reshape((*model.mask.shape, n), order="F")


def write_run(model: Model, path: str, *, n_threads: int = 2) -> Generator[int, None, None]:
    """Write the run to a file, complete or not at all; yield how many volumes are written.

    Parameters
    ----------
    model : Model
        The model.
    path : str
        A name that ends in ``.nii.gz``, or as `lazyvox.formats.output.plan_output` allows.
    n_threads : int
        Threads that compress.

    Yields
    ------
    int
        Volumes written so far, after each block. The file is there when the iteration ends.

    Notes
    -----
    Memory: one block of volumes, and what the writer holds.
    """
    make_header: Any = nibabel.Nifti1Header
    header = make_header()
    header.set_data_shape((*model.mask.shape, model.n_volumes))
    header.set_zooms((*voxel_sizes(model.affine), T_R))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(model.affine, code="mni")
    header.set_qform(model.affine, code="mni")
    output = plan_output(
        path,
        header=header,
        affine=model.affine,
        shape=(*model.mask.shape, model.n_volumes),
        dtype=np.float32,
    )
    n_done = 0
    with ImageWriter(output, compresslevel=1, n_threads=n_threads) as writer:
        for block in volumes(model):
            writer.write(block)
            n_done += block.shape[-1]
            yield n_done
        writer.commit()


def _noise(rng: np.random.Generator, n_voxels: int) -> Iterator[FloatArray]:
    """Yield the noise of one volume after the other: stationary, of order 1 in time."""
    state = rng.standard_normal(n_voxels, dtype=np.float32)
    innovation = np.empty_like(state)
    while True:
        yield state * np.float32(_NOISE)
        rng.standard_normal(out=innovation, dtype=np.float32)
        innovation *= np.float32(np.sqrt(1 - _AR1**2))
        state *= np.float32(_AR1)
        state += innovation


def _cosines(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return amplitudes, frequencies and phases; slow parts are the stronger ones."""
    hertz = rng.uniform(_LOWEST_HZ, _HIGHEST_HZ, size=shape)
    amplitude = 1 / np.sqrt(hertz)
    amplitude *= np.sqrt(2 / (amplitude**2).sum(axis=1, keepdims=True))
    return amplitude, hertz, rng.uniform(0, 2 * np.pi, size=shape)


def _evaluate(
    cosines: tuple[FloatArray, FloatArray, FloatArray], seconds: FloatArray
) -> FloatArray:
    """Return the sums of cosines as (times, sums)."""
    amplitude, hertz, phase = cosines
    total = np.zeros((seconds.size, len(amplitude)))
    for part in range(amplitude.shape[1]):
        angle = 2 * np.pi * np.outer(seconds, hertz[:, part]) + phase[:, part]
        total += amplitude[:, part] * np.cos(angle)
    return total


def _tissue(mask: BoolArray, affine: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a mean image: bright fluid, a folded cortex and deep nuclei around white matter."""
    zoom = voxel_sizes(affine)[0]
    noise = rng.standard_normal(mask.shape)
    # The left hemisphere folds as the right one does.
    fold = _smooth(noise + noise[::-1], 8.5 / zoom)
    fold = fold / fold.std()
    depth = _smooth(mask, 18.0 / zoom)
    thalamus = _solid(mask, affine, (11, -18, 8), (9, 13, 8))
    nuclei = np.maximum(thalamus, _solid(mask, affine, (23, 4, 4), (7, 17, 10)))
    white = _step(16 * (depth - 0.8 + 0.1 * fold)) * (1 - 0.75 * nuclei)
    sulci = 0.75 * np.exp(-((fold / 0.33) ** 2)) * np.clip((0.97 - depth) / 0.2, 0, 1)
    fluid = np.maximum(sulci, _solid(mask, affine, (8, -12, 20), (6, 30, 8)))
    uneven = _smooth(rng.standard_normal(mask.shape), 60.0 / zoom)
    uneven = uneven / np.abs(uneven).max()
    rim = np.clip(1.5 * _smooth(mask, 7.0 / zoom) - 0.35, 0.3, 1)
    tissue = rim * (820 - 260 * white + 250 * fluid) * (1 + 0.1 * uneven)
    return np.asarray(tissue, dtype=np.float32)


def _solid(
    mask: BoolArray, affine: FloatArray, centre: tuple[int, ...], radii: tuple[int, ...]
) -> FloatArray:
    """Return 1 within an ellipsoid in mm and within its mirror image, with soft edges."""
    voxels = np.indices(mask.shape, dtype=np.float32)
    place = np.tensordot(affine[:3, :3], voxels, axes=1) + affine[:3, 3, None, None, None]
    place[0] = np.abs(place[0])
    apart = place - np.array(centre)[:, None, None, None]
    return _step(5 * (1 - ((apart / np.array(radii)[:, None, None, None]) ** 2).sum(axis=0)))


def _step(values: FloatArray) -> FloatArray:
    """Return a smooth step from 0 to 1 at 0."""
    return np.asarray((1 + np.tanh(values / 2)) / 2)


def _smooth(values: Array, fwhm: float) -> FloatArray:
    """Return an array smoothed by a Gaussian, its width in voxels; zero outside."""
    smoothed: FloatArray = np.array(values, dtype=np.float64)
    sigma = max(fwhm, 0.1) / np.sqrt(8 * np.log(2))
    for axis, length in enumerate(smoothed.shape):
        apart = np.subtract.outer(np.arange(length), np.arange(length))
        weights = np.exp(-0.5 * (apart / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        smoothed = np.moveaxis(np.tensordot(weights, smoothed, axes=(1, axis)), 0, axis)
    return smoothed
