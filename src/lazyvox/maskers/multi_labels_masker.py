"""`MultiNiftiLabelsMasker`: signals of the regions of an atlas, of several subjects."""

from typing import Any

from lazyvox.maskers.labels_masker import NiftiLabelsMasker
from lazyvox.maskers.multi_mixin import MultiMasker

__all__ = ["MultiNiftiLabelsMasker"]


class MultiNiftiLabelsMasker(MultiMasker, NiftiLabelsMasker):
    """Signals of the regions of an atlas, of several subjects.

    As `NiftiLabelsMasker`, for lists of images. Parameters and results are those of nilearn's
    class of this name; `memory_budget` and `memmap_dir` come on top.

    Parameters
    ----------
    labels_img : image or path
        A 3D image of labels. Zero voxels, or those of `background_label`, are no region.
    labels : list of str, optional
        Names in the order of the labels.
    lut : pandas.DataFrame or path, optional
        A table with the columns "index" and "name", in place of `labels`.
    background_label : number, default=0
        The label that is no region.
    mask_img : image or path, optional
        Voxels outside of it belong to no region.
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
    resampling_target : {"data", "labels", None}, default="data"
        Whose grid counts: labels are brought to that of the images, or images to that of the
        labels, or both must be on one.
    memory : joblib.Memory or path-like, optional
        Where results are kept. They are found again by the content of files.
    memory_level : int, default=1
        What is kept: results at 1 and above.
    verbose : int, default=0
        Above 0, steps are printed on standard output.
    strategy : str, default="mean"
        Statistic over the voxels of a region: "mean", "median", "sum", "minimum", "maximum",
        "standard_deviation" or "variance".
    keep_masked_labels : bool, default=False
        Whether labels that a mask takes away keep a column, of zeros.
    reports : bool, default=True
        Whether what a report needs is kept.
    cmap : str, default="CMRmap_r"
        Colours of the regions in the report; this default selects lazyvox's own colours.
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
    labels_img_ : LazyImage
        The labels.
    mask_img_ : LazyImage or None
        The mask.
    lut_ : pandas.DataFrame
        Names of the labels of the image.
    n_elements_ : int
        Number of regions.
    labels_, region_ids_, region_names_ : list, dict, dict
        Labels and names by column.
    region_atlas_ : LazyImage
        The labels that the last transform took signals from.
    clean_args_ : dict
        The arguments for cleaning.
    memory_ : joblib.Memory
        The cache.

    Notes
    -----
    A transform is one pass over the images: memory is the result, and buffers within the budget.
    Several files are read at a time, each in one pass, as many as the budget allows.

    Examples
    --------
    >>> from lazyvox.maskers import MultiNiftiLabelsMasker
    >>> masker = MultiNiftiLabelsMasker("atlas.nii.gz", standardize=None, n_jobs=2)
    >>> [one.shape for one in masker.fit_transform(["run.nii.gz", "run.nii.gz"])]
    [(40, 8), (40, 8)]
    """

    def __init__(
        self,
        labels_img: Any = None,
        labels: list[str] | None = None,
        lut: Any = None,
        background_label: float = 0,
        mask_img: Any = None,
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
        memory: Any = None,
        memory_level: int = 1,
        verbose: int | bool = 0,
        strategy: str = "mean",
        keep_masked_labels: bool = False,
        reports: bool = True,
        cmap: str = "CMRmap_r",
        n_jobs: int = 1,
        clean_args: dict[str, Any] | None = None,
        *,
        memory_budget: int | str | None = None,
        memmap_dir: Any = None,
    ) -> None:
        super().__init__(
            labels_img=labels_img,
            labels=labels,
            lut=lut,
            background_label=background_label,
            mask_img=mask_img,
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
            memory=memory,
            memory_level=memory_level,
            verbose=verbose,
            strategy=strategy,
            keep_masked_labels=keep_masked_labels,
            reports=reports,
            cmap=cmap,
            clean_args=clean_args,
            memory_budget=memory_budget,
            memmap_dir=memmap_dir,
        )
        self.n_jobs = n_jobs
