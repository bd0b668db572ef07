"""NIfTI-Zarr: an OME-Zarr group with the header of a NIfTI file beside the voxels.

The group has the array ``0`` with the stored voxels, axes t, c, z, y, x as far as there are any,
and the array ``nifti`` with the bytes of the header; its attributes are those of OME-Zarr 0.5. The
header has the last word. See https://github.com/neuroscales/nifti-zarr, version 1.0.rc1, and
https://ngff.openmicroscopy.org/0.5/.
"""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from lazyvox._typing import Array
from lazyvox.errors import HeaderError, ParameterError, UnsupportedFormatError
from lazyvox.formats.fields import time_unit
from lazyvox.formats.layout import nifti_layout
from lazyvox.formats.nifti import read_nifti
from lazyvox.formats.nifti_header import NiftiHeader
from lazyvox.formats.spec import Findings, ImageFile
from lazyvox.store.files.byte_stores import source_of_bytes
from lazyvox.store.files.paths import printable

__all__ = [
    "StoredImage",
    "axis_names",
    "header_of_group",
    "ome_attributes",
    "stored_axes",
    "stored_header",
]

#: Axes of NIfTI, the fastest first, and of OME-Zarr, the slowest first.
_IMAGE_AXES = "xyztc"
_STORED_AXES = "tczyx"

_KINDS = {"t": "time", "c": "channel"}
_SPACE_UNITS = {"meter": "meter", "mm": "millimeter", "micron": "micrometer"}
_TIME_UNITS = {"sec": "second", "msec": "millisecond", "usec": "microsecond"}
_MM_PER_UNIT = {"meter": 1e3, "millimeter": 1.0, "micrometer": 1e-3, "nanometer": 1e-6}
_SECONDS_PER_UNIT = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6}


def stored_axes(ndim: int) -> tuple[int, ...]:
    """Return the axes of an image in the order in which a store has them.

    Examples
    --------
    >>> stored_axes(3), stored_axes(5)
    ((2, 1, 0), (3, 4, 2, 1, 0))
    """
    return tuple(_IMAGE_AXES.index(name) for name in axis_names(ndim))


def axis_names(ndim: int) -> tuple[str, ...]:
    """Return the names of the axes of a stored image.

    Examples
    --------
    >>> axis_names(4)
    ('t', 'z', 'y', 'x')
    """
    return tuple(name for name in _STORED_AXES if name in _IMAGE_AXES[:ndim])


def stored_header(header: bytes) -> bytes:
    """Return the bytes of the array ``nifti``: without extensions the header alone."""
    layout = nifti_layout(header)
    assert layout is not None, "bug in lazyvox: a header that is none is written"
    has_extensions = header[layout.header_bytes : layout.header_bytes + 1] not in (b"", b"\0")
    return header if has_extensions else header[: layout.header_bytes]


def ome_attributes(header: bytes, ndim: int, name: str) -> dict[str, Any]:
    """Return the attributes of the group: axes with their units, and the sizes of the voxels.

    Parameters
    ----------
    header : bytes
        The NIfTI header.
    ndim : int
        Axes of the image.
    name : str
        A name for people.

    Returns
    -------
    dict
        What OME-Zarr 0.5 asks for.
    """
    layout = nifti_layout(header)
    assert layout is not None, "bug in lazyvox: a header that is none is written"
    parsed = NiftiHeader(header[: layout.header_bytes], layout, is_single=True)
    sizes = [float(size) if size > 0 else 1.0 for size in parsed.get_zooms()]
    sizes += [1.0] * (ndim - len(sizes))
    names = axis_names(ndim)
    by_name = dict(zip(_IMAGE_AXES, sizes, strict=False))
    units = {name: _SPACE_UNITS.get(_space_unit(parsed)) for name in "xyz"}
    units["t"] = _TIME_UNITS.get(time_unit(parsed))
    axes = []
    for one in names:
        axis = {"name": one, "type": _KINDS.get(one, "space")}
        if units.get(one):
            axis["unit"] = str(units[one])
        axes.append(axis)
    space = [by_name[one] if one in "xyz" else 1.0 for one in names]
    time = [by_name[one] if one == "t" else 1.0 for one in names]
    multiscale = {
        "name": name,
        "axes": axes,
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": space}]}
        ],
        "coordinateTransformations": [{"type": "scale", "scale": time}],
    }
    return {"ome": {"version": "0.5", "multiscales": [multiscale]}}


