"""From the name of an output to everything that must be known before it is written."""

import numpy as np
import numpy.typing as npt
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2PairHeader

from lazyvox._typing import Array, DType, Shape
from lazyvox.errors import ParameterError
from lazyvox.formats.header_out import (
    FORMAT_NAMES,
    Header,
    HeaderClass,
    best_affine,
    choose_class,
    header_bytes,
    make_header,
    stored_scaling,
    supported_dtypes,
)
from lazyvox.formats.output_spec import OutputSpec, files_of
from lazyvox.formats.zarr_names import ZARR_ENDING
from lazyvox.store.files.paths import printable

__all__ = ["plan_output"]

_MOST_AXES = 7


def plan_output(
    path: str,
    *,
    header: Header,
    affine: npt.ArrayLike | None,
    shape: Shape,
    dtype: npt.DTypeLike,
    slope: float | None = None,
    inter: float | None = None,
) -> OutputSpec:
    """Decide format, compression and header of an output; writes nothing.

    Parameters
    ----------
    path : str
        ``.nii``, ``.hdr`` or ``.img`` (a pair, by either name), ``.mgh``, each also with ``.gz``,
        ``.bz2`` or ``.zst``, or ``.mgz``, or ``.zarr`` (a folder); in any case.
    header : nibabel header, optional
        Where fields come from: all that the format can hold are kept, extensions included.
    affine : array-like of shape (4, 4), optional
        Voxel indices to mm. Where it differs from the header's, the sform is set with code 2 and
        the qform with code 0, as nibabel does.
    shape : tuple of int
        Shape of the values.
    dtype : dtype-like
        Stored type. Booleans are stored as uint8; the byte order is the header's.
    slope, inter : float, optional
        Scaling to store; none by default.

    Returns
    -------
    OutputSpec
        What `ImageWriter` needs.

    Raises
    ------
    ParameterError
        If the ending is unknown, or the format cannot hold the type, shape, affine or scaling.

    Notes
    -----
    Memory: O(size of the header). NIfTI-2 is written where the header is NIfTI-2 or an axis is
    longer than 32767. A pair stays Analyze where its header is and holds everything; else it
    becomes NIfTI-1.

    Examples
    --------
    >>> output = plan_output("mean.nii.gz", header=None, affine=np.eye(4), shape=(4, 5, 6),
    ...                      dtype="f4")
    >>> output.description
    'NIfTI-1, gzip, float32, 4 x 5 x 6'
    """
    ending, files = files_of(path)
    grid = _check_shape(path, shape)
    scaling = (1.0 if slope is None else float(slope), 0.0 if inter is None else float(inter))
    kind = choose_class(header, grid, ending=ending)
    matrix = _check_affine(path, affine, kind)
    stored = np.dtype("u1") if np.dtype(dtype) == np.bool_ else np.dtype(dtype)
    if kind not in FORMAT_NAMES and not _analyze_holds(
        kind, header, matrix, grid, stored, scaling
    ):
        is_long = max(grid) > np.iinfo(np.int16).max
        kind = Nifti2PairHeader if is_long else Nifti1PairHeader
    _check_dtype(path, kind, stored)
    _check_axes(path, kind, grid)
    if ending == ZARR_ENDING:
        _check_zarr(path, grid, stored)
    made = make_header(kind, header, matrix, grid, stored)
    if stored.kind == "V" and scaling != (1.0, 0.0):
        msg = f"Colours must not be scaled. Got slope {scaling[0]} and inter {scaling[1]}."
        raise ParameterError(msg)
    stored_slope, stored_inter = stored_scaling(made, *scaling)
    before, after, offset = header_bytes(made)
    name = FORMAT_NAMES.get(kind, "Analyze pair")
    parts = (name, files[0][1], stored.name, " x ".join(map(str, grid)))
    return OutputSpec(
        files=files,
        header=before,
        footer=after,
        data_offset=offset,
        shape=grid,
        dtype=stored.newbyteorder(made.endianness),
        slope=stored_slope,
        inter=stored_inter,
        description=", ".join(part for part in parts if part != "none"),
    )


def _check_shape(path: str, shape: Shape) -> Shape:
    grid = tuple(int(length) for length in shape)
    if not 1 <= len(grid) <= _MOST_AXES:
        msg = f"{printable(path)}: an image must have 1 to {_MOST_AXES} axes. Got shape {grid}."
        raise ParameterError(msg)
    return grid


def _check_axes(path: str, kind: HeaderClass, shape: Shape) -> None:
    if FORMAT_NAMES.get(kind) == "MGH" and (len(shape) > 4 or 0 in shape):
        msg = (
            f"{printable(path)}: MGH holds at most 4 axes, of at least one voxel each. Got shape "
            f"{shape}. Write NIfTI, or one 4D part."
        )
        raise ParameterError(msg)


def _check_zarr(path: str, shape: Shape, dtype: DType) -> None:
    if not 2 <= len(shape) <= 5:
        msg = (
            f"{printable(path)}: an image in a Zarr store must have 2 to 5 axes. Got shape {shape}. "
            f"Write .nii."
        )
        raise ParameterError(msg)
    if dtype.names is not None:
        msg = f"{printable(path)}: a Zarr store holds numbers, and these are colours. Write .nii."
        raise ParameterError(msg)


def _check_affine(path: str, affine: npt.ArrayLike | None, kind: HeaderClass) -> Array | None:
    """Return an affine as a matrix; only the sform of NIfTI holds one without an inverse."""
    if affine is None:
        return None
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        msg = f"{printable(path)}: affine must be of shape (4, 4). Got shape {matrix.shape}."
        raise ParameterError(msg)
    is_nifti = issubclass(kind, Nifti1Header)
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    if not is_nifti and not (np.isfinite(matrix).all() and sizes.all()):
        msg = (
            f"{printable(path)}: affine must give every axis a voxel size above zero in this "
            f"format. Got {matrix[:3].tolist()}. Write NIfTI, whose sform holds any affine."
        )
        raise ParameterError(msg)
    return matrix


def _check_dtype(path: str, kind: HeaderClass, dtype: DType) -> None:
    supported = supported_dtypes(kind)
    if dtype.newbyteorder("=") in supported:
        return
    names = ", ".join("RGBA"[: len(one.names)] if one.names else one.name for one in supported)
    msg = (
        f"{printable(path)}: dtype must be one that {FORMAT_NAMES.get(kind, 'Analyze')} can "
        f"store: {names}. Got {dtype.name}. Pass one of these as dtype."
    )
    raise ParameterError(msg)


def _analyze_holds(
    kind: HeaderClass,
    header: Header,
    affine: Array | None,
    shape: Shape,
    dtype: DType,
    scaling: tuple[float, float],
) -> bool:
    """Return whether plain Analyze or its SPM dialects can store all of this."""
    slope, inter = scaling
    is_scaled = slope != 1.0 and not kind.has_data_slope
    fits = max(shape) <= np.iinfo(np.int16).max and dtype.newbyteorder("=") in supported_dtypes(
        kind
    )
    if is_scaled or inter != 0.0 or not fits:
        return False
    if affine is None:
        return True
    # Whether the fields of the header can say this affine, not whether two grids are one.
    return np.allclose(affine, best_affine(make_header(kind, header, affine, shape, dtype)))
