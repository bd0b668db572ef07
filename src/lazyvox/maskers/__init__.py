"""Maskers: signals of voxels and regions, as scikit-learn transformers in nilearn's names."""

from lazyvox.maskers.labels_masker import NiftiLabelsMasker
from lazyvox.maskers.maps_masker import NiftiMapsMasker
from lazyvox.maskers.multi_labels_masker import MultiNiftiLabelsMasker
from lazyvox.maskers.multi_maps_masker import MultiNiftiMapsMasker
from lazyvox.maskers.multi_nifti_masker import MultiNiftiMasker
from lazyvox.maskers.nifti_masker import NiftiMasker
from lazyvox.maskers.sharing import transform_all
from lazyvox.maskers.spheres_masker import NiftiSpheresMasker

__all__ = [
    "MultiNiftiLabelsMasker",
    "MultiNiftiMapsMasker",
    "MultiNiftiMasker",
    "NiftiLabelsMasker",
    "NiftiMapsMasker",
    "NiftiMasker",
    "NiftiSpheresMasker",
    "transform_all",
]