def _space_unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """An image as a group of a Zarr store holds it.

    Attributes
    ----------
    array : zarr.Array
        The stored voxels.
    place : tuple of int or None
        The axis of `array` for each axis of the image; None where that has one position and no
        axis.
    file : ImageFile
        The header, affine and scaling. Its sources are those of the header alone.
    """

    array: Any
    place: tuple[int | None, ...]
    file: ImageFile


def header_of_group(group: Any, path: str, level: int) -> StoredImage:
    """Return the image of a group, reading its header and no voxel.

    Parameters
    ----------
    group : zarr.Group
        NIfTI-Zarr of any version, or another OME-Zarr image; its header is then made of the
        scales and translations.
    path : str
        The store, for messages.
    level : int
        Level of the pyramid, 0 for the image itself.

    Returns
    -------
    StoredImage
        Array and header.

    Raises
    ------
    UnsupportedFormatError
        If the group is no image.
    ParameterError
        If it has no such level.
    HeaderError
        If the header is damaged, or of an image of another shape.
    """
    multiscale = _multiscale(group, path)
    datasets = multiscale["datasets"]
    if not 0 <= level < len(datasets):
        msg = (
            f"{printable(path)}: `level` must be from 0 to {len(datasets) - 1}, as the image has "
            f"{len(datasets)}. Got {level}."
        )
        raise ParameterError(msg, parameter="level", value=level)
    array = _member(group, datasets[level]["path"], path)
    names = [str(axis["name"]) for axis in multiscale["axes"]]
    if len(names) != array.ndim or not set(names) <= set(_IMAGE_AXES):
        msg = (
            f"{printable(path)}: the axes of the image must be among t, c, z, y, x, one for each "
            f"axis of the array. Got {', '.join(names)} for shape {array.shape}."
        )
        raise UnsupportedFormatError(msg)
    lengths = dict(zip(names, array.shape, strict=True))
    findings = Findings(path)
    stored = _member(group, "nifti", path)
    if stored is not None:
        head = np.asarray(stored).tobytes()
        file = _parsed(head, path, findings)
    else:
        head = _made_header(array, lengths, _scale(multiscale, 0, names))
        file = _parsed(head, path, findings)
    if level:
        file = _at_level(file, multiscale, level, names, lengths)
    shape = file.array.shape
    wanted = tuple(lengths.get(name, 1) for name in _IMAGE_AXES)
    if len(shape) > len(wanted) or shape + (1,) * (len(wanted) - len(shape)) != wanted:
        msg = (
            f"{printable(path)}: the header must be of the stored array. It has shape {shape}, and "
            f"the array {array.shape} for the axes {', '.join(names)}."
        )
        raise HeaderError(msg)
    findings.publish()
    place = tuple(names.index(one) if one in names else None for one in _IMAGE_AXES[: len(shape)])
    return StoredImage(array, place, file)


def _member(group: Any, name: str, path: str) -> Any:
    """Return an array of a group, None where there is none."""
    try:
        return group.get(name)
    except (ValueError, KeyError, TypeError) as error:
        _refuse_member(repr(name), path, error)


def _refuse_member(name: str, path: str, error: Exception) -> NoReturn:
    msg = f"{printable(path)}: the array {name} must be one that zarr can open. zarr says: {error}"
    raise UnsupportedFormatError(msg) from error


def _multiscale(group: Any, path: str) -> Any:
    """Return the first multiscale image of a group, whichever version of OME-Zarr it has."""
    attributes = group.attrs
    found = attributes.get("ome", attributes).get("multiscales")
    try:
        multiscale = found[0]
        assert len(multiscale["datasets"]) > 0
        assert multiscale["datasets"][0]["path"] in group
        assert multiscale["axes"][0]["name"]
    except ValueError as error:
        _refuse_member("of the image", path, error)
    except (TypeError, KeyError, IndexError, AssertionError):
        msg = (
            f"{printable(path)}: a Zarr group must be NIfTI-Zarr or another OME-Zarr image, with "
            f"multiscales in its attributes. It is neither, or was not written to its end. Open "
            f"it with zarr, and pass an array of it to nibabel."
        )
        raise UnsupportedFormatError(msg) from None
    return multiscale


