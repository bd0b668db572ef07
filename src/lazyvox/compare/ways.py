"""The methods that are compared: their names, requirements, and expected memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec

from lazyvox.errors import ParameterError

__all__ = ["CONCAT", "EXTRACT", "LOAD", "MEAN", "Family", "Way", "choose_ways", "missing_packages"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Family:
    """Ways of one package.

    Attributes
    ----------
    name : str
        The package, as people call it.
    packages : tuple of str
        Packages that must be installed.
    modules : tuple of str
        Modules that are imported before the clock starts.
    process_bytes : int
        What a process holds after its imports.
    """

    name: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    process_bytes: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way of doing a job.

    Attributes
    ----------
    name : str
        How it is chosen.
    method, input : str
        What does the work, and what that is given.
    family : Family
        Whose way it is.
    module, function : str
        The program among `lazyvox.compare.programs`.
    has_workers : bool
        Whether each region is the work of a worker process.
    copies, worker_copies, shared_copies : float
        How often all values are in memory, in the process tree and besides in each worker: what
        was measured, to refuse work that would not fit; and in named shared memory.
    group : str
        Only results of one group are compared with each other.
    """

    name: str
    method: str
    input: str
    family: Family
    module: str
    function: str
    has_workers: bool = False
    copies: float = 0.0
    worker_copies: float = 0.0
    shared_copies: float = 0.0
    group: str = "values"

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that must be installed."""
        return (*self.family.packages, "joblib") if self.has_workers else self.family.packages

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that are imported before the clock starts."""
        return (*self.family.modules, "joblib") if self.has_workers else self.family.modules

    def estimate(self, decoded_bytes: int, n_workers: int) -> int:
        """Return the memory that the process tree is expected to need.

        Parameters
        ----------
        decoded_bytes : int
            Size of all values, scaled.
        n_workers : int
            Number of worker processes.

        Returns
        -------
        int
            Bytes.
        """
        n_processes = 1 + n_workers if self.has_workers else 1
        copies = self.copies + self.worker_copies * (n_workers if self.has_workers else 0)
        return int(copies * decoded_bytes) + n_processes * self.family.process_bytes


_NILEARN = Family("nilearn", ("nilearn",), ("nilearn.maskers", "nilearn.image"), 190 * _MIB)
_NUMPY = Family("NumPy", ("nibabel",), ("nibabel",), 60 * _MIB)
_NIBABEL = Family("nibabel", ("nibabel",), ("nibabel",), 60 * _MIB)
# Of functions, not of packages, which import them when they are called.
_MODULES = (
    "lazyvox.extraction.api",
    "lazyvox.image.averaging",
    "lazyvox.image.concatenation",
    "lazyvox.lazyimage.load",
    "lazyvox.lazyimage.save",
    "lazyvox.lazyimage.sharing",
)
_OURS = Family("lazyvox", (), _MODULES, 70 * _MIB)


def _region_way(
    name: str,
    method: str,
    given: str,
    family: Family,
    *,
    tree: float = 0.0,
    worker: float = 0.0,
    shared: float = 0.0,
) -> Way:
    function = name.replace("-", "_")
    has_workers = not name.endswith(("-one-process", "-one-pass"))
    program = ("ways_regions", function, has_workers)
    return Way(name, method, given, family, *program, tree, worker, shared)


EXTRACT = (
    _region_way("nilearn-one-process", "NiftiMasker", "one image, no workers", _NILEARN, tree=2),
    _region_way("nilearn-paths", "NiftiMasker", "paths", _NILEARN, worker=2),
    _region_way("nilearn-memory", "NiftiMasker", "images in memory", _NILEARN, tree=1, worker=1.5),
    _region_way("numpy-one-process", "NumPy indexing", "one array, no workers", _NUMPY, tree=1),
    _region_way("numpy-paths", "NumPy indexing", "paths", _NUMPY, worker=1),
    _region_way("numpy-memory", "NumPy indexing", "arrays in memory", _NUMPY, tree=2),
    _region_way("numpy-shared", "NumPy indexing", "shared memory", _NUMPY, tree=2, shared=1),
    _region_way("lazyvox-paths", "lazyvox extract", "paths", _OURS),
    _region_way("lazyvox-image", "lazyvox extract", "lazy image", _OURS),
    _region_way("lazyvox-shared", "lazyvox extract", "shared handle", _OURS, tree=1),
    _region_way("lazyvox-one-pass", "lazyvox extract", "one pass", _OURS),
)


