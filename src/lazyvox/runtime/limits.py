"""Memory that this process may still take, by every limit that can stop it.

Environment variables are read by the command line only, with one exception, here and in
`lazyvox.runtime.cores`: what SLURM grants a job stands nowhere else, and it binds the Python API
as much as the commands. The variables are read when the functions are called.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lazyvox.runtime.cgroup import CGROUP_ROOT, PROC_ROOT, cgroup_folders, read_text

__all__ = ["MemoryLimits", "available_memory", "read_limits"]

# Version 1 groups without a limit say 2**63 rounded down to a page; no machine has 2**60 bytes.
_UNLIMITED = 2**60


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Bytes that each kind of limit still leaves, None where that limit is not set.

    Attributes
    ----------
    system : int
        What the machine has available, reclaimable page cache included.
    cgroup : int or None
        What the tightest control group leaves (containers, systemd, batch systems).
    rlimit : int or None
        What ``ulimit -v`` and ``ulimit -d`` leave.
    slurm : int or None
        What SLURM grants the job on this node, less what this process holds.
    """

    system: int
    cgroup: int | None = None
    rlimit: int | None = None
    slurm: int | None = None

    @property
    def available(self) -> int:
        """The least of all limits, not below 0."""
        known = (self.system, self.cgroup, self.rlimit, self.slurm)
        return max(0, min(left for left in known if left is not None))


def _fields(text: str) -> dict[str, int]:
    """Return the numbers of a "name value" or "name: value kB" file, in its own unit."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, *values = line.replace(":", " ").split()[:2] or [""]
        if values and values[0].isdecimal():
            found[name] = int(values[0])
    return found


def _least(values: list[int]) -> int | None:
    """Return the least value, None where there is none."""
    return min(values, default=None)


def _system_left(proc_root: Path) -> int:
    """Return the memory that the machine has available."""
    available = _fields(read_text(proc_root / "meminfo")).get("MemAvailable")
    if available is not None:
        return available * 1024
    import psutil

    return int(psutil.virtual_memory().available)


def _group_left(folder: Path) -> int | None:
    """Return the memory that one control group leaves, None where it sets no limit.

    Cached file pages count as use of the group, and are given back when it needs room: without
    adding them, reading one big file would seem to exhaust every container.
    """
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    texts = [read_text(folder / name).strip() for name in names]
    limits = [int(text) for text in texts if text.isdecimal() and int(text) < _UNLIMITED]
    if not limits:
        return None
    is_v1 = texts[2].isdecimal()
    used = read_text(folder / ("memory.usage_in_bytes" if is_v1 else "memory.current")).strip()
    pages = _fields(read_text(folder / "memory.stat"))
    prefix = "total_" if is_v1 else ""
    cached = sum(pages.get(f"{prefix}{kind}_file", 0) for kind in ("inactive", "active"))
    held = max(0, int(used) - cached) if used.isdecimal() else 0
    return min(limits) - held


def _cgroup_left(proc_root: Path, cgroup_root: Path) -> int | None:
    """Return the memory that the tightest group around this process leaves."""
    folders = cgroup_folders("memory", proc_root=proc_root, cgroup_root=cgroup_root)
    left = [_group_left(folder) for folder in folders]
    return _least([value for value in left if value is not None])


def _rlimit_left(proc_root: Path, status: Mapping[str, int]) -> int | None:
    """Return the memory that the soft limits on address space and on data leave."""
    held = {"Max address space": "VmSize", "Max data size": "VmData"}
    left: list[int] = []
    for line in read_text(proc_root / "self" / "limits").splitlines():
        for title, counter in held.items():
            if not line.startswith(title):
                continue
            soft = (line.removeprefix(title).split() or [""])[0]
            if soft.isdecimal():
                left.append(int(soft) - status.get(counter, 0) * 1024)
    return _least(left)


def _slurm_left(environ: Mapping[str, str], resident: int) -> int | None:
    """Return the memory that SLURM grants here less `resident`; it writes MiB, and 0 for all."""

    def number(name: str) -> int:
        text = environ.get(name, "")
        return int(text) if text.isascii() and text.isdecimal() else 0

    cpus = number("SLURM_CPUS_ON_NODE") or number("SLURM_CPUS_PER_TASK") or 1
    granted = (number("SLURM_MEM_PER_NODE"), number("SLURM_MEM_PER_CPU") * cpus)
    return _least([mebibytes * 1024**2 - resident for mebibytes in granted if mebibytes])


def read_limits(
    *,
    proc_root: Path = PROC_ROOT,
    cgroup_root: Path = CGROUP_ROOT,
    environ: Mapping[str, str] | None = None,
) -> MemoryLimits:
    """Return the memory that each limit leaves to this process.

    Parameters
    ----------
    proc_root, cgroup_root : Path
        Where procfs and the control groups are mounted.
    environ : mapping, optional
        Environment variables; by default those of this process, as they are now.

    Returns
    -------
    MemoryLimits
        Bytes left by each kind of limit.

    Notes
    -----
    Memory: O(1). Outside of Linux only the system and SLURM are known: macOS does not enforce
    limits on the address space, and has no control groups.
    """
    status = _fields(read_text(proc_root / "self" / "status"))
    variables = os.environ if environ is None else environ
    return MemoryLimits(
        system=_system_left(proc_root),
        cgroup=_cgroup_left(proc_root, cgroup_root),
        rlimit=_rlimit_left(proc_root, status),
        slurm=_slurm_left(variables, status.get("VmRSS", 0) * 1024),
    )


def available_memory(
    *,
    proc_root: Path = PROC_ROOT,
    cgroup_root: Path = CGROUP_ROOT,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Return the bytes that this process can still take before anything stops it.

    Parameters
    ----------
    proc_root, cgroup_root : Path
        Where procfs and the control groups are mounted.
    environ : mapping, optional
        Environment variables; by default those of this process, as they are now.

    Returns
    -------
    int
        The least of what the machine, control groups, ``ulimit`` and SLURM leave; at least 0.

    Notes
    -----
    Memory: O(1).

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    return read_limits(proc_root=proc_root, cgroup_root=cgroup_root, environ=environ).available