def _parsed(head: bytes, path: str, findings: Findings) -> ImageFile:
    """Return the header of an image, read as that of a file."""
    layout = nifti_layout(head)
    if layout is None or len(head) < layout.header_bytes:
        msg = (
            f"{printable(path)}: the array nifti must hold a NIfTI header. Got {len(head)} bytes "
            f"that are none."
        )
        raise HeaderError(msg)
    source = source_of_bytes(head, path)
    # That the voxels are elsewhere is said by two sources.
    voxels = source if layout.has_single_magic else source_of_bytes(b"", path)
    return read_nifti(layout, head, source, voxels, findings)


def _scale(multiscale: Any, level: int, names: list[str]) -> dict[str, tuple[float, float]]:
    """Return scale and translation of each axis at a level."""
    scales, moves = np.ones(len(names)), np.zeros(len(names))
    steps = [
        *multiscale["datasets"][level].get("coordinateTransformations", []),
        *multiscale.get("coordinateTransformations", []),
    ]
    for step in steps:
        if step["type"] == "scale":
            scales, moves = scales * step["scale"], moves * step["scale"]
        elif step["type"] == "translation":
            moves = moves + step["translation"]
    units = [axis.get("unit") for axis in multiscale["axes"]]
    factors = [{**_MM_PER_UNIT, **_SECONDS_PER_UNIT}.get(unit, 1.0) for unit in units]
    pairs = zip(scales * factors, moves * factors, strict=True)
    return {
        name: (float(scale), float(move)) for name, (scale, move) in zip(names, pairs, strict=True)
    }


def _grid(transforms: dict[str, tuple[float, float]]) -> Array:
    """Return the affine of scales and translations."""
    affine = np.eye(4)
    for axis, name in enumerate("xyz"):
        affine[axis, axis], affine[axis, 3] = transforms.get(name, (1.0, 0.0))
    return affine


def _made_header(
    array: Any, lengths: dict[str, int], transforms: dict[str, tuple[float, float]]
) -> bytes:
    """Return the header of an image that came without one, in mm and seconds."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    shape = [lengths.get(name, 1) for name in _IMAGE_AXES]
    ndim = max(axis for axis, name in enumerate(_IMAGE_AXES) if name in lengths) + 1
    kind: Any = Nifti2Header if max(shape) > np.iinfo(np.int16).max else Nifti1Header
    header = kind()
    header.set_data_dtype(np.dtype("u1") if array.dtype == np.bool_ else array.dtype)
    header.set_data_shape(shape[:ndim])
    zooms = [abs(transforms.get(name, (1.0, 0.0))[0]) for name in _IMAGE_AXES]
    header.set_zooms(zooms[:ndim])
    header.set_xyzt_units("mm", "sec")
    header.set_sform(_grid(transforms), code="scanner")
    header.set_data_offset(header.sizeof_hdr + 4)
    return bytes(header.binaryblock)


def _at_level(
    file: ImageFile, multiscale: Any, level: int, names: list[str], lengths: dict[str, int]
) -> ImageFile:
    """Return the header of a level of the pyramid: its shape, its voxels, the same place."""
    base, transforms = _scale(multiscale, 0, names), _scale(multiscale, level, names)
    affine = file.affine @ np.linalg.inv(_grid(base)) @ _grid(transforms)
    shape = tuple(lengths.get(name, 1) for name in _IMAGE_AXES[: len(file.array.shape)])
    header = file.header
    header.set_data_shape(shape)
    factors = [
        transforms[name][0] / base[name][0] if name in names else 1.0
        for name in _IMAGE_AXES[: len(shape)]
    ]
    header.set_zooms(
        [zoom * factor for zoom, factor in zip(header.get_zooms(), factors, strict=True)]
    )
    for setter, code in ((header.set_sform, "sform_code"), (header.set_qform, "qform_code")):
        if int(header[code]):
            setter(affine, int(header[code]))
    return replace(
        file,
        affine=affine,
        fields=header,
        foreign_class=file.image_class,
        array=replace(file.array, shape=shape),
    )