def _load_way(
    name: str, method: str, family: Family, *, copies: float = 0.0, group: str = "values"
) -> Way:
    function = name.replace("-", "_")
    return Way(name, method, "path", family, "ways_load", function, copies=copies, group=group)


# float64 takes up to twice the space of what is scaled, and the values are there beside it.
LOAD = (
    _load_way("nibabel-open", "nibabel.load", _NIBABEL, group="grid"),
    _load_way("nilearn-open", "load_img", _NILEARN, group="grid"),
    _load_way("lazyvox-open", "lazyvox.load", _OURS, group="grid"),
    _load_way("nibabel-fdata", "nibabel.load, get_fdata()", _NIBABEL, copies=3, group="float64"),
    _load_way("nilearn-fdata", "load_img, get_fdata()", _NILEARN, copies=3, group="float64"),
    _load_way("lazyvox-fdata", "lazyvox.load, get_fdata()", _OURS, copies=2, group="float64"),
    _load_way("nibabel-dataobj", "nibabel.load, np.asarray(dataobj)", _NIBABEL, copies=2),
    _load_way("lazyvox-dataobj", "lazyvox.load, np.asarray(dataobj)", _OURS, copies=1),
)


def _mean_way(name: str, method: str, given: str, family: Family, *, copies: float = 0.0) -> Way:
    function = name.replace("-", "_")
    return Way(name, method, given, family, "ways_mean", function, copies=copies)


MEAN = (
    _mean_way("numpy-dataobj", "np.asarray(dataobj).mean", "nibabel.load", _NUMPY, copies=1),
    _mean_way("nilearn-path", "mean_img", "path", _NILEARN, copies=2),
    _mean_way("nilearn-nibabel", "mean_img", "nibabel.load", _NILEARN, copies=2),
    _mean_way("nilearn-loaded", "mean_img", "load_img", _NILEARN, copies=2),
    _mean_way("lazyvox-path", "lazyvox.image.mean_img", "path", _OURS),
    _mean_way("lazyvox-image", "lazyvox.image.mean_img", "lazyvox.load", _OURS),
    _mean_way("lazyvox-scan", "lazyvox.Scan, Mean", "path", _OURS),
)

CONCAT = (
    Way("nilearn", "concat_imgs", "paths", _NILEARN, "ways_concat", "nilearn_concat", copies=3),
    Way("lazyvox", "lazyvox.image.concat_imgs", "paths", _OURS, "ways_concat", "lazyvox_concat"),
)


def choose_ways(ways: Sequence[Way], names: Sequence[str] | None) -> tuple[Way, ...]:
    """Return the ways with some names, in their own order.

    Parameters
    ----------
    ways : sequence of Way
        All there are.
    names : sequence of str or None
        Which to take; None for all. The name of a package, such as "numpy", is all of its ways.

    Returns
    -------
    tuple of Way
        At least one.

    Raises
    ------
    ParameterError
        If a name is not known, or none is given.

    Examples
    --------
    >>> [way.name for way in choose_ways(CONCAT, ["lazyvox"])]
    ['lazyvox']
    """
    if names is None:
        return tuple(ways)
    wanted = [name.strip().lower() for name in names if name.strip()]
    known = [way.name for way in ways]
    families = {way.family.name.lower() for way in ways}
    for name in wanted:
        if name not in known and name not in families:
            near = get_close_matches(name, [*known, *sorted(families)], n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            msg = f"no such method: {name!r}. {hint}There are {', '.join(known)}."
            raise ParameterError(msg)
    found = [way for way in ways if {way.name, way.family.name.lower()} & set(wanted)]
    if not found:
        msg = f"at least one method is needed. There are {', '.join(known)}."
        raise ParameterError(msg)
    return tuple(found)


def missing_packages(way: Way) -> tuple[str, ...]:
    """Return the packages of a way that are not installed."""
    return tuple(name for name in way.packages if find_spec(name) is None)
