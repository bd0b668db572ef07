"""The affine of a NIfTI header, put together as nibabel does."""

from typing import Any

import numpy as np

from lazyvox._typing import FloatArray, Shape
from lazyvox.formats.spec import Findings
from lazyvox.geometry.affines import is_invertible

__all__ = ["nifti_affine", "warn_if_singular"]

_XFORM_CODES = range(6)
#: The first code that stands for a template space; 1 and 2 stand for spaces of the subject.
_FIRST_TEMPLATE_CODE = 3
#: Millimetres by which qform and sform may differ at the corners of the grid: both are rounded
#: to float32, and the qform cannot hold shears.
_MAX_DISTANCE_MM = 1.0


#: Excess of a quaternion's length over 1 that float32 explains.
_ROUNDING = 1e-6


def nifti_affine(header: Any, shape: Shape, findings: Findings) -> FloatArray:
    """Return the sform, else the qform, else the affine of the voxel sizes.

    Codes outside of 0..5 count as 0 and a `qfac` other than -1 counts as 1, as in nibabel, with a
    warning. An sform without an inverse gives way to a qform that has one. A quaternion longer
    than 1 is a half turn, as in the reference implementation of NIfTI, with a warning where more
    than rounding has made it so. One that is not finite is no rotation: where the affine comes
    from it, places are unknown, and the sform is used where there is one, both with a warning.
    """
    _repair_codes(header, findings)
    _repair_qfac(header, findings)
    with np.errstate(all="ignore"):
        qform = _qform(header, findings) if int(header["qform_code"]) else None
        if int(header["sform_code"]):
            affine = header.get_sform()
            if qform is not None and is_invertible(qform) and not is_invertible(affine):
                findings.warn(
                    "The sform is singular, or holds NaN or infinity; the qform is used."
                )
                header["sform_code"] = 0
                affine = qform
            elif qform is not None:
                _warn_if_apart(header, affine, qform, shape, findings)
        elif qform is not None:
            affine = qform
        else:
            affine = header.get_base_affine()
        affine = np.array(affine, dtype=np.float64)
        warn_if_singular(affine, findings)
    return affine


def warn_if_singular(affine: FloatArray, findings: Findings) -> None:
    """Warn of an affine that cannot be inverted: no mask or seed can be placed on such a grid."""
    if not np.isfinite(affine).all():
        findings.warn("The affine holds NaN or infinity: world coordinates are unknown.")
    elif not is_invertible(affine):
        findings.warn("The header gives a singular affine: world coordinates are unknown.")


def _repair_codes(header: Any, findings: Findings) -> None:
    for name in ("qform_code", "sform_code"):
        code = int(header[name])
        if code not in _XFORM_CODES:
            header[name] = 0
            findings.warn(f"{name} {code} is not among the codes 0..5; it counts as 0 (unset).")


def _repair_qfac(header: Any, findings: Findings) -> None:
    """Set `qfac` to 1 unless it is -1; the standard itself reads 0 as 1."""
    qfac = float(header["pixdim"][0])
    if qfac in (-1.0, 1.0):
        return
    header["pixdim"][0] = 1
    if qfac != 0.0:
        findings.warn(f"qfac (pixdim[0]) must be 1 or -1, got {qfac:g}; it counts as 1.")


def _qform(header: Any, findings: Findings) -> FloatArray | None:
    parts = [float(header[f"quatern_{letter}"]) for letter in "bcd"]
    length = float(np.linalg.norm(parts))
    if not np.isfinite(length):
        if not int(header["sform_code"]):
            findings.warn(f"quatern_b, quatern_c, quatern_d {parts} are no rotation.")
            unknown: FloatArray = header.get_qform()
            return unknown
        findings.warn(
            f"quatern_b, quatern_c, quatern_d {parts} are no rotation; the qform is ignored, the "
            f"affine is the sform."
        )
        return None
    if length**2 - 1 >= abs(header.quaternion_threshold):
        if length - 1 > _ROUNDING:
            findings.warn(
                f"quatern_b, quatern_c, quatern_d {parts} have a length above 1; they count as a "
                f"half turn."
            )
        exact = np.linalg.norm(np.array(parts, np.longdouble))
        for letter, part in zip("bcd", parts, strict=True):
            header[f"quatern_{letter}"] = np.longdouble(part) / exact
    qform: FloatArray = header.get_qform()
    return qform


def _warn_if_apart(
    header: Any, sform: FloatArray, qform: FloatArray, shape: Shape, findings: Findings
) -> None:
    """Warn if both transforms name a space of the same kind and place the grid differently.

    A qform to the scanner beside an sform to a template is how normalised images are written.
    """
    codes = int(header["qform_code"]), int(header["sform_code"])
    kinds = {code >= _FIRST_TEMPLATE_CODE for code in codes}
    if len(kinds) == 2:
        return
    lengths = [max(length - 1, 0) for length in (*shape[:3], 1, 1, 1)[:3]]
    corners = np.array([(*index, 1) for index in np.ndindex(2, 2, 2)], dtype=np.float64)
    corners[:, :3] *= lengths
    apart = np.abs((corners @ (sform - qform).T)[:, :3]).max()
    if apart > _MAX_DISTANCE_MM:
        findings.warn(
            f"qform and sform place the image up to {apart:.4g} mm apart; the sform is used."
        )
