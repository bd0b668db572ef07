"""`smooth_img`: Gaussian smoothing, computed volume by volume when the image is read."""

from collections.abc import Iterable
from os import PathLike as OsPathLike
from typing import Any, overload

from nibabel.spatialimages import SpatialImage

from lazyvox.array.transformed import staged
from lazyvox.image.input_volumes import volumes_of
from lazyvox.image.smooth_transform import SmoothTransform, checked_fwhm
from lazyvox.lazyimage.classes import LazyImage, image_like
from lazyvox.lazyimage.dataobj import name_of
from lazyvox.lazyimage.load import ImageLike

__all__ = ["smooth_img"]


@overload
def smooth_img(imgs: ImageLike, fwhm: Any) -> LazyImage: ...


@overload
def smooth_img(imgs: Iterable[ImageLike], fwhm: Any) -> list[LazyImage]: ...


def smooth_img(imgs: Any, fwhm: Any) -> LazyImage | list[LazyImage]:
    """Smooth images with a Gaussian; non-finite voxels count as 0.

    Parameters
    ----------
    imgs : image, path, or iterable of them
        3D or 4D images.
    fwhm : float, sequence of 3 floats, "fast" or None
        Full width at half maximum of the Gaussian in mm, one for all axes or one for each; 0 or
        None leaves an axis as it is. "fast" averages each voxel (weight 1) with its six
        neighbours (weight 0.2).

    Returns
    -------
    LazyImage or list of LazyImage
        Of the shape of the input: volumes are smoothed when they are read. A list if `imgs` is an
        iterable. Integers become float32 (64-bit ones float64), floats keep their type.

    Raises
    ------
    ParameterError
        If `fwhm` is negative, not finite, or not one number or three; if an image is not 3D or
        4D.
    ParameterTypeError
        If `fwhm` is no number, or `imgs` no images.

    Warns
    -----
    LazyvoxWarning
        If `fwhm` is 0: nothing is smoothed then.

    Notes
    -----
    Reads no voxel. A pass over the result is one pass over the file; memory: at most three
    volumes besides the blocks of the pass. Each axis is one product with a band matrix. Results
    differ from those of three calls of `scipy.ndimage.gaussian_filter1d` by rounding: in float32
    by at most 1e-6 of the largest magnitude in the volume.

    Examples
    --------
    >>> from lazyvox.image import smooth_img
    >>> smoothed = smooth_img("run.nii.gz", fwhm=6)
    >>> smoothed.shape, smoothed.in_memory
    ((12, 14, 10, 40), False)
    """
    fwhm = checked_fwhm(fwhm)
    if isinstance(imgs, Iterable) and not isinstance(
        imgs, str | bytes | OsPathLike | SpatialImage
    ):
        return [_smoothed(img, fwhm) for img in imgs]
    return _smoothed(imgs, fwhm)


def _smoothed(img: Any, fwhm: Any) -> LazyImage:
    source = volumes_of(img)
    transform = SmoothTransform.of(source.affine, source.shape, fwhm, name_of(source.img))
    return image_like(source.img, staged(transform, source.array), source.affine)
