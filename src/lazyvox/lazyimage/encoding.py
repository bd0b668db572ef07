"""Stored type and scaling of an image that is written."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import SpatialImage

from lazyvox._typing import DType, PathLike
from lazyvox.array.lazy_array import LazyArray
from lazyvox.errors import ParameterError, ScalingError
from lazyvox.formats.encode import auto_scale, check_convertible, naming
from lazyvox.formats.output_spec import is_mgh_name
from lazyvox.store.files.paths import absolute_path

__all__ = [
    "Encoding",
    "Scale",
    "asked_scaling",
    "choose_encoding",
    "nibabels_scale",
]

#: "auto", slope and intercept, False for rounding, None for what the image says.
Scale = str | tuple[float, float] | bool | None

_SCALE_FORMS = '`scale` must be None, "auto", False or a pair of numbers (slope, inter)'

#: nibabel's names of types that depend on the values, and the types they choose from.
_ALIASES = ("compat", "smallest")
_SMALL_INTEGERS = ("u1", "i2", "i4")

#: Types that MGH stores in place of those that it lacks, each value exact or as float32.
_MGH_SUBSTITUTES = {"b1": "u1", "i1": "i2", "u2": "i4", "f2": "f4", "f8": "f4"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """Stored type and scaling of the values of an image.

    Attributes
    ----------
    dtype : numpy.dtype
        Stored type.
    slope, inter : float or None
        Scaling for the header; None with `needs_extent` until the extent is known.
    is_copy : bool
        Whether stored values are copied as they are, without decoding and encoding.
    is_raw : bool
        Whether values are stored as they are under the slope and intercept of the header.
    needs_extent : bool
        Whether a first pass must find the smallest and the largest value.
    rounds : bool
        Whether floats that are not whole are rounded to unscaled integers, or refused.
    candidates : tuple of numpy.dtype
        Types of which the first that holds the extent is stored, unscaled.
    """

    dtype: DType
    slope: float | None = None
    inter: float | None = None
    is_copy: bool = False
    is_raw: bool = False
    needs_extent: bool = False
    rounds: bool = True
    candidates: tuple[DType, ...] = ()

    def for_extent(self, low: float, high: float) -> "Encoding":
        """Return the encoding of values between `low` and `high`, which needs no extent.

        Raises
        ------
        ScalingError
            If no type or scaling holds them.
        """
        if not self.candidates:
            slope, inter = auto_scale(low, high, self.dtype)
            return replace(self, slope=slope, inter=inter, needs_extent=False)
        for dtype in self.candidates:
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return Encoding(dtype)
        names = ", ".join(one.name for one in self.candidates)
        msg = f"Values must fit one of {names}. Got the range {low} to {high}."
        raise ScalingError(msg, hint="Pass another dtype.")


def choose_encoding(
    img: SpatialImage,
    array: LazyArray,
    path: PathLike,
    *,
    dtype: npt.DTypeLike | None,
    scale: Scale,
) -> Encoding:
    """Return how an image is to be stored.

    Parameters
    ----------
    img : nibabel image
        The image; its header names the type where `dtype` does not. A slope and intercept that
        were set in it (`header.set_slope_inter`) are stored, and the values under them as they
        are, as in nibabel.
    array : LazyArray
        Its values.
    path : path-like
        Name of the output.
    dtype : dtype-like or None
        The type that was asked for; "compat" and "smallest" as in nibabel.
    scale : str, pair of float, False or None
        The scaling that was asked for.

    Returns
    -------
    Encoding
        The decision.

    Raises
    ------
    ParameterError
        If `scale` has no meaning.
    """
    header: Any = img.header
    asked: Any = img.get_data_dtype() if dtype is None else dtype
    if isinstance(asked, str) and asked in _ALIASES:
        return _aliased(asked, array)
    target = np.dtype(asked)
    if scale is not None:
        found = asked_scaling(target, scale)
        with naming(absolute_path(path)):
            check_convertible(array.dtype, target)
        return found
    if hasattr(header, "get_slope_inter"):
        slope, inter = header.get_slope_inter()
        if slope is not None:
            return Encoding(target, slope, inter or 0.0, is_raw=True)
    encoding = _unscaled(array, target, is_asked=dtype is not None)
    return encoding if dtype is not None or not is_mgh_name(path) else _for_mgh(encoding)


def _unscaled(array: LazyArray, target: DType, *, is_asked: bool) -> Encoding:
    """Return the encoding where no scaling was asked for."""
    if array.conversion.dtype is None and _same(target, array.ondisk_dtype):
        return Encoding(array.ondisk_dtype, array.slope, array.inter, is_copy=True)
    if is_asked or not _may_need_scale(array.dtype, target):
        return Encoding(target, rounds=False)
    if array.conversion.dtype is not None:
        # lv.load(path, dtype=...) asked for this type: it is what is stored.
        return Encoding(array.dtype)
    return Encoding(target, needs_extent=True)


def _may_need_scale(values: DType, target: DType) -> bool:
    """Return whether values of a type may not fit integers of another as they are."""
    is_number = values.kind in "iuf" and target.kind in "iu"
    return is_number and not np.can_cast(values, target)


def _for_mgh(encoding: Encoding) -> Encoding:
    """Return the encoding in a type that MGH, which stores no scaling, has."""
    if encoding.needs_extent or (encoding.slope, encoding.inter) not in ((None, None), (1.0, 0.0)):
        return Encoding(np.dtype(np.float32))
    kind = encoding.dtype.kind + str(encoding.dtype.itemsize)
    return Encoding(np.dtype(_MGH_SUBSTITUTES[kind])) if kind in _MGH_SUBSTITUTES else encoding


def nibabels_scale(array: LazyArray, dtype: npt.DTypeLike | None) -> Scale:
    """Return the `scale` with which a save does as nibabel does with this `dtype`.

    Parameters
    ----------
    array : LazyArray
        The values.
    dtype : dtype-like or None
        The type that was asked for.

    Returns
    -------
    "auto" or None
        "auto" where values may not fit integers of that type as they are.
    """
    if dtype is None or (isinstance(dtype, str) and dtype in _ALIASES):
        return None
    return "auto" if _may_need_scale(array.dtype, np.dtype(dtype)) else None


def asked_scaling(target: DType, scale: Any) -> Encoding:
    """Return the encoding for a scaling that was asked for.

    Parameters
    ----------
    target : numpy.dtype
        Stored type.
    scale : str, pair of float or False
        "auto", slope and intercept, or no scaling.

    Returns
    -------
    Encoding
        The encoding.

    Raises
    ------
    ParameterError
        If `scale` has no meaning, or the type is not of integers.
    """
    if target.kind not in "iu":
        msg = f"`scale` is for integer types on disk. Got {target}: pass dtype='int16', say."
        raise ParameterError(msg)
    if scale is False:
        return Encoding(target)
    if isinstance(scale, str):
        if scale != "auto":
            msg = f"{_SCALE_FORMS}. Got {scale!r}."
            raise ParameterError(msg)
        return Encoding(target, needs_extent=True)
    try:
        slope, inter = (float(number) for number in scale)
    except (TypeError, ValueError):
        msg = f"{_SCALE_FORMS}. Got {scale!r}."
        raise ParameterError(msg) from None
    if not np.isfinite([slope, inter]).all() or slope == 0:
        msg = f"{_SCALE_FORMS}, finite, slope not 0. Got {scale!r}."
        raise ParameterError(msg)
    return Encoding(target, slope, inter)


def _same(one: DType, other: DType) -> bool:
    return one.newbyteorder("=") == other.newbyteorder("=")


def _aliased(alias: str, array: LazyArray) -> Encoding:
    """Return the encoding for a type of nibabel's that depends on the values."""
    values, small = array.dtype.newbyteorder("="), tuple(map(np.dtype, _SMALL_INTEGERS))
    if alias == "compat" and (values in small or values.kind == "f"):
        return Encoding(np.dtype(np.float32) if values.kind == "f" else values)
    if values.kind not in "iu":
        msg = f'`dtype`="{alias}" must be asked for integers. Got {values}.'
        raise ParameterError(msg, hint="Pass a type, such as float32.")
    if alias == "compat" and values.str[1:] != "i1":
        small = small[1:] if values.str[1:] == "u2" else small[2:]
    return Encoding(small[-1], needs_extent=True, candidates=small)
