"""Number of cores that this process may use, and the meaning of `n_jobs`.

The variables of SLURM are read here for the reason given in `lazyvox.runtime.limits`.
"""

import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

from lazyvox.errors import ParameterError, ParameterTypeError
from lazyvox.runtime.cgroup import CGROUP_ROOT, PROC_ROOT, cgroup_folders, read_text

__all__ = ["numeric_threads", "resolve_n_jobs", "usable_cores"]


def _affinity() -> int:
    """Return the cores that the scheduler lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(folder: Path) -> int | None:
    """Return the cores that one control group pays for, rounded up, None where it has no quota."""
    text = read_text(folder / "cpu.max")
    if not text:
        quota_text = read_text(folder / "cpu.cfs_quota_us")
        text = f"{quota_text} {read_text(folder / 'cpu.cfs_period_us')}"
    quota, period = [*text.split(), "", ""][:2]
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return -(-int(quota) // int(period))


def usable_cores(
    *,
    proc_root: Path = PROC_ROOT,
    cgroup_root: Path = CGROUP_ROOT,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Return the number of cores that this process may really use.

    Parameters
    ----------
    proc_root, cgroup_root : Path
        Where procfs and the control groups are mounted.
    environ : mapping, optional
        Environment variables; by default those of this process, as they are now.

    Returns
    -------
    int
        The least of the processor affinity, the quotas of the control groups, and
        ``SLURM_CPUS_PER_TASK``; at least 1.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> usable_cores() >= 1
    True
    """
    folders = cgroup_folders("cpu", proc_root=proc_root, cgroup_root=cgroup_root)
    quotas = [_quota(folder) for folder in folders]
    granted = (os.environ if environ is None else environ).get("SLURM_CPUS_PER_TASK", "")
    limits = [_affinity(), *(quota for quota in quotas if quota is not None)]
    if granted.isascii() and granted.isdecimal() and int(granted):
        limits.append(int(granted))
    return max(1, min(limits))


def numeric_threads(environ: Mapping[str, str] | None = None) -> int:
    """Return the default number of threads of numerical work, as BLAS chooses it.

    Parameters
    ----------
    environ : mapping, optional
        Environment variables; by default those of this process, as they are now.

    Returns
    -------
    int
        ``OMP_NUM_THREADS``, which joblib sets for its workers, or all usable cores if they are
        fewer.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> numeric_threads({"OMP_NUM_THREADS": "1"})
    1
    """
    given = (os.environ if environ is None else environ).get("OMP_NUM_THREADS", "")
    cores = usable_cores(environ=environ)
    return min(int(given), cores) if given.isdecimal() and int(given) else cores


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of workers that `n_jobs` asks for, as in scikit-learn.

    Parameters
    ----------
    n_jobs : int or None
        None is 1; a positive number is taken as it is; -1 is all usable cores, -2 all but one.

    Returns
    -------
    int
        Number of workers, at least 1.

    Raises
    ------
    ParameterError
        If `n_jobs` is 0.
    ParameterTypeError
        If `n_jobs` is not a whole number.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> resolve_n_jobs(None), resolve_n_jobs(4)
    (1, 4)
    """
    if n_jobs is None:
        return 1
    rule = "n_jobs must be None, a positive number of workers, or -1 for all cores, -2 for all but"
    given: object = n_jobs
    if isinstance(given, bool) or not isinstance(given, Integral):
        msg = f"{rule} one. Got {n_jobs!r} of type {type(n_jobs).__name__}."
        raise ParameterTypeError(msg)
    if n_jobs == 0:
        msg = f"{rule} one. Got 0. Pass 1 to work without parallel workers."
        raise ParameterError(msg)
    return int(n_jobs) if n_jobs > 0 else max(1, usable_cores() + 1 + int(n_jobs))
