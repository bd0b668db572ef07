"""`MultiNiftiMapsMasker`: signals of maps of weights, of several subjects."""

from typing import Any

from lazyvox.maskers.maps_masker import NiftiMapsMasker
from lazyvox.maskers.multi_mixin import MultiMasker

__all__ = ["MultiNiftiMapsMasker"]


class MultiNiftiMapsMasker(MultiMasker, NiftiMapsMasker):
    """Signals of maps of weights, of several subjects.

    As `NiftiMapsMasker`, for lists of images. Parameters and results are those of nilearn's class
    of this name; `memory_budget` and `memmap_dir` come on top.

    Parameters
    ----------
    maps_img : image or path
        A 4D image, a volume of weights for each map. Weights that are not finite count as zero.
    mask_img : image or path, optional
        Voxels outside of it have no weight.
    allow_overlap : bool, default=True
        Whether two maps may be positive at one voxel.
    smoothing_fwhm : float, optional
        Width of a Gaussian kernel, in mm.
    standardize : {"zscore_sample", "psc", True, False} or None, default=False
        Scaling of signals to unit variance, or to percent of their mean.
    standardize_confounds : bool, default=True
        Whether means are removed from confounds.
    high_variance_confounds : bool, default=False
        Whether the time courses of the voxels of highest variance are removed.
    detrend : bool, default=False
        Whether linear trends are removed.
    low_pass : float, optional
        Frequency in Hz above which changes are removed.
    high_pass : float, optional
        Frequency in Hz below which changes are removed.
    t_r : float, optional
        Repetition time in seconds, needed for filters.
    dtype : dtype-like or "auto", optional
        Type of the result; "auto" is float32, or int32 for integers.
    resampling_target : {"data", "mask", "maps", None}, default="data"
        Whose grid counts; what is on another one is resampled. With None all must be on one.
    keep_masked_maps : bool, default=False
        Whether maps that a mask takes away keep a column, of zeros.
    memory : joblib.Memory or path-like, optional
        Where results are kept. They are found again by the content of files.
    memory_level : int, default=0
        What is kept: results at 1 and above.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    reports : bool, default=True
        Whether what a report needs is kept.
    cmap : str, default="CMRmap_r"
        Colours of the maps in the report; this default selects lazyvox's own colours.
    n_jobs : int, default=1
        Files that are read at a time.
    clean_args : dict, optional
        Further arguments of `lazyvox.signal.clean`.
    memory_budget : int or str, optional
        Bytes that one transform may take, such as ``"512MB"``.
    memmap_dir : path-like, optional
        Folder for results: each is a ``.npy`` file there, and comes back as a read-only memory
        map.

    Attributes
    ----------
    maps_img_ : LazyImage
        The maps, not read before they are needed.
    mask_img_ : LazyImage or None
        The mask.
    n_elements_ : int
        Number of maps.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, the weights, and buffers within
    the budget.
    Several files are read at a time, each in one pass, as many as the budget allows.

    Examples
    --------
    >>> from lazyvox.image import concat_imgs
    >>> from lazyvox.maskers import MultiNiftiMapsMasker
    >>> maps = concat_imgs(["left.nii.gz", "right.nii.gz"])
    >>> masker = MultiNiftiMapsMasker(maps, standardize=None, n_jobs=2)
    >>> [one.shape for one in masker.fit_transform(["run.nii.gz", "run.nii.gz"])]
    [(40, 2), (40, 2)]
    """

    def __init__(
        self,
        maps_img: Any = None,
        mask_img: Any = None,
        allow_overlap: bool = True,
        smoothing_fwhm: float | None = None,
        standardize: str | bool | None = False,
        standardize_confounds: bool = True,
        high_variance_confounds: bool = False,
        detrend: bool = False,
        low_pass: float | None = None,
        high_pass: float | None = None,
        t_r: float | None = None,
        dtype: Any = None,
        resampling_target: str | None = "data",
        keep_masked_maps: bool = False,
        memory: Any = None,
        memory_level: int = 0,
        verbose: int | bool = 0,
        reports: bool = True,
        cmap: str = "CMRmap_r",
        n_jobs: int = 1,
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        super().__init__(
            maps_img=maps_img,
            mask_img=mask_img,
            allow_overlap=allow_overlap,
            smoothing_fwhm=smoothing_fwhm,
            standardize=standardize,
            standardize_confounds=standardize_confounds,
            high_variance_confounds=high_variance_confounds,
            detrend=detrend,
            low_pass=low_pass,
            high_pass=high_pass,
            t_r=t_r,
            dtype=dtype,
            resampling_target=resampling_target,
            keep_masked_maps=keep_masked_maps,
            memory=memory,
            memory_level=memory_level,
            verbose=verbose,
            reports=reports,
            cmap=cmap,
            clean_args=clean_args,
            memory_budget=memory_budget,
            memmap_dir=memmap_dir,
        )
        self.n_jobs = n_jobs
