"""The axes that an image must have: three of space, or time besides."""

from lazyvox._typing import DType, Shape
from lazyvox.errors import ParameterError, ParameterTypeError

__all__ = ["advice_on_parts", "check_axes"]


def check_axes(shape: Shape, dtype: DType, name: str) -> None:
    """Refuse an image that is not a volume, or a series of volumes, of numbers.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image.
    dtype : numpy.dtype
        Type of its voxels.
    name : str
        The image, for messages.

    Raises
    ------
    ParameterError
        If it has not 3 or 4 axes.
    ParameterTypeError
        If its voxels are colours.
    """
    if len(shape) in {3, 4}:
        if dtype.names is not None:
            msg = f"{name}: voxels must be numbers. Got RGB voxels: take one colour first."
            raise ParameterTypeError(msg)
        return
    hint = "Add axes first: nibabel.Nifti1Image(np.atleast_3d(values), affine)."
    cli_hint = "Add axes first."
    if len(shape) > 4:
        hint, cli_hint = advice_on_parts(shape)
    msg = f"{name}: an image must be 3D or 4D. Got shape {shape}."
    raise ParameterError(msg, hint=hint, cli_hint=cli_hint)


def advice_on_parts(shape: Shape) -> tuple[str, str]:
    """Return the hints, in Python and on the command line, for an image of five or more axes.

    Where all further axes but one have length 1 there is only one series to take.
    """
    n_more = len(shape) - 4
    last = ", ".join([":"] * 4 + ["0"] * n_more)
    first = ", ".join([":"] * 3 + ["0"] * n_more + [":"])
    parts = [last, first]
    if all(length == 1 for length in shape[4:]):
        parts = [last]
    elif all(length == 1 for length in shape[3:-1]):
        parts = [first]
    slices = ", or ".join(f"img.slicer[{part}]" for part in parts)
    quoted = ", or with ".join(f'"{part}"' for part in parts)
    rule = "Take a part of it first:"
    return f"{rule} {slices}.", f"{rule} `lazyvox slice` with {quoted}."
